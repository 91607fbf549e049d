from dataclasses import replace

from logoseg.config import ClipConfig, ModelConfig
from ovlab.specs.fields import Difference, differences, leaves

MODEL = ModelConfig(clip=ClipConfig(name="x", image_size=32, middle_layer=1, guidance_layers=(0, 1)))


def test_leaves_of_a_nested_spec_have_dotted_names_and_no_groups() -> None:
    found = leaves(MODEL)

    assert found["clip.image_size"] == 32
    assert found["guidance_dim"] == MODEL.guidance_dim
    assert "clip" not in found


def test_differences_of_changed_specs_name_both_values_in_order() -> None:
    changed = replace(MODEL, clip=replace(MODEL.clip, image_size=64), fusion_depth=3)

    assert differences(MODEL, changed) == (
        Difference("clip.image_size", 32, 64),
        Difference("fusion_depth", MODEL.fusion_depth, 3),
    )


def test_differences_of_equal_specs_are_none() -> None:
    assert differences(MODEL, replace(MODEL)) == ()
