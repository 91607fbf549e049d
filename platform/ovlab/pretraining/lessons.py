"""What the stages of pre-training look at: batches that are a function of the seed and the update alone."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from ovlab.shapes.close_ups import captioned_scene, close_up

# Of a contrastive batch, the share of close-ups; the rest are scenes.
CLOSE_UP_SHARE = 0.35
# One seed, one world: the stages draw from numbers that no benchmark uses.
_STAGE_SEEDS = 1_000_003


class AttributeBatch(NamedTuple):
    """Close-ups, K to an image. attributes: colour, texture, shape and stuff, each counted from 0."""

    images: Float32[Tensor, "B 3 96 96"]
    attributes: Int64[Tensor, "B*K 4"]
    captions: tuple[str, ...]


class CaptionBatch(NamedTuple):
    """Pictures and one caption each."""

    images: Float32[Tensor, "B 3 96 96"]
    captions: tuple[str, ...]


def attribute_batch(seed: int, step: int, num_close_ups: int, *, grid: int) -> AttributeBatch:
    """The close-ups of update `step`, shrunk to form mosaics of `grid` x `grid`, row by row.

    Raises ValueError when they fill no whole number of mosaics, or the grid does not divide the 96 pixels.
    """
    drawn = [close_up(_stream(seed, 0), step * num_close_ups + place) for place in range(num_close_ups)]
    images = np.stack([_shrunk(one.image, grid) for one in drawn])
    side = images.shape[1]
    mosaics = images.reshape(-1, grid, grid, side, side, 3).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 96, 96, 3)
    attributes = torch.tensor([(c.colour, c.texture, c.shape, one.stuff) for one in drawn for c in [one.composition]])
    return AttributeBatch(_as_images(mosaics), attributes, tuple(one.caption for one in drawn))


def caption_batch(seed: int, step: int, batch_size: int) -> CaptionBatch:
    """The pictures of update `step` of the contrastive stage: close-ups first, then scenes."""
    num_close_ups = round(CLOSE_UP_SHARE * batch_size)
    first = step * batch_size
    drawn = [close_up(_stream(seed, 1), first + place) for place in range(num_close_ups)]
    scenes = [captioned_scene(_stream(seed, 2), first + place) for place in range(batch_size - num_close_ups)]
    images, captions = zip(*((one.image, one.caption) for one in drawn), *scenes, strict=True)
    return CaptionBatch(_as_images(np.stack(images)), captions)


def _stream(seed: int, stage: int) -> int:
    return _STAGE_SEEDS + 3 * seed + stage


def _shrunk(image: UInt8[np.ndarray, "H W 3"], factor: int) -> UInt8[np.ndarray, "h w 3"]:
    blocks = image.reshape(len(image) // factor, factor, -1, factor, 3)
    return blocks.mean(axis=(1, 3), dtype=np.float32).round().astype(np.uint8)


def _as_images(pixels: UInt8[np.ndarray, "B H W 3"]) -> Float32[Tensor, "B 3 H W"]:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float().div_(255)
