"""From an image to the grid of a vision transformer, and from its tokens back to a map.

Axes: B images, L tokens of which the first few stand for no place, M width, h x w places.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, cat
from torch.nn import functional as F

from logoseg.model_error import ModelError


def patch_grid(images: Float[Tensor, "B 3 H W"], patch_size: int) -> tuple[int, int]:
    """Rows and columns of patches. Raises ModelError for an image that is not whole patches."""
    height, width = images.shape[2:]
    if height % patch_size or width % patch_size:
        raise ModelError(
            f"The image is {height} x {width} pixels; both sides must be multiples of the patch, {patch_size}."
        )
    return height // patch_size, width // patch_size


def resize_positions(
    positions: Float[Tensor, "L M"], height: int, width: int, num_prefix: int = 1
) -> Float[Tensor, "L2 M"]:
    """The positional embedding for height x width tokens: that of the first `num_prefix` tokens is kept, the square
    grid resized bicubically.

    Without antialiasing, as the field's code has it: that is another kernel, also where the grid grows.
    """
    side = round((len(positions) - num_prefix) ** 0.5)
    if (side, side) == (height, width):
        return positions
    grid = positions[num_prefix:].T.unflatten(1, (side, side)).unsqueeze(0)
    grid = F.interpolate(grid, size=(height, width), mode="bicubic", align_corners=False)
    return cat([positions[:num_prefix], grid[0].flatten(1).T])


def as_map(tokens: Float[Tensor, "B L M"], grid: tuple[int, int]) -> Float[Tensor, "B M h w"]:
    """The tokens of places, which come last, as a map."""
    return tokens[:, -grid[0] * grid[1] :].transpose(1, 2).unflatten(2, grid)


def require_layers(layers: Sequence[int], num_blocks: int) -> None:
    """Raises ModelError unless each is a block before the last, which gives V."""
    for layer in layers:
        if not 0 <= layer < num_blocks - 1:
            raise ModelError(f"ClipConfig names block {layer}; this tower has 0 .. {num_blocks - 2}.")
