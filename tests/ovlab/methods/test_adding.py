"""platform/ADDING.md is run, not only read."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "platform" / "ADDING.md").read_text(), flags=re.DOTALL)


def test_method_of_the_page_is_the_one_that_is_used_from_outside_in_tests() -> None:
    assert BLOCKS[0] == (ROOT / "tests" / "programs" / "cosine_method.py").read_text()
    assert len(BLOCKS[0].splitlines()) <= 60


@pytest.mark.parametrize("block", BLOCKS[1:], ids=["tower", "data set", "score"])
def test_other_code_of_the_page_runs_in_a_process_of_its_own(block: str) -> None:
    subprocess.run([sys.executable, "-c", block], check=True, timeout=120)


def test_tower_of_the_page_builds_without_weights() -> None:
    build = "import torch\nwith torch.device('meta'):\n    assert LoGoSeg(model).image_encoder is not None"

    subprocess.run([sys.executable, "-c", BLOCKS[1] + build], check=True, timeout=300)
