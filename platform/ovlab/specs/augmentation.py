"""What happens to a training photograph before the network sees it. The defaults are CAT-Seg's, colours included."""

from dataclasses import dataclass

from logoseg.config import LARGEST_SIDE
from ovlab.specs.errors import InputError

# Above it a crop shows a few pixels of the photograph: a slip of the keyboard.
LARGEST_SCALE = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentationSpec:
    """Random resize, crop, flip and colour, in this order.

    crop_size: side in pixels of the square that is cut out, or (height, width).
    scale_range: the photograph is resized so that it just covers the crop (for a square: short side = crop_size),
    times a factor drawn from this range. Below 1 the rest of the crop is padded and ignored.
    flip_probability: of a mirror image, left to right.
    brightness, contrast, saturation, hue: strengths of the colour jitter of SSD (Liu et al. 2016); 0 turns one off.
    Brightness is added (1 is the whole range of a channel), contrast and saturation are factors in 1 +- strength, hue
    is turned by a fraction of the circle. Each acts on half of the images.
    """

    crop_size: int | tuple[int, int]
    scale_range: tuple[float, float] = (1.0, 1.0)
    flip_probability: float = 0.5
    brightness: float = 32 / 255
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 0.1

    def __post_init__(self) -> None:
        _require(
            min(self.crop_shape) >= 1 and max(self.crop_shape) <= LARGEST_SIDE,
            f"crop_size must be in 1 .. {LARGEST_SIDE} pixels",
            self.crop_size,
        )
        low, high = self.scale_range
        _require(
            0 < low <= high <= LARGEST_SCALE,
            f"scale_range must be (low, high), 0 < low <= high <= {LARGEST_SCALE}",
            self.scale_range,
        )
        _require(0 <= self.flip_probability <= 1, "flip_probability must be in 0 .. 1", self.flip_probability)
        for name, largest in (("brightness", 1.0), ("contrast", 1.0), ("saturation", 1.0), ("hue", 0.5)):
            strength = getattr(self, name)
            _require(0 <= strength <= largest, f"{name} must be in 0 .. {largest}", strength)

    @property
    def crop_shape(self) -> tuple[int, int]:
        """Height and width of the crop in pixels."""
        return (self.crop_size, self.crop_size) if isinstance(self.crop_size, int) else self.crop_size


def _require(condition: bool, rule: str, found: object) -> None:
    if not condition:
        raise InputError(f"AugmentationSpec.{rule}, got {found}.")
