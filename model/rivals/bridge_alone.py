"""A bridge and nothing behind it: the floor under whatever is trained on it.

Axes: V views, N classes, P prompts, C width of an embedding, H x W pixels, h x w positions.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor, nn

from logoseg.clip.bridge import BridgeImageEncoder
from logoseg.clip.text_encoder import TextEncoder
from logoseg.clip.towers import Clip, build_clip
from logoseg.config import Activation
from logoseg.dense_clip import dense_clip_logits
from logoseg.image_encoder import build_image_encoder
from logoseg.model_error import ModelError
from logoseg.network import REJECTED
from logoseg.predictor import Predicts
from rivals.configurations import PRESETS, BridgeConfig


class BridgeAlone(Predicts, nn.Module):
    """A segmenter without a weight of its own: the cosine of every position with every prompt."""

    Config: ClassVar[type] = BridgeConfig
    presets: ClassVar[Mapping[str, Callable[[], BridgeConfig]]] = PRESETS["bridge"]
    # Raised whenever the same weights predict otherwise.
    version: ClassVar[int] = 1
    activation: ClassVar[Activation] = "identity"

    def __init__(self, config: BridgeConfig, clip: Clip | None = None) -> None:
        """It takes over the towers of `clip`, or builds them with random weights. Raises ModelError for a CLIP."""
        super().__init__()
        clip = build_clip(config.clip) if clip is None else clip
        encoder = build_image_encoder(clip, config.clip)
        if not isinstance(encoder, BridgeImageEncoder):
            raise ModelError(f"{config.clip.name} is no bridge.")
        encoder.temperature, encoder.top_k = config.temperature, config.top_k
        self.prompt_templates, self.input_size = config.prompt_templates, config.clip.image_size
        self.image_encoder = encoder
        self.text_encoder = TextEncoder(clip)
        self.requires_grad_(False)

    def encode_text(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Float[Tensor, "N P C"]:
        """Unit vectors of each class, which is one or more synonyms, in each template."""
        return self.text_encoder(names, templates)

    def text_digest(self) -> str:
        """sha256 of what `encode_text` depends on."""
        return self.text_encoder.digest()

    def encode_image(self, views: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V C h w"]:
        """A unit vector a position. `views` are RGB in [0, 1]."""
        return self.image_encoder(views).dense

    def head(
        self,
        features: Float[Tensor, "V C h w"],
        text: Float[Tensor, "N P C"],
        *,
        class_mask: Bool[Tensor, "N"] | None = None,
        class_cap: int | None = None,
    ) -> Float[Tensor, "V N h w"]:
        """The mean cosine over prompts. A class that is False in `class_mask` is padding; a cap on the classes changes
        nothing: it keeps those with the largest cosine."""
        logits = dense_clip_logits(features, text)
        return logits if class_mask is None else logits.masked_fill(~class_mask[:, None, None], REJECTED)
