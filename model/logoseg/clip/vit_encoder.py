"""Dense features of open_clip's own vision transformer (OpenAI, LAION, DFN, CLIPA ...).

Its attention is split into separate query, key and value matrices, so that query and value can be tuned alone.

Axes: B images, L tokens with CLS first, M width of a token, C joint CLIP width, h x w tokens of places.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.patch_grid import as_map, patch_grid, require_layers, resize_positions
from logoseg.clip.pretrained_tag import pretrained_tag
from logoseg.clip.towers import ConvolutionStem
from logoseg.config import ClipConfig
from logoseg.image_features import ImageFeatures, ImageNormalisation


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
        return self.join_heads(F.scaled_dot_product_attention(*self.split_heads(x)))

    def value_path(self, x: Float[Tensor, "B L M"]) -> Float[Tensor, "B L M"]:
        """Every token attends to itself only: MaskCLIP's way to keep the last block local."""
        return self.out_proj(F.linear(x, self.value_weight, self.value_bias))

    def split_heads(self, x: Float[Tensor, "B L M"]) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of each token, each B x heads x L x width of a head."""
        query, key, value = (
            F.linear(x, weight, bias).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for weight, bias in (
                (self.query_weight, self.query_bias),
                (self.key_weight, self.key_bias),
                (self.value_weight, self.value_bias),
            )
        )
        return query, key, value

    def join_heads(self, x: Float[Tensor, "B heads L d"]) -> Float[Tensor, "B L M"]:
        """What the heads attended to, projected to the width of a token."""
        return self.out_proj(x.transpose(1, 2).flatten(2))


class VitImageEncoder(nn.Module):
    """A CLIP vision transformer that keeps its tokens. Any input size that is a multiple of the patch is accepted."""

    def __init__(self, visual: Any, config: ClipConfig) -> None:
        super().__init__()
        self.residual = config.residual
        self.middle_layer = config.middle_layer
        self.guidance_layers = config.guidance_layers
        self.patch_size = visual.patch_size[0]
        self.normalise = ImageNormalisation(pretrained_tag(config))
        self.conv1 = visual.conv1
        self.class_embedding = visual.class_embedding
        self.positional_embedding = visual.positional_embedding
        self.ln_pre = visual.ln_pre
        self.blocks = visual.transformer.resblocks
        for block in self.blocks:
            block.attn = SplitAttention(block.attn)
        self.ln_post = visual.ln_post
        self.proj = visual.proj
        guidance_layers = () if self.guidance_layers == "stem" else self.guidance_layers
        require_layers((self.middle_layer, *guidance_layers), len(self.blocks))
        width = self.class_embedding.shape[0]
        self.joint_dim = self.proj.shape[1]
        self.middle_dim = width
        self.guidance_dims = self.conv1.guidance_dims if self.guidance_layers == "stem" else (width, width)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> ImageFeatures:
        grid = patch_grid(images, self.patch_size)
        tokens, guidance = self._embed(images)
        activations = self._activations(tokens)
        dense = F.normalize(self.to_joint(self._last_block(activations[-1])), dim=-1)
        if self.guidance_layers != "stem":
            guidance = tuple(as_map(activations[layer], grid) for layer in self.guidance_layers)
        return ImageFeatures(as_map(dense, grid), as_map(activations[self.middle_layer], grid), guidance)

    def before_last_block(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B L M"]:
        """What the last block is given."""
        patch_grid(images, self.patch_size)
        return self._activations(self._embed(images)[0])[-1]

    def to_joint(self, tokens: Float[Tensor, "B T M"]) -> Float[Tensor, "B T C"]:
        """Tokens after the last block in the space of the text, of any length."""
        return self.ln_post(tokens) @ self.proj

    def _embed(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B L M"], tuple]:
        """Tokens with the CLS token first, and S_1, S_2 where they come from the stem."""
        images = self.normalise(images)
        guidance: tuple[Tensor, ...] = ()
        if isinstance(self.conv1, ConvolutionStem):
            *stages, patches = self.conv1.activations(images)
            guidance = (stages[-2], stages[-3])
        else:
            patches = self.conv1(images)
        position = resize_positions(self.positional_embedding, patches.shape[2], patches.shape[3])
        cls = self.class_embedding.expand(len(patches), 1, -1)
        return self.ln_pre(torch.cat([cls, patches.flatten(2).transpose(1, 2)], dim=1) + position), guidance

    def _activations(self, x: Float[Tensor, "B L M"]) -> list[Tensor]:
        """The tokens after each block but the last."""
        activations = []
        for block in self.blocks[:-1]:
            x = x + block.ls_1(block.attn(block.ln_1(x)))
            x = x + block.ls_2(block.mlp(block.ln_2(x)))
            activations.append(x)
        return activations

    def _last_block(self, x: Float[Tensor, "B L M"]) -> Float[Tensor, "B T M"]:
        """The last block without mixing tokens; the CLS token is dropped (sheet 5.1)."""
        block = self.blocks[-1]
        tokens = block.ls_1(block.attn.value_path(block.ln_1(x)))[:, 1:]
        if self.residual == "cls":
            tokens = tokens + x[:, :1]
        elif self.residual == "token":
            tokens = tokens + x[:, 1:]
        return tokens + block.ls_2(block.mlp(block.ln_2(tokens)))
