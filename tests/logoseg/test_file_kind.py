"""logoseg.file_kind: what a file of weights is, before anything heavy is imported to read it."""

import subprocess
import sys
from pathlib import Path

import pytest

from logoseg.clip.shipped import shipped_clip
from logoseg.file_kind import file_kind
from logoseg.model_error import ModelError
from logoseg.presets import PRESETS

SHIPPED = shipped_clip(PRESETS["shapes-vit-s"]().clip)
assert SHIPPED is not None
WHOLE = SHIPPED.read_bytes()


def test_file_kind_of_safetensors_is_told_without_torch() -> None:
    code = "import sys; from pathlib import Path; from logoseg.file_kind import file_kind\n"
    code += "print(file_kind(Path(sys.argv[1])), 'torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code, str(SHIPPED)], capture_output=True, text=True, check=True)

    assert told.stdout.split() == ["safetensors", "False"]


@pytest.mark.parametrize("size", [9, 100, len(WHOLE) // 2, len(WHOLE) - 1, len(WHOLE) + 1])
def test_file_kind_of_safetensors_of_another_length_is_refused(size: int, tmp_path: Path) -> None:
    path = tmp_path / "clip.safetensors"
    path.write_bytes((WHOLE + b"\0")[:size])

    with pytest.raises(ModelError, match="cut off or damaged"):
        file_kind(path)
