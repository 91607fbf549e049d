"""One training run as data: which model, on which split, for how long, from which seed.

Everything here is identity: change a value and it is another run. Where the run happens (device, loader workers,
folders, trackers) is no part of it.
"""

import math
from dataclasses import dataclass
from typing import Literal

from logoseg.clip.tower_facts import require_tower
from logoseg.token_grid import require_patches, require_regions
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.errors import InputError
from ovlab.specs.method import Model

# What every generator accepts as a seed.
LARGEST_SEED = 2**32 - 1
# Far above whatever was trained. Larger ones are slips of the keyboard.
MOST_STEPS, LARGEST_BATCH = 100_000_000, 65_536


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleSpec:
    """How the weights move. The learning rates, the decay and the encoder's scale are the paper's (section 3.2).

    A step is one optimiser update on `batch_size` images, whatever the number of processes. It is computed in
    `num_microbatches` equal parts, one after the other, to need less memory; the update is the same up to float
    summation.
    """

    steps: int
    batch_size: int
    learning_rate: float = 2e-4
    # The image encoder learns at learning_rate * image_encoder_scale.
    image_encoder_scale: float = 0.01
    # Not on norms, biases and other vectors.
    weight_decay: float = 1e-4
    # The paper's schedule is "warm-up cosine", its warm-up not given (A25); the field's code uses 0.
    warmup_steps: int = 0
    # Largest norm of the gradient of all weights together; None never clips. CAT-Seg clips at 0.01 a loss that is
    # also divided by its 171 classes. On the scale of eq. 13, which is not, that is 1.7, of which 1 is the round
    # figure. It rarely matters more than that: Adam does not feel the scale of a gradient that is always clipped.
    clip_norm: float | None = 1.0
    num_microbatches: int = 1
    # Eq. 13 divides by the labelled pixels; "pixels_and_classes" also by the number of classes (A21).
    loss_normalisation: Literal["pixels", "pixels_and_classes"] = "pixels"
    # "bfloat16" computes the network in mixed precision; weights, loss and optimiser stay float32.
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        for name, largest in (
            ("steps", MOST_STEPS),
            ("batch_size", LARGEST_BATCH),
            ("num_microbatches", LARGEST_BATCH),
        ):
            _require(getattr(self, name) >= 1, f"{name} must be at least 1", getattr(self, name))
            _require(getattr(self, name) <= largest, f"{name} must be at most {largest}", getattr(self, name))
        for name in ("learning_rate", "image_encoder_scale", "weight_decay"):
            value = getattr(self, name)
            _require(math.isfinite(value) and value >= 0, f"{name} must be a finite number of at least 0", value)
        _require(
            0 <= self.warmup_steps < self.steps,
            f"warmup_steps must be at least 0 and below steps = {self.steps}",
            self.warmup_steps,
        )
        _require(
            self.clip_norm is None or (math.isfinite(self.clip_norm) and self.clip_norm > 0),
            "clip_norm must be above 0, or None for no clipping",
            self.clip_norm,
        )
        _require(
            self.batch_size % self.num_microbatches == 0,
            f"num_microbatches must divide batch_size = {self.batch_size}",
            self.num_microbatches,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSpec:
    """A run: its weights follow from these values, the data and the released CLIP weights alone.

    `dataset` is a name of `ovlab data list` or a folder; `split` one of its splits.
    """

    model: Model
    dataset: str
    split: str
    augmentation: AugmentationSpec
    schedule: ScheduleSpec
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("dataset", "split"):
            if not getattr(self, name):
                raise InputError(f"TrainingSpec.{name} is empty; give a name.")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise InputError(f"TrainingSpec.seed must be in 0 .. {LARGEST_SEED}, got {self.seed}.")


def require_trainable(spec: TrainingSpec) -> None:
    """Raises ModelError unless the tower is what the model needs of it, its image and a crop are whole patches, and a
    crop has at least as many tokens a side as the model has regions."""
    clip = spec.model.clip
    require_tower(clip)
    require_patches(spec.model, (clip.image_size, clip.image_size), "model.clip.image_size")
    for require in (require_patches, require_regions):
        require(spec.model, spec.augmentation.crop_shape, "augmentation.crop_size")


def _require(condition: bool, rule: str, found: object) -> None:
    if not condition:
        raise InputError(f"ScheduleSpec.{rule}, got {found}.")
