from dataclasses import replace

import pytest

from logoseg.config import ClipConfig, ModelConfig
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.errors import InputError
from ovlab.specs.overrides import apply_overrides
from ovlab.specs.serialization import spec_from_json, spec_to_json
from ovlab.specs.training import ScheduleSpec, TrainingSpec

SPEC = TrainingSpec(
    model=ModelConfig(clip=ClipConfig(name="x", image_size=32, middle_layer=1, guidance_layers=(0, 1))),
    dataset="shapes-coco",
    split="train",
    augmentation=AugmentationSpec(crop_size=32),
    schedule=ScheduleSpec(steps=100, batch_size=4),
)


def test_schedule_of_the_paper_is_the_default() -> None:
    schedule = SPEC.schedule

    assert (schedule.learning_rate, schedule.image_encoder_scale, schedule.weight_decay) == (2e-4, 0.01, 1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "ScheduleSpec.steps must be at least 1, got 0."),
        ({"batch_size": 0}, "ScheduleSpec.batch_size must be at least 1, got 0."),
        ({"num_microbatches": 3}, "ScheduleSpec.num_microbatches must divide batch_size = 4, got 3."),
        ({"learning_rate": float("nan")}, "ScheduleSpec.learning_rate must be a finite number of at least 0, got nan."),
        ({"weight_decay": -1.0}, "ScheduleSpec.weight_decay must be a finite number of at least 0, got -1.0."),
        ({"warmup_steps": 100}, "ScheduleSpec.warmup_steps must be at least 0 and below steps = 100, got 100."),
        ({"clip_norm": 0.0}, "ScheduleSpec.clip_norm must be above 0, or None for no clipping, got 0.0."),
    ],
)
def test_schedule_with_an_impossible_value_says_what_is_allowed(changes: dict, message: str) -> None:
    with pytest.raises(InputError) as error:
        replace(SPEC.schedule, **changes)

    assert str(error.value) == message


@pytest.mark.parametrize("changes", [{"dataset": ""}, {"split": ""}, {"seed": -1}, {"seed": 2**32}])
def test_training_spec_with_an_impossible_value_is_refused(changes: dict) -> None:
    with pytest.raises(InputError, match=f"TrainingSpec.{next(iter(changes))}"):
        replace(SPEC, **changes)


def test_training_spec_reads_back_equal_from_json() -> None:
    spec = replace(SPEC, augmentation=AugmentationSpec(crop_size=(32, 48), scale_range=(0.5, 2.0)))

    assert spec_from_json(TrainingSpec, spec_to_json(spec), place="here") == spec


def test_overrides_reach_every_group_of_a_training_spec() -> None:
    overrides = ["schedule.steps=7", "augmentation.crop_size=[16, 24]", "model.clip.tuning=frozen", "seed=3"]

    spec = apply_overrides(SPEC, overrides)

    assert spec.schedule.steps == 7
    assert spec.augmentation.crop_shape == (16, 24)
    assert spec.model.clip.tuning == "frozen"
    assert spec.seed == 3
