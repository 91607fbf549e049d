"""ovlab.datasets.camvid: both layouts, and what a label value means."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.camvid import NUM_IMAGES, open_camvid
from ovlab.datasets.folder import open_folder
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError

DATA = Path(__file__).parents[4] / "shared" / "data" / "camvid"
needs_camvid = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is missing")

ID = "0001TP_008550"
# sky, traffic sign, bicyclist, unlabelled
RAW = np.array([[0, 6], [10, 11]], dtype=np.uint8)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes one pair with label RAW, or another, at the given folders below tmp_path."""

    def pair(images: str, labels: str, suffix: str, raw: np.ndarray = RAW) -> Path:
        for folder in (images, labels):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", raw.shape[::-1]).save(tmp_path / images / f"{ID}{suffix}")
        Image.fromarray(raw).save(tmp_path / labels / f"{ID}.png")
        return tmp_path

    return pair


@pytest.mark.parametrize(
    ("images", "labels", "suffix"),
    [
        ("CamVid/test", "CamVid/testannot", ".png"),
        ("test", "testannot", ".png"),
        ("test/images", "test/labels", ".jpg"),
    ],
)
def test_test_is_found_in_every_known_layout(write: Callable[..., Path], images: str, labels: str, suffix: str) -> None:
    split = open_camvid(write(images, labels, suffix), "test")
    pair = split.read(ID)

    np.testing.assert_array_equal(pair.label, [[0, 6], [10, IGNORE_INDEX]])
    assert [split.class_names[index] for index in (0, 6, 10)] == ["sky", "traffic sign", "bicyclist"]
    assert pair.image_bytes == (split.image_folder / f"{ID}{suffix}").read_bytes()
    assert (split.sample_ids, split.expected_count, split.notes) == ((ID,), 233, ())


def test_label_beyond_the_unlabelled_is_refused_by_name(write: Callable[..., Path]) -> None:
    source = write("test", "testannot", ".png", np.full((2, 2), 12, dtype=np.uint8))

    with pytest.raises(InputError, match=rf"{ID}\.png: label value\(s\) 12 are not"):
        open_camvid(source, "test").read(ID)


def test_files_that_are_none_of_the_split_are_named(write: Callable[..., Path]) -> None:
    source = write("test", "testannot", ".png")
    (source / "test" / "more.jpg").touch()

    assert open_camvid(source, "test").notes[0].endswith("neither photograph nor label of the split: test/more.jpg")


@needs_camvid
@pytest.mark.photographs
def test_photographs_read_as_original_are_those_of_the_folder() -> None:
    for split, num_images in NUM_IMAGES.items():
        assert len(open_camvid(DATA, split).sample_ids) == num_images
    original, folder = open_camvid(DATA, "val"), open_folder(DATA, "val")

    assert original.class_names == folder.class_names
    np.testing.assert_array_equal(original.read(folder.sample_ids[7]).label, folder[7].label)
