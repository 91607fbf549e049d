"""The pre-training of a small CLIP as data: which towers, two stages, a seed."""

from collections.abc import Callable
from dataclasses import dataclass

from logoseg.config import ClipConfig
from logoseg.presets import PRESETS
from ovlab.specs.training import ScheduleSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainingSpec:
    """A pre-training run: its weights follow from these values and the shapes world alone.

    Three stages, each with its own schedule. half_size and full_size: close-ups of one object, whose colour, texture,
    shape and stuff are told one by one. contrastive: captioned scenes and close-ups, with CLIP's loss.
    """

    clip: ClipConfig
    half_size: ScheduleSpec
    full_size: ScheduleSpec
    contrastive: ScheduleSpec
    seed: int = 0

    @property
    def steps(self) -> int:
        """Updates of all stages."""
        return self.half_size.steps + self.full_size.steps + self.contrastive.steps


def _small_clip(preset: str, *, learning_rate: float, steps: tuple[int, int, int]) -> PretrainingSpec:
    half_size, full_size, contrastive = (
        ScheduleSpec(
            steps=num_steps,
            batch_size=64,
            learning_rate=learning_rate * share,
            weight_decay=0.05,
            warmup_steps=num_steps // 20,
        )
        for num_steps, share in zip(steps, (1.0, 0.5, 0.1), strict=True)
    )
    return PretrainingSpec(
        clip=PRESETS[preset]().clip, half_size=half_size, full_size=full_size, contrastive=contrastive
    )


# Half an hour to an hour of one CPU core each; half-size pictures cost a quarter of full-size ones.
SMALL_CLIPS: dict[str, Callable[[], PretrainingSpec]] = {
    "shapes-vit-s": lambda: _small_clip("shapes-vit-s", learning_rate=1e-3, steps=(1000, 250, 250)),
    "shapes-vit-l": lambda: _small_clip("shapes-vit-l", learning_rate=1e-3, steps=(900, 200, 200)),
    "shapes-convnext-s": lambda: _small_clip("shapes-convnext-s", learning_rate=2e-3, steps=(1200, 250, 250)),
    "shapes-convnext-l": lambda: _small_clip("shapes-convnext-l", learning_rate=2e-3, steps=(1000, 200, 200)),
}
