"""Pictures with words, for contrastive pre-training and for measuring what a vision-language model can name.

By default every composition and all stuff are shown, as CLIP's pictures show everything that a benchmark names:
"unseen" means unseen by dense training only. Held out here too, a composition would be ruled out by its own parts: a
model that has met no red circle takes red for evidence against a circle.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from ovlab.shapes.captions import caption
from ovlab.shapes.render import render
from ovlab.shapes.sampling import SceneDistribution, draw_close_up, draw_scene, uniform_distribution
from ovlab.shapes.world import COMPOSITIONS, NUM_COMPOSITIONS, STUFF_IDS, Composition

ALL_COMPOSITIONS = tuple(range(NUM_COMPOSITIONS))


class CloseUp(NamedTuple):
    """One large object in front of one kind of stuff (a position in STUFF), and a caption of both or either."""

    image: UInt8[np.ndarray, "96 96 3"]
    composition: Composition
    stuff: int
    caption: str


def close_up(seed: int, index: int, compositions: Sequence[int] = ALL_COMPOSITIONS) -> CloseUp:
    """The object is drawn from `compositions` (world ids)."""
    scene = draw_close_up(compositions, STUFF_IDS, seed, index)
    rendering = render(scene)
    shown = COMPOSITIONS[scene.objects[0].composition]
    return CloseUp(rendering.image, shown, scene.regions[0].stuff, caption(scene, rendering))


def captioned_scene(
    seed: int, index: int, distribution: SceneDistribution | None = None
) -> tuple[UInt8[np.ndarray, "96 96 3"], str]:
    """A scene and a caption of a random part of it; without a distribution, any compositions on any stuff."""
    scene = draw_scene(distribution or _pretraining_distribution(), seed, index)
    rendering = render(scene)
    return rendering.image, caption(scene, rendering)


@lru_cache(maxsize=1)
def _pretraining_distribution() -> SceneDistribution:
    return uniform_distribution(ALL_COMPOSITIONS, STUFF_IDS)
