"""ovlab.datasets.msrc: both layouts, the split, and what a colour means."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.folder import open_folder
from ovlab.datasets.msrc import NUM_IMAGES, divided, open_msrc
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError

DATA = Path(__file__).parents[4] / "shared" / "data" / "msrc"
needs_msrc = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is missing")

# grass, cow, void; boat, building, void: by the colour table of the publication
COLOURS = np.array([[(0, 128, 0), (0, 0, 128), (0, 0, 0)], [(192, 64, 0), (128, 0, 0), (0, 0, 0)]], dtype=np.uint8)


@pytest.fixture
def publication(tmp_path: Path) -> Callable[..., Path]:
    """Microsoft's layout, with photographs of one group, numbered 1 .. num, below `root` of the folder it returns."""

    def make(root: str = ".", num: int = 20, colours: np.ndarray = COLOURS) -> Path:
        for folder in ("Images", "GroundTruth"):
            (tmp_path / root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(1, num + 1):
            Image.fromarray(255 - colours).save(tmp_path / root / "Images" / f"3_{number}_s.bmp")
            Image.fromarray(colours).save(tmp_path / root / "GroundTruth" / f"3_{number}_s_GT.bmp")
        (tmp_path / root / "Images" / "Thumbs.db").touch()
        return tmp_path

    return make


@pytest.mark.parametrize("root", [".", "MSRC_ObjCategImageDatabase_v2"])
def test_publication_is_read_by_its_colours(publication: Callable[..., Path], root: str) -> None:
    split = open_msrc(publication(root), "train")
    pair = split.read("3_1_s")

    np.testing.assert_array_equal(pair.label, [[1, 3, IGNORE_INDEX], [22, 0, IGNORE_INDEX]])
    assert [split.class_names[index] for index in (1, 3, 22, 0)] == ["grass", "cow", "boat", "building"]
    assert pair.image_bytes == (split.image_folder / "3_1_s.bmp").read_bytes()
    assert split.notes[0].endswith("neither photograph nor label of the split: Images/Thumbs.db")


def test_publication_is_divided_by_numbers_and_not_by_names(publication: Callable[..., Path]) -> None:
    source = publication()
    found = {split: open_msrc(source, split).sample_ids for split in NUM_IMAGES}

    assert found["train"] == tuple(sorted(f"3_{number}_s" for number in range(1, 10)))
    assert found["val"] == ("3_10_s", "3_11_s")
    assert found["test"] == tuple(f"3_{number}_s" for number in range(12, 21))


def test_photograph_without_a_label_and_label_without_a_photograph_are_named(publication: Callable[..., Path]) -> None:
    source = publication(num=1)
    (source / "GroundTruth" / "3_1_s_GT.bmp").rename(source / "GroundTruth" / "3_2_s_GT.bmp")

    with pytest.raises(InputError, match=r"3_1_s_GT\.bmp: no such label"):
        open_msrc(source, "train").read("3_1_s")
    with pytest.raises(InputError, match=r"3_2_s\.bmp: no such photograph"):
        open_msrc(source, "test").read("3_2_s")


def test_colour_of_no_class_is_refused_by_name(publication: Callable[..., Path]) -> None:
    source = publication(num=1, colours=np.full((2, 3, 3), 7, dtype=np.uint8))

    with pytest.raises(InputError, match=r"3_1_s_GT\.bmp: the colour #070707 is in the label, and no class of MSRC"):
        open_msrc(source, "val").read("3_1_s")


def test_label_of_another_size_is_refused(publication: Callable[..., Path]) -> None:
    source = publication(num=1)
    Image.new("RGB", (5, 4)).save(source / "Images" / "3_1_s.bmp")

    with pytest.raises(InputError, match=r"3_1_s_GT\.bmp: the label is 3 x 2, its photograph 3_1_s\.bmp is 5 x 4"):
        open_msrc(source, "val").read("3_1_s")


def test_divided_layout_is_read_by_its_indices(tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        (tmp_path / "val" / kind).mkdir(parents=True)
    Image.new("RGB", (2, 1)).save(tmp_path / "val" / "images" / "1_15_s.jpg")
    Image.fromarray(np.array([[22, 255]], dtype=np.uint8)).save(tmp_path / "val" / "labels" / "1_15_s.png")

    split = open_msrc(tmp_path, "val")

    np.testing.assert_array_equal(split.read("1_15_s").label, [[22, IGNORE_INDEX]])
    assert (split.sample_ids, split.expected_count) == (("1_15_s",), 45)


@needs_msrc
@pytest.mark.photographs
def test_split_of_the_names_is_that_of_the_divided_layout() -> None:
    there = {split: open_msrc(DATA, split).sample_ids for split in NUM_IMAGES}

    assert {split: len(ids) for split, ids in there.items()} == NUM_IMAGES
    assert divided([name for ids in there.values() for name in ids]) == there


@needs_msrc
@pytest.mark.photographs
def test_photographs_read_as_original_are_those_of_the_folder() -> None:
    original, folder = open_msrc(DATA, "val"), open_folder(DATA, "val")

    assert original.class_names == folder.class_names
    for index in (0, 44):
        np.testing.assert_array_equal(original.read(folder.sample_ids[index]).label, folder[index].label)
