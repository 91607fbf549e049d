import json
from dataclasses import replace

import pytest

from logoseg.config import ClipConfig, ModelConfig
from ovlab.specs.errors import InputError
from ovlab.specs.serialization import spec_from_json, spec_to_json

CLIP = ClipConfig(name="x", image_size=32, middle_layer=1, guidance_layers=(0, 1))
MODEL = ModelConfig(clip=CLIP, prior_weight="adaptive", prompt_templates=("a {}", "Grüße {}"))


@pytest.mark.parametrize(
    "spec", [MODEL, replace(MODEL, prior_weight=0.1 + 0.2), replace(MODEL, clip=replace(CLIP, stem="convolutions"))]
)
def test_json_of_a_spec_reads_back_equal(spec: ModelConfig) -> None:
    assert spec_from_json(ModelConfig, spec_to_json(spec), place="here") == spec


def test_json_without_a_defaulted_field_takes_the_default() -> None:
    content = json.loads(spec_to_json(MODEL))
    del content["guidance_dim"]

    assert (
        spec_from_json(ModelConfig, json.dumps(content), place="here").guidance_dim
        == ModelConfig(clip=CLIP).guidance_dim
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"guidence_dim": 1}, ["no such field guidence_dim", "nearest name is guidance_dim"]),
        ({"guidance_dim": "128"}, ["guidance_dim", "valid integer"]),
        ({"fusion_depth": 0}, ["ModelConfig.fusion_depth must be at least 1, got 0."]),
        ({"clip": {"name": "x"}}, ["clip.image_size", "required"]),
        ({"clip": {**json.loads(spec_to_json(CLIP)), "nmae": 1}}, ["no such field clip.nmae", "clip.name"]),
    ],
)
def test_json_that_is_wrong_names_the_place_and_the_field(changes: dict, words: list[str]) -> None:
    content = json.loads(spec_to_json(MODEL)) | changes

    with pytest.raises(InputError) as error:
        spec_from_json(ModelConfig, json.dumps(content), place="spec.json")

    assert str(error.value).startswith("spec.json: ")
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_json_that_is_cut_off_is_refused() -> None:
    with pytest.raises(InputError, match=r"spec\.json: Invalid JSON"):
        spec_from_json(ModelConfig, spec_to_json(MODEL)[:-10], place="spec.json")
