"""The pre-training of a small CLIP as data: which towers, three stages, a seed."""

from collections.abc import Callable
from dataclasses import dataclass

from logoseg.clip.tower_facts import require_tower
from logoseg.config import ClipConfig
from logoseg.presets import PRESETS
from ovlab.specs.errors import InputError
from ovlab.specs.training import LARGEST_SEED, ScheduleSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainingSpec:
    """A pre-training run: its weights follow from these values and the shapes world alone.

    Three stages, each with its own schedule. mosaics and close_ups: close-ups of one object, four to an image and then
    one, whose colour, texture, shape and stuff are told one by one; a batch counts close-ups. contrastive: captioned
    scenes and close-ups, with CLIP's loss.
    """

    clip: ClipConfig
    mosaics: ScheduleSpec
    close_ups: ScheduleSpec
    contrastive: ScheduleSpec
    seed: int = 0

    def __post_init__(self) -> None:
        require_tower(self.clip)
        if not 0 <= self.seed <= LARGEST_SEED:
            raise InputError(f"PretrainingSpec.seed must be in 0 .. {LARGEST_SEED}, got {self.seed}.")

    @property
    def steps(self) -> int:
        """Updates of all stages."""
        return self.mosaics.steps + self.close_ups.steps + self.contrastive.steps


def _small_clip(preset: str, *, learning_rate: float, steps: tuple[int, int, int]) -> PretrainingSpec:
    mosaics, close_ups, contrastive = (
        ScheduleSpec(
            steps=num_steps,
            batch_size=64,
            learning_rate=learning_rate * share,
            weight_decay=0.05,
            warmup_steps=min(100, num_steps // 20),
        )
        for num_steps, share in zip(steps, (1.0, 0.5, 0.05), strict=True)
    )
    return PretrainingSpec(clip=PRESETS[preset]().clip, mosaics=mosaics, close_ups=close_ups, contrastive=contrastive)


# A close-up of a mosaic costs a quarter of one that fills the image, and shape takes most of these updates to come.
SMALL_CLIPS: dict[str, Callable[[], PretrainingSpec]] = {
    "shapes-vit-s": lambda: _small_clip("shapes-vit-s", learning_rate=1e-3, steps=(2200, 80, 60)),
    "shapes-vit-l": lambda: _small_clip("shapes-vit-l", learning_rate=1e-3, steps=(2200, 80, 60)),
    "shapes-convnext-s": lambda: _small_clip("shapes-convnext-s", learning_rate=2e-3, steps=(2000, 600, 60)),
    "shapes-convnext-l": lambda: _small_clip("shapes-convnext-l", learning_rate=2e-3, steps=(2000, 500, 60)),
}
