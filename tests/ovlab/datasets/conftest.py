"""Small splits in the layout of an original download."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ovlab.benchmarks.synthetic_download import write_download
from ovlab.datasets.original import FolderSplit


@pytest.fixture
def make_download(tmp_path: Path) -> Callable[..., FolderSplit]:
    """A split of small synthetic images below tmp_path/NAME."""

    def make(num_images: int = 10, folder: str = "download", num_classes: int = 5, seed: int = 0) -> FolderSplit:
        return write_download(
            tmp_path / folder, num_images=num_images, height=24, width=36, num_classes=num_classes, seed=seed
        )

    return make
