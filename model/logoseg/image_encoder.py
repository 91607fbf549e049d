"""Dense CLIP image features: V, F_mid and S_1, S_2 (section 2.1; sheet 5.1 and 5.3).

The weights are those of an open_clip image tower. Its attention is split into separate query, key and value matrices,
so that query and value can be tuned alone.

Axes: B images, C joint CLIP width, M width of F_mid, h x w tokens.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from open_clip import CLIP
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.towers import ConvolutionStem
from logoseg.config import ClipConfig
from logoseg.model_error import ModelError


class ImageFeatures(NamedTuple):
    """What the rest of the network sees of an image."""

    dense: Float[Tensor, "B C h w"]  # V, a unit vector a token
    middle: Float[Tensor, "B M h w"]  # F_mid
    guidance: tuple[Tensor, Tensor]  # S_1 and S_2, each B x channels x its own height x width


class ImageNormalisation(nn.Module):
    """From RGB in [0, 1] to what CLIP was trained on."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(OPENAI_DATASET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(OPENAI_DATASET_STD).view(3, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        return (images - self.mean) / self.std


class SplitAttention(nn.Module):
    """The multi-head attention of open_clip with one matrix each for query, key and value."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        query, key, value = attention.in_proj_weight.detach().clone().chunk(3)
        self.query_weight = nn.Parameter(query.contiguous())
        self.key_weight = nn.Parameter(key.contiguous())
        self.value_weight = nn.Parameter(value.contiguous())
        query_bias, key_bias, value_bias = attention.in_proj_bias.detach().clone().chunk(3)
        self.query_bias = nn.Parameter(query_bias.contiguous())
        self.key_bias = nn.Parameter(key_bias.contiguous())
        self.value_bias = nn.Parameter(value_bias.contiguous())
        self.out_proj = attention.out_proj

    def forward(self, x: Float[Tensor, "B L M"]) -> Float[Tensor, "B L M"]:
        query = self._split_heads(F.linear(x, self.query_weight, self.query_bias))
        key = self._split_heads(F.linear(x, self.key_weight, self.key_bias))
        value = self._split_heads(F.linear(x, self.value_weight, self.value_bias))
        return self.out_proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))

    def value_path(self, x: Float[Tensor, "B L M"]) -> Float[Tensor, "B L M"]:
        """Every token attends to itself only: MaskCLIP's way to keep the last block local."""
        return self.out_proj(F.linear(x, self.value_weight, self.value_bias))

    def _split_heads(self, x: Float[Tensor, "B L M"]) -> Float[Tensor, "B heads L d"]:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class VitImageEncoder(nn.Module):
    """A CLIP vision transformer that keeps its tokens. Any input size that is a multiple of the patch is accepted."""

    def __init__(self, visual: Any, config: ClipConfig) -> None:
        super().__init__()
        self.residual = config.residual
        self.middle_layer = config.middle_layer
        self.guidance_layers = config.guidance_layers
        self.patch_size = visual.patch_size[0]
        self.normalise = ImageNormalisation()
        self.conv1 = visual.conv1
        self.class_embedding = visual.class_embedding
        self.positional_embedding = visual.positional_embedding
        self.ln_pre = visual.ln_pre
        self.blocks = visual.transformer.resblocks
        for block in self.blocks:
            block.attn = SplitAttention(block.attn)
        self.ln_post = visual.ln_post
        self.proj = visual.proj
        self._require_layers(self.middle_layer, *(() if self.guidance_layers == "stem" else self.guidance_layers))
        width = self.class_embedding.shape[0]
        self.joint_dim = self.proj.shape[1]
        self.middle_dim = width
        self.guidance_dims = self.conv1.guidance_dims if self.guidance_layers == "stem" else (width, width)
        _tune(self, config)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> ImageFeatures:
        tokens, stem_guidance = self._embed(self.normalise(images))
        height, width = images.shape[2] // self.patch_size, images.shape[3] // self.patch_size
        activations = []
        x = tokens
        for block in self.blocks[:-1]:
            x = x + block.attn(block.ln_1(x))
            x = x + block.mlp(block.ln_2(x))
            activations.append(x)
        dense = F.normalize(self._last_block(x) @ self.proj, dim=-1)

        def as_map(tokens: Tensor) -> Tensor:
            return tokens[:, -height * width :].transpose(1, 2).unflatten(2, (height, width))

        guidance = stem_guidance
        if self.guidance_layers != "stem":
            guidance = tuple(as_map(activations[layer]) for layer in self.guidance_layers)
        return ImageFeatures(as_map(dense), as_map(activations[self.middle_layer]), guidance)

    def _require_layers(self, *layers: int) -> None:
        for layer in layers:
            if not 0 <= layer < len(self.blocks) - 1:  # the last block gives V
                raise ModelError(f"ClipConfig names block {layer}; this tower has 0 .. {len(self.blocks) - 2}.")

    def _embed(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B L M"], tuple]:
        """Tokens with the CLS token first, and S_1, S_2 where they come from the stem."""
        if images.shape[2] % self.patch_size or images.shape[3] % self.patch_size:
            size = f"{images.shape[2]} x {images.shape[3]}"
            raise ModelError(
                f"The image is {size} pixels; both sides must be multiples of the patch, {self.patch_size}."
            )
        guidance: tuple[Tensor, ...] = ()
        if isinstance(self.conv1, ConvolutionStem):
            *stages, patches = self.conv1.activations(images)
            guidance = (stages[-2], stages[-3])
        else:
            patches = self.conv1(images)
        position = resize_positions(self.positional_embedding, patches.shape[2], patches.shape[3])
        cls = self.class_embedding.expand(len(patches), 1, -1)
        return self.ln_pre(torch.cat([cls, patches.flatten(2).transpose(1, 2)], dim=1) + position), guidance

    def _last_block(self, x: Float[Tensor, "B L M"]) -> Float[Tensor, "B T M"]:
        """The last block without mixing tokens, then ln_post; the CLS token is dropped (sheet 5.1)."""
        block = self.blocks[-1]
        tokens = block.attn.value_path(block.ln_1(x))[:, 1:]
        if self.residual == "cls":
            tokens = tokens + x[:, :1]
        elif self.residual == "token":
            tokens = tokens + x[:, 1:]
        return self.ln_post(tokens + block.mlp(block.ln_2(tokens)))


class ConvNextImageEncoder(nn.Module):
    """A CLIP ConvNeXt that keeps its map: the CLIP head is applied at every position of the last stage (sheet 5.3)."""

    def __init__(self, visual: Any, config: ClipConfig) -> None:
        super().__init__()
        if config.guidance_layers == "stem":
            raise ModelError(
                "ClipConfig.guidance_layers = 'stem' is defined for a ViT with a stem of convolutions only."
            )
        self.middle_layer = config.middle_layer
        self.guidance_layers = config.guidance_layers
        self.normalise = ImageNormalisation()
        self.stem = visual.trunk.stem
        self.stages = visual.trunk.stages
        self.norm_pre = visual.trunk.norm_pre
        self.norm = visual.trunk.head.norm
        self.head = visual.head
        dims = [info["num_chs"] for info in visual.trunk.feature_info]
        self.middle_dim = dims[self.middle_layer]
        dims.append(self.stem[0].out_channels)  # layer -1
        self.guidance_dims = tuple(dims[layer] for layer in self.guidance_layers)
        self.joint_dim = _last_linear(self.head).out_features
        _tune(self, config)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> ImageFeatures:
        x = embedded = self.stem(self.normalise(images))
        activations = []
        for stage in self.stages:
            x = stage(x)
            activations.append(x)
        activations.append(embedded)  # layer -1
        dense = self.head(self.norm(self.norm_pre(x)).permute(0, 2, 3, 1))
        dense = F.normalize(dense, dim=-1).permute(0, 3, 1, 2)
        middle = F.adaptive_avg_pool2d(activations[self.middle_layer], (dense.shape[2], dense.shape[3]))
        first, second = (activations[layer] for layer in self.guidance_layers)
        return ImageFeatures(dense, middle, (first, second))


def build_image_encoder(clip: CLIP, config: ClipConfig) -> VitImageEncoder | ConvNextImageEncoder:
    """The encoder that fits the image tower of an open_clip model. The tower's modules are taken over, not copied."""
    return (ConvNextImageEncoder if hasattr(clip.visual, "trunk") else VitImageEncoder)(clip.visual, config)


def resize_positions(positions: Float[Tensor, "L M"], height: int, width: int) -> Float[Tensor, "L2 M"]:
    """The positional embedding for height x width tokens: CLS kept, the square grid resized bicubically."""
    side = round((len(positions) - 1) ** 0.5)
    if (side, side) == (height, width):
        return positions
    grid = positions[1:].T.unflatten(1, (side, side)).unsqueeze(0)
    grid = F.interpolate(grid, size=(height, width), mode="bicubic", align_corners=False)
    return torch.cat([positions[:1], grid[0].flatten(1).T])


def _tune(encoder: nn.Module, config: ClipConfig) -> None:
    """Let only the weights of `config.tuning` learn (A23)."""
    if config.tuning == "query_value" and not isinstance(encoder, VitImageEncoder):
        raise ModelError("ClipConfig.tuning = 'query_value' is defined for a ViT only; use 'all' or 'frozen'.")
    for name, parameter in encoder.named_parameters():
        tuned = config.tuning == "all" or name.endswith(("query_weight", "value_weight"))
        parameter.requires_grad_(config.tuning != "frozen" and tuned)
    if isinstance(encoder, VitImageEncoder):
        # The last block's query and key are not used, and distributed training waits for every gradient.
        for name, parameter in encoder.blocks[-1].attn.named_parameters():
            if name.startswith(("query", "key")):
                parameter.requires_grad_(False)


def _last_linear(module: nn.Module) -> nn.Linear:
    return [child for child in module.modules() if isinstance(child, nn.Linear)][-1]
