"""The augmentation spec: what it refuses, and how it travels as JSON."""

from typing import Any

import pytest

from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.errors import InputError
from ovlab.specs.serialization import spec_from_json, spec_to_json


def test_crop_shape_one_number_is_a_square() -> None:
    assert AugmentationSpec(crop_size=384).crop_shape == (384, 384)
    assert AugmentationSpec(crop_size=(288, 384)).crop_shape == (288, 384)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"crop_size": 0}, "crop_size"),
        ({"crop_size": (64, 0)}, "crop_size"),
        ({"scale_range": (0.0, 1.0)}, "scale_range"),
        ({"scale_range": (2.0, 1.0)}, "scale_range"),
        ({"scale_range": (1.0, float("inf"))}, "scale_range"),
        ({"flip_probability": 1.5}, "flip_probability"),
        ({"brightness": -0.1}, "brightness"),
        ({"contrast": 1.1}, "contrast"),
        ({"hue": 0.6}, "hue"),
    ],
)
def test_spec_value_out_of_range_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=f"AugmentationSpec.{named} must be"):
        AugmentationSpec(**{"crop_size": 384, **change})


def test_spec_written_as_json_reads_back_equal() -> None:
    spec = AugmentationSpec(crop_size=(288, 384), scale_range=(0.5, 2.0), hue=0.0)

    assert spec_from_json(AugmentationSpec, spec_to_json(spec), place="here") == spec
