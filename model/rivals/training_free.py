"""MaskCLIP, SCLIP, ClearCLIP and NACLIP: CLIP as it was trained, with another last block of the image tower.

    segmenter = NaClip(TrainingFreeConfig(clip=config), load_clip(config, path))

With q, k, v the queries, keys and values of the last block, d the width of a head, and softmax over all tokens:

    MaskCLIP   v                                                         then residual and MLP as they were
    SCLIP      (softmax(q q' / sqrt d) + softmax(k k' / sqrt d)) v       then residual and MLP as they were
    ClearCLIP  softmax(q q' / sqrt d) v                                  neither residual nor MLP
    NACLIP     softmax(k k' / sqrt d + exp(-|i - j|^2 / (2 5^2))) v      neither residual nor MLP

|i - j| is the distance of two places in tokens; CLS is near to none. Post-processing of the papers (key smoothing and
prompt denoising of MaskCLIP, PAMR of SCLIP and NACLIP, thresholds for a background) is not here.

Axes: V views, N classes, P prompts, C joint CLIP width, H x W pixels, h x w tokens, L = 1 + h w with CLS
first, d.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.patch_grid import as_map, patch_grid
from logoseg.clip.text_encoder import TextEncoder
from logoseg.clip.towers import Clip, build_clip
from logoseg.clip.vit_encoder import VitImageEncoder
from logoseg.config import Activation
from logoseg.image_encoder import build_image_encoder
from logoseg.model_error import ModelError
from logoseg.network import REJECTED, clip_cosines
from rivals.configurations import PRESETS, TrainingFreeConfig

# Standard deviation in tokens of NACLIP's neighbourhood.
NEIGHBOURHOOD = 5.0

Heads = Float[Tensor, "V heads L d"]
Presets = Mapping[str, Callable[[], TrainingFreeConfig]]


def maskclip(query: Heads, key: Heads, value: Heads, grid: tuple[int, int]) -> Heads:
    """Every token attends to itself alone (Zhou et al., ECCV 2022)."""
    return value


def sclip(query: Heads, key: Heads, value: Heads, grid: tuple[int, int]) -> Heads:
    """To tokens with a like query, and to those with a like key (Wang et al., ECCV 2024)."""
    return _attend(query, query, value) + _attend(key, key, value)


def clearclip(query: Heads, key: Heads, value: Heads, grid: tuple[int, int]) -> Heads:
    """To tokens with a like query (Lan et al., ECCV 2024)."""
    return _attend(query, query, value)


def naclip(query: Heads, key: Heads, value: Heads, grid: tuple[int, int]) -> Heads:
    """To tokens with a like key, near ones first (Hajimiri et al., WACV 2025)."""
    near = F.pad(neighbourhood(*grid), (1, 0, 1, 0))  # CLS is the first token
    return _attend(key, key, value, attn_mask=near.to(key))


def neighbourhood(height: int, width: int) -> Float64[Tensor, "hw hw"]:
    """What is added to the score of two places: a Gaussian of their distance, 1 of a place and itself."""
    sides = (torch.arange(side, dtype=torch.float64) for side in (height, width))
    rows, columns = (torch.exp(-((side[:, None] - side) ** 2) / (2 * NEIGHBOURHOOD**2)) for side in sides)
    return torch.kron(rows, columns)


_attend = F.scaled_dot_product_attention


class Method(NamedTuple):
    """`keeps_block`: residual and MLP of the last block are kept. Logits are `temperature` times a cosine."""

    attend: Callable[[Heads, Heads, Heads, tuple[int, int]], Heads]
    keeps_block: bool
    temperature: float


class TrainingFree(nn.Module):
    """A segmenter without a weight of its own.

    `activation` is "identity": the methods average cosines over windows and up-sample them before they take a softmax,
    which leaves the largest the largest. The softmax of the logits has the temperature of the method.
    """

    Config: ClassVar[type] = TrainingFreeConfig
    # Raised whenever the same weights predict otherwise.
    version: ClassVar[int] = 1
    activation: ClassVar[Activation] = "identity"
    # What one method has otherwise than another.
    method: ClassVar[Method]

    def __init__(self, config: TrainingFreeConfig, clip: Clip | None = None) -> None:
        """It takes over the towers of `clip`, or builds them with random weights. Raises ModelError for a tower other
        than open_clip's own ViT."""
        super().__init__()
        clip = build_clip(config.clip) if clip is None else clip
        encoder = build_image_encoder(clip, config.clip)
        if not isinstance(encoder, VitImageEncoder):
            name = type(self).__name__
            raise ModelError(f"{name} changes the last block of open_clip's own ViT, which {config.clip.name} is not.")
        self.prompt_templates = config.prompt_templates
        self.input_size = config.clip.image_size
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
        """A unit vector a token. `views` are RGB in [0, 1], of sides that are multiples of the patch."""
        encoder, grid = self.image_encoder, patch_grid(views, self.image_encoder.patch_size)
        x, block = encoder.before_last_block(views), encoder.blocks[-1]
        query, key, value = block.attn.split_heads(block.ln_1(x))
        tokens = block.ls_1(block.attn.join_heads(self.method.attend(query, key, value, grid)))
        if self.method.keeps_block:
            tokens = x + tokens
            tokens = tokens + block.ls_2(block.mlp(block.ln_2(tokens)))
        return as_map(F.normalize(encoder.to_joint(tokens), dim=-1), grid)

    def head(
        self,
        features: Float[Tensor, "V C h w"],
        text: Float[Tensor, "N P C"],
        *,
        class_mask: Bool[Tensor, "N"] | None = None,
        class_cap: int | None = None,
    ) -> Float[Tensor, "V N h w"]:
        """Temperature times the cosine of a token and the mean of a class's prompts. A class that is False in
        `class_mask` is padding; a cap on the classes changes nothing: it keeps those with the largest cosine."""
        classes = F.normalize(text.mean(dim=1, keepdim=True), dim=-1)
        logits = self.method.temperature * clip_cosines(features, classes)[:, :, 0]
        return logits if class_mask is None else logits.masked_fill(~class_mask[:, None, None], REJECTED)


class MaskClip(TrainingFree):
    """MaskCLIP (Zhou et al., ECCV 2022)."""

    presets: ClassVar[Presets] = PRESETS["maskclip"]
    method: ClassVar[Method] = Method(maskclip, keeps_block=True, temperature=100.0)


class Sclip(TrainingFree):
    """SCLIP (Wang et al., ECCV 2024)."""

    presets: ClassVar[Presets] = PRESETS["sclip"]
    method: ClassVar[Method] = Method(sclip, keeps_block=True, temperature=40.0)


class ClearClip(TrainingFree):
    """ClearCLIP (Lan et al., ECCV 2024)."""

    presets: ClassVar[Presets] = PRESETS["clearclip"]
    method: ClassVar[Method] = Method(clearclip, keeps_block=False, temperature=50.0)


class NaClip(TrainingFree):
    """NACLIP (Hajimiri et al., WACV 2025)."""

    presets: ClassVar[Presets] = PRESETS["naclip"]
    method: ClassVar[Method] = Method(naclip, keeps_block=False, temperature=40.0)
