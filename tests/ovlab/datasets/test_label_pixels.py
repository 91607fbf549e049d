"""How many pixels each class has, and when that cannot be meant so."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.folder import FolderDataset, open_folder
from ovlab.datasets.label_pixels import LabelPixels
from ovlab.datasets.selection import first_samples
from ovlab.specs.errors import InputError


def folder(root: Path, classes: object, labels: list[np.ndarray]) -> FolderDataset:
    for kind in ("images", "labels"):
        (root / "val" / kind).mkdir(parents=True)
    for number, label in enumerate(labels):
        Image.new("RGB", label.shape[::-1]).save(root / "val" / "images" / f"{number}.png")
        Image.fromarray(label).save(root / "val" / "labels" / f"{number}.png")
    (root / "classes.json").write_text(json.dumps(classes))
    return open_folder(root, "val")


def mask(share_of_255: float, other: int = 0) -> np.ndarray:
    label = np.full((10, 10), other, np.uint8)
    label[: round(10 * share_of_255)] = 255
    return label


def test_pixels_of_a_folder_are_counted_over_all_labels(tmp_path: Path) -> None:
    found = folder(tmp_path, ["a", "b", "c"], [mask(0.1), mask(0.0, other=2)]).label_pixels()

    assert found == LabelPixels(class_names=("a", "b", "c"), of_classes=(90, 0, 100), num_ignored=10)
    assert found.absent == ("b",)
    assert str(found) == "2 of 3 classes occur (never 'b'); 5.00 % of the pixels are ignored"


def test_list_of_classes_that_never_occur_is_bounded() -> None:
    names = tuple(f"class {number}" for number in range(400))

    text = str(LabelPixels(class_names=names, of_classes=(1, *[0] * 399), num_ignored=None))

    assert text == (
        "1 of 400 classes occur (never 'class 1', 'class 2', 'class 3', 'class 4', 'class 5', 'class 6', 'class 7', "
        "'class 8' and 391 more)"
    )


@pytest.mark.parametrize("labels", [[mask(0.5)], [mask(0.1)], [mask(1.0)], [mask(0.5), mask(0.5, other=0)]])
def test_masks_of_0_and_255_for_two_classes_are_refused(tmp_path: Path, labels: list[np.ndarray]) -> None:
    dataset = folder(tmp_path, ["background", "crack"], labels)

    with pytest.raises(InputError, match=r"labels: [\d.]+ % of the pixels hold the largest .* 'crack'\. Give"):
        dataset.label_pixels()


def test_masks_of_16_bits_alike(tmp_path: Path) -> None:
    wide = mask(0.5).astype(np.uint16)
    wide[wide == 255] = 65535

    with pytest.raises(InputError, match=r"50\.0 % of the pixels hold the largest value"):
        folder(tmp_path, ["background", "crack"], [wide]).label_pixels()


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        ({"classes": ["background", "crack"], "ignore_index": 255}, [mask(0.5)]),  # asked for
        (["background", "crack"], [mask(0.5), mask(0.5, other=1)]),  # every class occurs
        (["background", "crack"], [mask(0.0)]),  # nothing is ignored
        (["a", "b", "rare"], [mask(0.1), mask(0.0, other=1)]),  # little is ignored
    ],
)
def test_labels_that_can_be_meant_so_are_counted(tmp_path: Path, classes: object, labels: list[np.ndarray]) -> None:
    assert sum(folder(tmp_path, classes, labels).label_pixels().of_classes) > 0


def test_part_of_a_split_need_not_have_every_class(tmp_path: Path) -> None:
    assert first_samples(folder(tmp_path, ["a", "b"], [mask(0.5), mask(0.5, other=1)]), 1).label_pixels() is None
