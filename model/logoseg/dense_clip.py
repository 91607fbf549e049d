"""Segmentation without any training: the cosine of every token with every prompt.

What the released weights know before LoGoSeg learns anything: the floor under every result.

Axes: B images, N classes, P prompts, C joint CLIP width, H x W pixels, h x w tokens.
"""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.text_encoder import TextEncoder
from logoseg.clip.towers import build_clip
from logoseg.config import Activation, ModelConfig
from logoseg.image_encoder import build_image_encoder
from logoseg.network import REJECTED, clip_cosines
from logoseg.predictor import Predicts


class DenseClip(Predicts, nn.Module):
    """The towers of `config.clip` and nothing behind them."""

    activation: Activation = "sigmoid"

    def __init__(self, config: ModelConfig, clip: nn.Module | None = None) -> None:
        super().__init__()
        clip = build_clip(config.clip) if clip is None else clip
        self.config = config
        self.prompt_templates, self.input_size = config.prompt_templates, config.clip.image_size
        self.image_encoder = build_image_encoder(clip, config.clip)
        self.text_encoder = TextEncoder(clip)

    def forward(
        self, images: Float[Tensor, "B 3 H W"], text: Float[Tensor, "N P C"], *, class_cap: int | None = None
    ) -> Float[Tensor, "B N h w"]:
        """Logits at the token grid."""
        return self.head(self.encode_image(images), text, class_cap=class_cap)

    def encode_text(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Float[Tensor, "N P C"]:
        """T of classes, each of one or more synonyms."""
        return self.text_encoder(names, templates)

    def text_digest(self) -> str:
        """sha256 of the weights that T depends on."""
        return self.text_encoder.digest()

    def encode_image(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        """V, unit vectors."""
        return self.image_encoder(images).dense

    def head(
        self,
        features: Float[Tensor, "B C h w"],
        text: Float[Tensor, "N P C"],
        *,
        class_mask: Bool[Tensor, "N"] | None = None,
        class_cap: int | None = None,
    ) -> Float[Tensor, "B N h w"]:
        """`dense_clip_logits`. A cap on the classes changes nothing: it keeps those with the largest cosine."""
        logits = dense_clip_logits(features, text)
        return logits if class_mask is None else logits.masked_fill(~class_mask[:, None, None], REJECTED)


def dense_clip_logits(image: Float[Tensor, "B C h w"], text: Float[Tensor, "N P C"]) -> Float[Tensor, "B N h w"]:
    """The mean cosine over prompts, as it is: inference takes sigmoids, and times CLIP's 100 those would be 1.0 in
    float32 from a cosine of about 0.17 on, and among such classes the first would win."""
    return clip_cosines(image, F.normalize(text, dim=-1)).mean(dim=2)
