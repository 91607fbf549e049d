"""A method that somebody else might bring: a cosine map a class, and two convolutions that clean it."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from logoseg.clip.text_encoder import TextEncoder
from logoseg.clip.towers import build_clip
from logoseg.config import ClipConfig
from logoseg.image_encoder import build_image_encoder
from logoseg.network import REJECTED, clip_cosines
from logoseg.prompts import PAPER


@dataclass(frozen=True, kw_only=True, slots=True)
class CosineConfig:
    """width: channels between the two convolutions."""

    clip: ClipConfig
    prompt_templates: tuple[str, ...] = PAPER
    width: int = 16

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width}.")


class Cosine(nn.Module):
    """Trained by eq. 13 of its logits, since it has no loss of its own."""

    Config = CosineConfig
    activation = "sigmoid"

    def __init__(self, config: CosineConfig, clip: nn.Module | None = None) -> None:
        super().__init__()
        clip = build_clip(config.clip) if clip is None else clip
        self.prompt_templates, self.input_size = config.prompt_templates, config.clip.image_size
        self.image_encoder, self.text_encoder = build_image_encoder(clip, config.clip), TextEncoder(clip)
        convolutions = nn.Conv2d(1, config.width, 3, padding=1), nn.GELU(), nn.Conv2d(config.width, 1, 3, padding=1)
        self.clean = nn.Sequential(*convolutions)

    def encode_text(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Tensor:
        return self.text_encoder(names, templates)

    def text_digest(self) -> str:
        return self.text_encoder.digest()

    def encode_image(self, images: Tensor) -> Tensor:
        return self.image_encoder(images).dense

    def head(
        self, features: Tensor, text: Tensor, *, class_mask: Tensor | None = None, class_cap: int | None = None
    ) -> Tensor:
        cosines = clip_cosines(features, text).mean(dim=2)  # (V, N, h, w)
        logits = self.clean(cosines.flatten(0, 1)[:, None]).view_as(cosines)
        return logits if class_mask is None else logits.masked_fill(~class_mask[:, None, None], REJECTED)

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        return self.head(self.encode_image(images), text)
