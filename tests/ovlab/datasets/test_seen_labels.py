"""ovlab.datasets.seen_labels: of an unseen class nothing is left, neither its name nor its pixels."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.folder import FolderDataset, open_folder
from ovlab.datasets.places import open_named
from ovlab.datasets.sample import IGNORE_INDEX, SegmentationDataset
from ovlab.datasets.seen_labels import seen_labels
from ovlab.specs.errors import InputError

CLASSES = {"classes": ["sky", ["road", "street"], "tree", "car"], "seen": ["road", "car"]}


@pytest.fixture
def street(tmp_path: Path) -> FolderDataset:
    """One photograph with a pixel of each class and an ignored one."""
    root = tmp_path / "street"
    for kind in ("images", "labels"):
        (root / "train" / kind).mkdir(parents=True)
    (root / "classes.json").write_text(json.dumps(CLASSES))
    Image.new("RGB", (5, 1)).save(root / "train" / "images" / "a.jpg")
    Image.fromarray(np.array([[3, 1, 0, 2, 255]], dtype=np.uint8)).save(root / "train" / "labels" / "a.png")
    return open_folder(root, "train")


def test_unseen_pixels_are_ignored_and_the_others_counted_anew(street: FolderDataset) -> None:
    seen = seen_labels(street)
    sample = seen[0]

    np.testing.assert_array_equal(sample.label, [[1, 0, *[IGNORE_INDEX] * 3]])
    np.testing.assert_array_equal(sample.image, street[0].image)
    assert sample.label.dtype == np.uint16
    assert isinstance(seen, SegmentationDataset)


def test_unseen_names_are_not_asked_for(street: FolderDataset) -> None:
    seen = seen_labels(street)
    space = seen.label_space("average")

    assert seen.class_names == space.scored == ("road", "car")
    assert space.asked == (("road", "street"), ("car",))
    assert seen.seen.tolist() == [True, True]


def test_unseen_pixels_count_as_ignored(street: FolderDataset) -> None:
    found = seen_labels(street).label_pixels()

    assert (found.of_classes, found.num_ignored) == ((1, 1), 3)


def test_digest_tells_the_seen_classes_from_all_and_from_others(street: FolderDataset, tmp_path: Path) -> None:
    before = seen_labels(street).digest
    (tmp_path / "street" / "classes.json").write_text(json.dumps({**CLASSES, "seen": ["road"]}))
    others = seen_labels(open_folder(tmp_path / "street", "train")).digest

    assert len({street.digest, before, others}) == 3


def test_training_split_of_a_place_has_its_seen_classes_by_name(street: FolderDataset, tmp_path: Path) -> None:
    found = open_named("street", "train-seen", {"street": str(tmp_path / "street")})

    assert found.digest == seen_labels(street).digest


def test_set_that_says_nothing_of_training_is_refused(street: FolderDataset, tmp_path: Path) -> None:
    (tmp_path / "street" / "classes.json").write_text(json.dumps({**CLASSES, "seen": None}))

    with pytest.raises(InputError, match="street: no class of it is known to be seen"):
        seen_labels(open_folder(tmp_path / "street", "train"))
