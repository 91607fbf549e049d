"""What the model is shown of a photograph: the whole of it, or windows and a global view.

Steps 1-5 of the CAT-Seg protocol (SlidingWindow), the single stretched view of SED (WholeImage) and the padded one of
SAN (PaddedImage). Pixels stay in [0, 1]; the image encoder normalises them.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from open_clip.constants import OPENAI_DATASET_MEAN
from PIL import Image
from torch import Tensor

from logoseg.config import LARGEST_SIDE, SIDE_MULTIPLE, Inference, PaddedImage, ShortestEdge, SlidingWindow


def views(image: Float[Tensor, "3 H W"], inference: Inference) -> Float[Tensor, "V 3 height width"]:
    """One photograph in [0, 1] as the batch of V views that the model runs on.

    A window view comes in reading order, the global view last. Where the protocol names a loader, it comes first.
    Otherwise a photograph whose short side is longer than `inference.size` is first reduced to it with antialiasing:
    the bilinear stretch alone would skip pixels.
    """
    if inference.loader is not None:
        image = _loaded(image, inference.loader)
    if isinstance(inference, PaddedImage):
        return _padded(image, inference.multiple)[None]
    if isinstance(inference, SlidingWindow):
        return _sliding_views(image, inference)
    if inference.resize == "keep_aspect":
        height, width = image.shape[-2:]
        return _resize_antialiased(image, aspect_size((height, width), inference.size))[None]
    return _stretch(_reduce(image, inference.size), inference.size)[None]


def window_offsets(inference: SlidingWindow) -> list[int]:
    """Where the windows begin along one side, in pixels of the stretched image.

    When the stride does not divide size - kernel, a last window lies flush with the border, so that every pixel is
    covered. ValueError if the windows cannot cover the image.
    """
    size, kernel, stride = inference.size, inference.kernel, inference.stride
    if not 1 <= stride <= kernel <= size:
        raise ValueError(f"SlidingWindow needs 1 <= stride <= kernel <= size, got {stride}, {kernel} and {size}.")
    offsets = list(range(0, size - kernel, stride))
    return [*offsets, size - kernel]


def aspect_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """(height, width) with the short side at `short_side`, both rounded to a multiple of 32 pixels, at least 32; of a
    picture that is so narrow that the long side would be above LARGEST_SIDE, that is the long side."""
    height, width = (min(side * short_side / min(size), float(LARGEST_SIDE)) for side in size)
    return _rounded(height), _rounded(width)


def loaded_size(size: tuple[int, int], loader: ShortestEdge) -> tuple[int, int]:
    """(height, width) after the loader, rounded half up."""
    sides = [side * (loader.size / min(size)) for side in size]
    shrink = min(1.0, loader.longest / max(sides))
    height, width = (max(1, int(side * shrink + 0.5)) for side in sides)
    return height, width


def _loaded(image: Float[Tensor, "3 H W"], loader: ShortestEdge) -> Float[Tensor, "3 h w"]:
    height, width = loaded_size((image.shape[1], image.shape[2]), loader)
    pixels = (image * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized)).to(image.device).permute(2, 0, 1).to(image.dtype) / 255


def _padded(image: Float[Tensor, "3 h w"], multiple: int) -> Float[Tensor, "3 H W"]:
    height, width = (-(-side // multiple) * multiple for side in image.shape[1:])
    padded = torch.tensor(OPENAI_DATASET_MEAN, dtype=image.dtype, device=image.device)[:, None, None]
    padded = padded.expand(3, height, width).clone()
    padded[:, : image.shape[1], : image.shape[2]] = image
    return padded


def _rounded(side: float) -> int:
    return max(1, round(side / SIDE_MULTIPLE)) * SIDE_MULTIPLE


def _sliding_views(image: Float[Tensor, "3 H W"], inference: SlidingWindow) -> Float[Tensor, "V 3 S S"]:
    offsets, kernel = window_offsets(inference), inference.kernel
    square = _stretch(_reduce(image, inference.size), inference.size)
    crops = [square[:, y : y + kernel, x : x + kernel] for y in offsets for x in offsets]
    if inference.global_view:
        crops.append(_stretch(_reduce(image, inference.size), kernel))
    return F.interpolate(
        torch.stack(crops), size=(inference.input_size, inference.input_size), mode="bilinear", align_corners=False
    )


def _reduce(image: Float[Tensor, "3 H W"], short_side: int) -> Float[Tensor, "3 h w"]:
    """The image with its short side at most `short_side`, aspect kept."""
    scale = short_side / min(image.shape[-2:])
    if scale >= 1:
        return image
    height, width = (round(side * scale) for side in image.shape[-2:])
    return _resize_antialiased(image, (height, width))


def _stretch(image: Float[Tensor, "3 H W"], side: int) -> Float[Tensor, "3 S S"]:
    return F.interpolate(image[None], size=(side, side), mode="bilinear", align_corners=False)[0]


def _resize_antialiased(image: Float[Tensor, "3 H W"], size: tuple[int, int]) -> Float[Tensor, "3 h w"]:
    return F.interpolate(image[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]
