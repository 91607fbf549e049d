"""How many tokens an image becomes, known from the name of the tower: so that a size that cannot be is refused before
anything runs. No torch here."""

import re
from typing import Protocol, runtime_checkable

from logoseg.clip.bridge_facts import BRIDGES
from logoseg.clip.tower_facts import model_config
from logoseg.config import SIDE_MULTIPLE, ClipConfig, Inference, PaddedImage, SlidingWindow
from logoseg.model_error import ModelError

# Pixels a token of the ConvNeXts: of the released ones, and of our own (logoseg.clip.small_convnext).
_CONVNEXT, _OWN_CONVNEXT = 32, 8
_VIT = re.compile(r"(?:ViT|EVA0\d|PE-Core|MobileCLIP2)-[A-Za-z0-9]+-(\d+)")


@runtime_checkable
class OnGrid(Protocol):
    """A model as data: the towers underneath, and the fewest tokens a side that it can work on."""

    @property
    def clip(self) -> ClipConfig: ...
    @property
    def fewest_tokens(self) -> int: ...


def patch_size(name: str) -> int | None:
    """Side in pixels of the patches of a ViT, which an image must be cut into; None for any other tower."""
    known = model_config(name)
    if known is not None and "patch_size" in known["vision_cfg"]:
        return known["vision_cfg"]["patch_size"]
    found = _VIT.match(name)
    return int(found[1]) if found else None


def token_stride(name: str) -> int | None:
    """Pixels from one token to the next; None for a tower that is known by its weights alone."""
    if name in BRIDGES:
        return BRIDGES[name].output_stride
    if name.startswith("convnext_"):
        return _CONVNEXT
    return _OWN_CONVNEXT if name.startswith("shapes-convnext") else patch_size(name)


def require_regions(model: OnGrid, shape: tuple[int, int], what: str) -> None:
    """Raises ModelError, which begins with `what`, for a height and width in pixels of fewer tokens than the model has
    regions a side."""
    name, (height, width) = model.clip.name, shape
    stride = token_stride(name)
    needed = model.fewest_tokens
    if stride is not None and min(shape) // stride < needed:
        raise ModelError(
            f"{what} is {height} x {width} pixels, {height // stride} x {width // stride} tokens of {name}; "
            f"region_grid needs {needed} a side. Give at least {needed * stride} pixels, or a smaller region_grid."
        )


def require_patches(model: OnGrid, shape: tuple[int, int], what: str) -> None:
    """Raises ModelError, which begins with `what`, for a height and width in pixels that are not whole patches."""
    name, (height, width) = model.clip.name, shape
    patch = patch_size(name)
    if patch is not None and (height % patch or width % patch):
        raise ModelError(f"{what} is {height} x {width} pixels; both sides must be multiples of {patch} for {name}.")


def require_views(model: OnGrid, inference: Inference) -> None:
    """Both, of the smallest view of `inference`."""
    if isinstance(inference, SlidingWindow):
        side = inference.input_size
    elif isinstance(inference, PaddedImage):
        return  # of sides that depend on the photograph; the method brings CLIP's to what it takes
    elif inference.resize == "stretch":
        side = inference.size
    else:
        side = max(1, round(inference.size / SIDE_MULTIPLE)) * SIDE_MULTIPLE
    for require in (require_patches, require_regions):
        require(model, (side, side), "the size at which the model runs")
