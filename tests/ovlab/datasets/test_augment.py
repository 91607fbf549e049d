"""Augmentation: the label goes where the image goes, and only (seed, index) decides where that is."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ovlab.datasets.augment import augment
from ovlab.datasets.sample import IGNORE_INDEX, Sample
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.errors import InputError

GEOMETRY = AugmentationSpec(crop_size=48, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)


def scene(height: int = 60, width: int = 100, block: int = 20) -> Sample:
    """Blocks of one class each; the red channel of a pixel is eight times its class."""
    rows, columns = np.mgrid[:height, :width]
    label = (rows // block * (width // block) + columns // block).astype(np.uint16)
    image = np.stack([label * 8, np.full_like(label, 77), 255 - label * 8], axis=2).astype(np.uint8)
    return Sample("scene", image, label)


def digest(sample: Sample) -> str:
    return hashlib.sha256(sample.image.tobytes() + sample.label.tobytes()).hexdigest()


def inside_blocks(label: np.ndarray) -> np.ndarray:
    """True where the 7 x 7 pixels around a pixel are of one class, so that resizing mixes no colours there."""
    padded = np.pad(label.astype(np.int64), 3, constant_values=-1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7))
    return windows.min(axis=(2, 3)) == windows.max(axis=(2, 3))


@pytest.mark.parametrize("scale_range", [(1.0, 1.0), (0.4, 0.6), (1.0, 2.5)])
@pytest.mark.parametrize("crop_size", [48, (30, 64), 90])
def test_augment_label_follows_image(scale_range: tuple[float, float], crop_size: int | tuple[int, int]) -> None:
    spec = replace(GEOMETRY, scale_range=scale_range, crop_size=crop_size)
    compared = 0
    for index in range(20):
        crop = augment(scene(), spec, seed=1, index=index)

        assert crop.image.shape == (*spec.crop_shape, 3)
        assert crop.label.shape == spec.crop_shape
        sure = inside_blocks(crop.label) & (crop.label != IGNORE_INDEX)
        np.testing.assert_allclose(crop.image[..., 0][sure], crop.label[sure] * 8, atol=1)
        compared += sure.sum()
    assert compared > 200


def test_augment_without_any_choice_is_the_photograph_itself() -> None:
    square = scene(60, 60)
    spec = replace(GEOMETRY, crop_size=60, flip_probability=0.0)

    crop = augment(square, spec, seed=0, index=0)

    np.testing.assert_array_equal(crop.image, square.image)
    np.testing.assert_array_equal(crop.label, square.label)


def test_augment_flip_probability_one_is_the_mirror_image() -> None:
    square = scene(60, 60)
    spec = replace(GEOMETRY, crop_size=60, flip_probability=1.0)

    crop = augment(square, spec, seed=0, index=0)

    np.testing.assert_array_equal(crop.image, square.image[:, ::-1])
    np.testing.assert_array_equal(crop.label, square.label[:, ::-1])


def test_augment_small_photograph_is_padded_with_grey_and_ignored() -> None:
    spec = replace(GEOMETRY, crop_size=40, scale_range=(0.5, 0.5))

    crop = augment(scene(60, 60), spec, seed=0, index=0)

    assert (crop.label[:20, :20] != IGNORE_INDEX).all()
    outside = np.ones((40, 40), bool)
    outside[:20, :20] = False
    assert (crop.label[outside] == IGNORE_INDEX).all()
    assert (crop.image[outside] == 128).all()


def test_augment_every_place_of_the_crop_is_equally_likely() -> None:
    columns = np.tile(np.arange(8, dtype=np.uint16), (4, 1))
    strip = Sample("strip", np.zeros((4, 8, 3), np.uint8), columns)
    spec = replace(GEOMETRY, crop_size=4, flip_probability=0.0)

    lefts = [int(augment(strip, spec, seed=0, index=index).label[0, 0]) for index in range(500)]

    for left in range(5):
        # binomial with standard deviation 9: five of them
        assert abs(lefts.count(left) - 100) < 45


def test_augment_ignored_pixels_stay_ignored() -> None:
    sample = scene()
    sample.label[:] = IGNORE_INDEX

    assert (augment(sample, AugmentationSpec(crop_size=32), seed=2, index=5).label == IGNORE_INDEX).all()


def test_augment_leaves_its_input_alone() -> None:
    sample = scene()
    before = digest(sample)

    augment(sample, AugmentationSpec(crop_size=32), seed=2, index=5)

    assert digest(sample) == before


def test_augment_colours_do_not_move_the_crop() -> None:
    spec = replace(GEOMETRY, scale_range=(0.5, 2.0))
    colourful = replace(spec, brightness=0.5, contrast=0.5, saturation=0.5, hue=0.5)

    for index in range(10):
        still = augment(scene(), spec, seed=3, index=index)
        changed = augment(scene(), colourful, seed=3, index=index)

        np.testing.assert_array_equal(changed.label, still.label)


def test_augment_depends_on_seed_and_index_alone() -> None:
    spec = AugmentationSpec(crop_size=32, scale_range=(0.5, 2.0))
    forward = [digest(augment(scene(), spec, seed=7, index=index)) for index in range(12)]
    backward = [digest(augment(scene(), spec, seed=7, index=index)) for index in reversed(range(12))]

    assert forward == backward[::-1]
    assert len(set(forward)) == 12
    assert digest(augment(scene(), spec, seed=8, index=0)) != forward[0]


def test_augment_in_another_process_is_the_same() -> None:
    spec = AugmentationSpec(crop_size=32, scale_range=(0.5, 2.0))
    here = [digest(augment(scene(), spec, seed=7, index=index)) for index in range(6)]
    code = (
        "import hashlib, sys\n"
        "import numpy as np\n"
        "from ovlab.datasets.augment import augment\n"
        "from ovlab.datasets.sample import Sample\n"
        "from ovlab.specs.augmentation import AugmentationSpec\n"
        "rows, columns = np.mgrid[:60, :100]\n"
        "label = (rows // 20 * 5 + columns // 20).astype(np.uint16)\n"
        "image = np.stack([label * 8, np.full_like(label, 77), 255 - label * 8], axis=2).astype(np.uint8)\n"
        "spec = AugmentationSpec(crop_size=32, scale_range=(0.5, 2.0))\n"
        "for index in (5, 4, 3, 2, 1, 0):\n"
        "    crop = augment(Sample('scene', image, label), spec, seed=7, index=index)\n"
        "    print(hashlib.sha256(crop.image.tobytes() + crop.label.tobytes()).hexdigest())\n"
    )

    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert there == here[::-1]


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1), (2**64, 0)])
def test_augment_of_impossible_values_is_refused(seed: int, index: int) -> None:
    with pytest.raises(InputError, match="seed and index"):
        augment(scene(), GEOMETRY, seed=seed, index=index)
