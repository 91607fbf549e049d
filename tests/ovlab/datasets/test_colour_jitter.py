"""Colour jitter against the standard library's HSV, and its limits."""

import colorsys

import numpy as np
import pytest

from ovlab.datasets.colour_jitter import ColourDraws, jitter_colours
from ovlab.specs.augmentation import AugmentationSpec

OFF = ColourDraws(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, contrast_last=0.0)
STRONG = AugmentationSpec(crop_size=8, brightness=0.2, contrast=0.5, saturation=0.5, hue=0.25)


@pytest.fixture
def image() -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    pixels[0, :10] = 0
    pixels[0, 10:20] = 255
    pixels[0, 20:] = 90
    return pixels


def by_hand(image: np.ndarray, *, saturation: float, turn: float) -> np.ndarray:
    result = np.empty(image.shape)
    for place in np.ndindex(image.shape[:2]):
        hue, chroma, value = colorsys.rgb_to_hsv(*(image[place] / 255))
        result[place] = colorsys.hsv_to_rgb((hue + turn) % 1, min(1.0, chroma * saturation), value)
    return result * 255


@pytest.mark.parametrize(
    ("saturation", "hue", "factor", "turn"),
    [
        (1.0, 0.0, 1.5, 0.0),
        (0.5, 0.0, 0.5, 0.0),
        (0.0, 1.0, 1.0, 0.25),
        (0.0, 0.5, 1.0, -0.25),
        (0.875, 0.625, 1.25, -0.125),
    ],
)
def test_jitter_saturation_and_hue_agree_with_hsv(
    image: np.ndarray, saturation: float, hue: float, factor: float, turn: float
) -> None:
    jittered = jitter_colours(image, STRONG, OFF._replace(saturation=min(saturation, 1 - 1e-9), hue=min(hue, 1 - 1e-9)))

    assert np.abs(jittered - by_hand(image, saturation=factor, turn=turn)).max() < 0.51


def test_jitter_brightness_adds_and_contrast_multiplies(image: np.ndarray) -> None:
    levels = image.astype(np.float64)
    brighter = jitter_colours(image, STRONG, OFF._replace(brightness=0.5))  # the lower end: - 0.2 of the range
    steeper = jitter_colours(image, STRONG, OFF._replace(contrast=0.875))  # + 0.25

    assert np.abs(brighter - np.clip(levels - 51, 0, 255)).max() <= 0.5
    assert np.abs(steeper - np.clip(levels * 1.25, 0, 255)).max() <= 0.5


def test_jitter_contrast_before_and_after_saturation_differ_by_the_cut_alone() -> None:
    image = np.array([[[200, 100, 100], [80, 40, 60]]], dtype=np.uint8)
    draws = ColourDraws(brightness=0.0, contrast=0.875, saturation=0.5, hue=0.0, contrast_last=0.0)

    first = jitter_colours(image, STRONG, draws).astype(int)
    last = jitter_colours(image, STRONG, draws._replace(contrast_last=0.5)).astype(int)

    np.testing.assert_array_equal(first, [[[250, 188, 188], [100, 75, 88]]])  # * 1.25, then half the chroma
    assert np.abs(first - last).max() <= 1


def test_jitter_with_all_draws_below_one_half_changes_nothing(image: np.ndarray) -> None:
    np.testing.assert_array_equal(jitter_colours(image, STRONG, OFF), image)


def test_jitter_of_strength_zero_changes_nothing(image: np.ndarray) -> None:
    still = AugmentationSpec(crop_size=8, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)

    np.testing.assert_array_equal(jitter_colours(image, still, ColourDraws(0.9, 0.8, 0.7, 0.6, 0.5)), image)


def test_jitter_grey_stays_grey(image: np.ndarray) -> None:
    grey = np.repeat(image[..., :1], 3, axis=2)

    jittered = jitter_colours(grey, STRONG, ColourDraws(0.9, 0.6, 0.9, 0.9, 0.9))

    assert (jittered == jittered[..., :1]).all()
