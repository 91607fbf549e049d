from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.pascal_voc import open_voc_20, open_voc_20b
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "samples"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"{SAMPLES} is missing")

ID = "2007_000033"
# background, aeroplane, tvmonitor, border
RAW = np.array([[0, 1], [20, 255]], dtype=np.uint8)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes one pair with label `raw` into `labels` of VOC2012 at `root` below tmp_path, which it returns."""

    def pair(root: str = "VOCdevkit/VOC2012", labels: str = "SegmentationClassAug", raw: np.ndarray = RAW) -> Path:
        voc = tmp_path / root
        for folder in ("ImageSets/Segmentation", "JPEGImages", labels):
            (voc / folder).mkdir(parents=True, exist_ok=True)
        (voc / "ImageSets/Segmentation/val.txt").write_text(f"{ID}\n")
        Image.new("RGB", raw.shape[::-1]).save(voc / "JPEGImages" / f"{ID}.jpg")
        Image.new("RGB", (2, 2)).save(voc / "JPEGImages" / "2007_000001.jpg")
        Image.fromarray(raw).save(voc / labels / f"{ID}.png")
        return tmp_path

    return pair


def test_pas_20_ignores_background_and_border(write: Callable[..., Path]) -> None:
    split = open_voc_20(write(), "val")

    np.testing.assert_array_equal(split.read(ID).label, [[IGNORE_INDEX, 0], [19, IGNORE_INDEX]])
    assert (len(split.class_names), split.class_names[19]) == (20, "tvmonitor")


def test_pas_20b_scores_background_as_class_20(write: Callable[..., Path]) -> None:
    split = open_voc_20b(write(), "val")

    np.testing.assert_array_equal(split.read(ID).label, [[20, 0], [19, IGNORE_INDEX]])
    assert (len(split.class_names), split.class_names[20]) == (21, "background")


@pytest.mark.parametrize("root", ["VOCdevkit/VOC2012", "VOC2012", "."])
def test_val_is_found_at_every_known_root(write: Callable[..., Path], root: str) -> None:
    split = open_voc_20(write(root), "val")

    # JPEGImages holds photographs of other tasks too: the list decides
    assert (split.sample_ids, split.expected_count, split.notes) == ((ID,), 1449, ())


@pytest.mark.parametrize(
    ("content", "reason"),
    [(ID.encode("utf-16"), "no text in UTF-8"), (b"2007_\xe9", "no text in UTF-8"), (b" \n\n", "lists no image")],
)
def test_list_that_is_none_is_refused(write: Callable[..., Path], content: bytes, reason: str) -> None:
    source = write()
    (source / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").write_bytes(content)

    with pytest.raises(InputError, match=rf"val\.txt: {reason}"):
        open_voc_20(source, "val")


def test_list_with_a_byte_order_mark_and_lines_of_windows_is_read(write: Callable[..., Path]) -> None:
    source = write()
    (source / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").write_bytes(f"\ufeff{ID}\r\n".encode())

    assert open_voc_20(source, "val").sample_ids == (ID,)


def test_labels_of_the_devkit_serve_where_the_augmented_are_missing(write: Callable[..., Path]) -> None:
    split = open_voc_20(write(labels="SegmentationClass"), "val")

    assert split.read(ID).label[1, 0] == 19
    assert split.notes == ("labels from SegmentationClass/, as SegmentationClassAug/ is not there",)


def test_augmented_labels_come_before_those_of_the_devkit(write: Callable[..., Path]) -> None:
    write(labels="SegmentationClass", raw=np.zeros((2, 2), dtype=np.uint8))

    assert open_voc_20(write(), "val").read(ID).label[0, 1] == 0


def test_label_beyond_the_twenty_is_refused_by_name(write: Callable[..., Path]) -> None:
    source = write(raw=np.full((2, 2), 21, dtype=np.uint8))

    for open_split in (open_voc_20, open_voc_20b):
        with pytest.raises(InputError, match=rf"{ID}\.png: label value\(s\) 21 are not"):
            open_split(source, "val").read(ID)


@needs_samples
@pytest.mark.photographs
def test_samples_read_back_equal_to_the_palette_files() -> None:
    voc = SAMPLES / "VOCdevkit" / "VOC2012"
    without, with_background = open_voc_20(SAMPLES, "val"), open_voc_20b(SAMPLES, "val")

    assert len(without.sample_ids) == 5
    for sample_id in without.sample_ids:
        original = np.array(Image.open(voc / "SegmentationClass" / f"{sample_id}.png")).astype(int)
        pair = without.read(sample_id)
        inside = (original >= 1) & (original <= 20)
        np.testing.assert_array_equal(pair.label, np.where(inside, original - 1, IGNORE_INDEX))
        np.testing.assert_array_equal(
            with_background.read(sample_id).label, np.where(original == 0, 20, pair.label.astype(int))
        )
        assert pair.image_bytes == (voc / "JPEGImages" / f"{sample_id}.jpg").read_bytes()


@needs_samples
@pytest.mark.photographs
def test_sample_of_a_dog_and_sheep_is_named_so() -> None:
    split = open_voc_20b(SAMPLES, "val")
    indices = np.unique(split.read("2008_002536").label)

    assert [split.class_names[index] for index in indices[:-1]] == ["dog", "sheep", "background"]
