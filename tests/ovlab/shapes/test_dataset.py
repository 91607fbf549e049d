import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable

import numpy as np
import pytest

from ovlab.datasets.sample import IGNORE_INDEX, Sample, SegmentationDataset
from ovlab.shapes.dataset import open_shapes
from ovlab.specs.errors import InputError

# The first hundred scenes of shapes-a-847, image and label bytes. This number defines the suite: results on two
# machines are comparable only while it holds, and whoever changes it makes a new suite.
DIGEST = "a0435b6e89aab5854c1917642e9b5cb7ac55a247c3809432768a931cca3d7013"


def digest(samples: Iterable[Sample]) -> str:
    state = hashlib.sha256()
    for sample in samples:
        state.update(sample.image.tobytes())
        state.update(sample.label.astype("<u2").tobytes())
    return state.hexdigest()


def test_hundred_scenes_are_the_same_bytes_everywhere() -> None:
    assert digest(open_shapes("shapes-a-847", "val", num_samples=100)) == DIGEST


def test_scenes_painted_without_compiler_in_another_process_are_the_same_bytes() -> None:
    script = (
        "import hashlib; from ovlab.shapes.dataset import open_shapes; state = hashlib.sha256()\n"
        "for s in open_shapes('shapes-a-847', 'val', num_samples=2):\n"
        "    state.update(s.image.tobytes()); state.update(s.label.astype('<u2').tobytes())\n"
        "print(state.hexdigest())"
    )
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONHASHSEED": "1"}

    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=300
    )

    assert result.stdout.strip() == digest(open_shapes("shapes-a-847", "val", num_samples=2))


def test_sample_is_the_same_in_any_order() -> None:
    dataset = open_shapes("shapes-coco", "train")

    later, earlier = dataset[1234], dataset[3]

    np.testing.assert_array_equal(dataset[1234].image, later.image)
    np.testing.assert_array_equal(dataset[1234].label, later.label)
    assert (earlier.image != later.image).any()


def test_dataset_offers_what_every_data_set_offers() -> None:
    dataset: SegmentationDataset = open_shapes("shapes-pc-59", "val", num_samples=7)

    samples = [dataset[index] for index in range(len(dataset))]

    assert dataset.name == "shapes-pc-59"
    assert dataset.sample_ids == tuple(sample.id for sample in samples) == tuple(f"00000{i}" for i in range(7))
    assert all(sample.image.shape == (96, 96, 3) and sample.image.dtype == np.uint8 for sample in samples)
    assert all(sample.label.shape == (96, 96) and sample.label.dtype == np.uint16 for sample in samples)
    assert all(((s.label < 59) | (s.label == IGNORE_INDEX)).all() for s in samples)


@pytest.mark.parametrize("index", [-1, 7])
def test_dataset_index_outside_the_split_raises_index_error(index: int) -> None:
    with pytest.raises(IndexError, match="there are 7"):
        open_shapes("shapes-pc-59", "val", num_samples=7)[index]


@pytest.mark.parametrize(
    ("name", "split", "num_samples", "message"),
    [
        ("shapes-a-15", "val", None, "Did you mean 'shapes-a-150'"),
        ("camvid", "val", None, "There are shapes-coco"),
        ("shapes-pas-20", "train", None, "It has val"),
        ("shapes-coco", "val", 0, "at least 1, got 0"),
    ],
)
def test_open_shapes_bad_call_says_what_is_allowed(
    name: str, split: str, num_samples: int | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        open_shapes(name, split, num_samples=num_samples)


@pytest.mark.parametrize("name", ["shapes-coco", "shapes-pc-59", "shapes-a-150"])
def test_training_split_knows_only_the_seen_classes(name: str) -> None:
    train, val = open_shapes(name, "train"), open_shapes(name, "val")

    assert all(train.seen)
    assert train.class_names == tuple(c for c, seen in zip(val.class_names, val.seen, strict=True) if seen)
    assert train.class_names == val.class_names[: len(train.class_names)]
    assert len(train) > len(val)
