"""Small splits in the layout of an original download."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ovlab.benchmarks.synthetic_download import write_download
from ovlab.datasets.original import FolderSplit
from ovlab.datasets.prepare import prepare
from ovlab.specs.errors import InputError


@pytest.fixture
def make_download(tmp_path: Path) -> Callable[..., FolderSplit]:
    """A split of small synthetic images below tmp_path/NAME."""

    def make(num_images: int = 10, folder: str = "download", num_classes: int = 5, seed: int = 0) -> FolderSplit:
        return write_download(
            tmp_path / folder, num_images=num_images, height=24, width=36, num_classes=num_classes, seed=seed
        )

    return make


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder."""

    def read(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return read


@pytest.fixture
def unfinish() -> Callable[[FolderSplit, Path], None]:
    """Makes a finished preparation one that stopped at its last sample, as a bad file leaves it."""

    def stop(split: FolderSplit, out: Path) -> None:
        shutil.rmtree(out)
        label = split.label_folder / f"{split.sample_ids[-1]}.png"
        content = label.read_bytes()
        label.unlink()
        with pytest.raises(InputError):
            prepare(split, str(out), num_samples_per_shard=2)
        label.write_bytes(content)

    return stop
