from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.coco_stuff import open_coco_stuff
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.datasets.vocabulary import load_raw_ids
from ovlab.specs.errors import InputError

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "samples" / "coco_stuff164k"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"{SAMPLES} is missing")

ID = "000000000139"
# COCO id - 1 of person (1), horse (19), banner (92) and wood (182); unlabelled
RAW = np.array([[0, 18, 91], [181, 255, 255]], dtype=np.uint8)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes one val pair with label RAW, or another, at the given folders below tmp_path."""

    def pair(images: str, labels: str, raw: np.ndarray = RAW) -> Path:
        for folder in (images, labels):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", raw.shape[::-1]).save(tmp_path / images / f"{ID}.jpg")
        Image.fromarray(raw).save(tmp_path / labels / f"{ID}.png")
        return tmp_path

    return pair


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images/val2017", "annotations/val2017"),
        ("val2017", "stuffthingmaps/val2017"),
        ("val2017", "stuffthingmaps_trainval2017/val2017"),
        ("val2017", "val2017"),
    ],
)
def test_val_is_found_in_every_known_layout(write: Callable[..., Path], images: str, labels: str) -> None:
    split = open_coco_stuff(write(images, labels), "val")

    assert split.sample_ids == (ID,)
    assert split.expected_count == 5000
    names = [split.class_names[index] for index in split.read(ID).label.ravel() if index != IGNORE_INDEX]
    assert names == ["person", "horse", "banner", "wood"]


def test_ids_of_coco_are_remapped_as_counted_by_hand(write: Callable[..., Path]) -> None:
    label = open_coco_stuff(write("val2017", "val2017"), "val").read(ID).label

    # one value below 18 is unused, eleven below 91 and below 181
    np.testing.assert_array_equal(label, [[0, 17, 80], [170, IGNORE_INDEX, IGNORE_INDEX]])


@pytest.mark.parametrize("unused", [11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90, 254])
def test_value_without_a_class_is_refused_by_name(write: Callable[..., Path], unused: int) -> None:
    split = open_coco_stuff(write("val2017", "val2017", np.full((2, 3), unused, dtype=np.uint8)), "val")

    with pytest.raises(InputError, match=rf"{ID}\.png: label value\(s\) {unused} are not"):
        split.read(ID)


@pytest.mark.parametrize("value", [182, 183])
def test_wrong_archive_in_the_right_folder_is_refused_when_opened(write: Callable[..., Path], value: int) -> None:
    raw = np.array([[0, 120, value]], dtype=np.uint8)

    with pytest.raises(InputError, match=rf"{ID}\.png: these labels are from stuff_annotations_trainval2017\.zip"):
        open_coco_stuff(write("images/val2017", "annotations/val2017", raw), "val")


@pytest.mark.parametrize("folder", ["stuff_val2017_pixelmaps", "annotations/stuff_val2017_pixelmaps"])
def test_wrong_archive_in_its_own_folder_is_refused_when_opened(write: Callable[..., Path], folder: str) -> None:
    with pytest.raises(InputError, match=r"pixelmaps/: these labels are from stuff_annotations_trainval2017\.zip"):
        open_coco_stuff(write("val2017", folder), "val")


def test_wrong_archive_beside_the_right_one_is_no_matter(write: Callable[..., Path]) -> None:
    write("images/val2017", "annotations/stuff_val2017_pixelmaps")

    assert open_coco_stuff(write("images/val2017", "annotations/val2017"), "val").sample_ids == (ID,)


def test_converted_labels_beside_the_originals_are_left_out_and_named(write: Callable[..., Path]) -> None:
    source = write("val2017", "stuffthingmaps/val2017")
    Image.fromarray(RAW).save(source / "stuffthingmaps" / "val2017" / f"{ID}_labelTrainIds.png")

    split = open_coco_stuff(source, "val")

    assert split.sample_ids == (ID,)
    (note,) = split.notes
    assert note.endswith(
        f"1 file is left out, neither photograph nor label of the split: val2017/{ID}_labelTrainIds.png"
    )


def test_photographs_named_as_in_2014_are_left_out_and_named(write: Callable[..., Path]) -> None:
    source = write("val2017", "val2017")
    (source / "val2017" / "COCO_val2014_000000000042.jpg").touch()

    split = open_coco_stuff(source, "val")

    assert split.sample_ids == (ID,)
    (note,) = split.notes
    assert "1 file is left out" in note
    assert "COCO_val2014_000000000042.jpg" in note


def test_missing_partner_has_an_id_and_is_named_when_read(write: Callable[..., Path]) -> None:
    source = write("val2017", "stuffthingmaps/val2017")
    Image.new("RGB", (2, 2)).save(source / "val2017" / "000000000285.jpg")

    split = open_coco_stuff(source, "val")

    assert split.sample_ids == (ID, "000000000285")
    with pytest.raises(InputError, match=r"000000000285\.png: no such label"):
        split.read("000000000285")


def test_photographs_without_any_labels_are_a_wrong_layout(tmp_path: Path) -> None:
    (tmp_path / "val2017").mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "val2017" / f"{ID}.jpg")

    with pytest.raises(InputError, match=r"expected the label maps of stuffthingmaps_trainval2017\.zip in .*val2017/"):
        open_coco_stuff(tmp_path, "val")


@needs_samples
@pytest.mark.photographs
@pytest.mark.parametrize(("split_name", "num_pairs"), [("train", 7), ("val", 4)])
def test_samples_read_back_equal_to_the_files(split_name: str, num_pairs: int) -> None:
    split = open_coco_stuff(SAMPLES, split_name)
    raw_ids = np.array([*load_raw_ids("coco-stuff"), 255])

    assert len(split.sample_ids) == num_pairs
    for sample_id in split.sample_ids:
        pair = split.read(sample_id)
        original = np.array(Image.open(SAMPLES / "annotations" / f"{split_name}2017" / f"{sample_id}.png"))
        np.testing.assert_array_equal(raw_ids[np.where(pair.label == IGNORE_INDEX, 171, pair.label)], original)
        assert pair.image_bytes == (SAMPLES / "images" / f"{split_name}2017" / f"{sample_id}.jpg").read_bytes()


@needs_samples
@pytest.mark.photographs
def test_sample_of_a_zebra_on_grass_is_named_so() -> None:
    split = open_coco_stuff(SAMPLES, "val")
    indices = np.unique(split.read("000000001818").label)

    assert [split.class_names[index] for index in indices if index != IGNORE_INDEX] == ["zebra", "grass"]
