"""ovlab.benchmarks.synthetic_download: a split to measure with, the same wherever and however large it is made."""

from pathlib import Path

import numpy as np

from ovlab.benchmarks.synthetic_download import write_download
from ovlab.datasets.encoding import image_size
from ovlab.datasets.sample import IGNORE_INDEX


def test_write_download_more_images_leaves_the_first_ones_as_they_are(tmp_path: Path) -> None:
    few = write_download(tmp_path / "few", num_images=2, height=30, width=40, num_classes=9)
    many = write_download(tmp_path / "many", num_images=4, height=30, width=40, num_classes=9)

    assert many.sample_ids[:2] == few.sample_ids
    for sample_id in few.sample_ids:
        one, other = few.read(sample_id), many.read(sample_id)
        assert one.image_bytes == other.image_bytes
        np.testing.assert_array_equal(one.label, other.label)


def test_write_download_labels_are_classes_or_ignored_and_as_large_as_the_image(tmp_path: Path) -> None:
    split = write_download(tmp_path, num_images=6, height=30, width=40, num_classes=9)
    pairs = [split.read(sample_id) for sample_id in split.sample_ids]
    values = np.unique([pair.label for pair in pairs])

    assert set(values.tolist()) <= {*range(9), IGNORE_INDEX}
    assert values.max() == IGNORE_INDEX
    assert len(values) > 4
    assert all(image_size(pair.image_bytes, "") == pair.label.shape == (30, 40) for pair in pairs)
