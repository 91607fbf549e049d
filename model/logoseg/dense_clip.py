"""Segmentation without any training: the cosine of every token with every prompt.

What the released weights know before LoGoSeg learns anything: the floor under every result.

Axes: B images, N classes, P prompts, C joint CLIP width, H x W pixels, h x w tokens.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.text_encoder import TextEncoder
from logoseg.clip.towers import build_clip
from logoseg.config import ModelConfig
from logoseg.image_encoder import build_image_encoder
from logoseg.network import clip_cosines


class DenseClip(nn.Module):
    """The towers of `config.clip` and nothing behind them; has the calls of LoGoSeg that an evaluation needs."""

    def __init__(self, config: ModelConfig, clip: nn.Module | None = None) -> None:
        super().__init__()
        clip = build_clip(config.clip) if clip is None else clip
        self.config = config
        self.image_encoder = build_image_encoder(clip, config.clip)
        self.text_encoder = TextEncoder(clip)

    def forward(
        self, images: Float[Tensor, "B 3 H W"], text: Float[Tensor, "N P C"], *, class_cap: int | None = None
    ) -> Float[Tensor, "B N h w"]:
        """Logits at the token grid. A cap on the classes changes nothing: it keeps those with the largest cosine."""
        return dense_clip_logits(self.image_encoder(images).dense, text)


def dense_clip_logits(image: Float[Tensor, "B C h w"], text: Float[Tensor, "N P C"]) -> Float[Tensor, "B N h w"]:
    """The mean cosine over prompts, as it is: inference takes sigmoids, and times CLIP's 100 those would be 1.0 in
    float32 from a cosine of about 0.17 on, and among such classes the first would win."""
    return clip_cosines(image, F.normalize(text, dim=-1)).mean(dim=2)
