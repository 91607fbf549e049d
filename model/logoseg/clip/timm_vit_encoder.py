"""Dense features of timm's vision transformers: SigLIP, SigLIP2, ViTamin, MobileCLIP-B, EVA01, EVA02, PE-Core.

Where the tower reads the image off its CLS token, V is the value path of the last block, as for OpenAI's. Where it
pools over tokens, the last block is whole and V is what the pooling makes of each token alone.

Axes: B images, L tokens with those of no place first, M width of a token, C joint CLIP width, h x w tokens of places.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from timm.layers import RotaryEmbeddingCat
from timm.models.eva import Eva, EvaBlock, EvaBlockPostNorm
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.patch_grid import as_map, patch_grid, require_layers, resize_positions
from logoseg.clip.pretrained_tag import pretrained_tag
from logoseg.config import ClipConfig
from logoseg.image_features import ImageFeatures, ImageNormalisation
from logoseg.model_error import ModelError


class TimmVitImageEncoder(nn.Module):
    """timm's VisionTransformer or Eva inside an open_clip tower, kept in evaluation mode: some have BatchNorm."""

    def __init__(self, visual: Any, config: ClipConfig) -> None:
        super().__init__()
        if config.guidance_layers == "stem":
            raise ModelError("ClipConfig.guidance_layers = 'stem' is defined for a stem of convolutions only.")
        self.residual = config.residual
        self.middle_layer = config.middle_layer
        self.guidance_layers = config.guidance_layers
        self.normalise = ImageNormalisation(pretrained_tag(config))
        self.trunk = visual.trunk
        self.head = visual.head
        self.patch_size = self.trunk.patch_embed.feat_ratio()
        self.trunk.patch_embed.strict_img_size = False
        if isinstance(self.trunk, Eva) and self.trunk.rope is not None:
            self.trunk.rope = _for_any_grid(self.trunk.rope)
        require_layers((self.middle_layer, *self.guidance_layers), len(self.trunk.blocks))
        width = self.trunk.embed_dim
        linear = [child for child in (*self.trunk.head.modules(), *self.head.modules()) if isinstance(child, nn.Linear)]
        self.joint_dim = linear[-1].out_features if linear else width
        self.middle_dim = width
        self.guidance_dims = (width, width)

    def train(self, mode: bool = True) -> "TimmVitImageEncoder":
        return super().train(False)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> ImageFeatures:
        grid = patch_grid(images, self.patch_size)
        x, rope = self._embed(images, grid)
        activations = []
        for block in self.trunk.blocks[:-1]:
            x = block(x, **rope)
            activations.append(x)
        last = self.trunk.blocks[-1]
        x = self._value_path(last, x) if self.trunk.global_pool == "token" else last(x, **rope)
        dense = F.normalize(self._to_joint(self.trunk.norm(x[:, -grid[0] * grid[1] :])), dim=-1)
        first, second = (as_map(activations[layer], grid) for layer in self.guidance_layers)
        return ImageFeatures(as_map(dense, grid), as_map(activations[self.middle_layer], grid), (first, second))

    def _embed(self, images: Float[Tensor, "B 3 H W"], grid: tuple[int, int]) -> tuple[Float[Tensor, "B L M"], dict]:
        """Tokens, and the rotary embedding of those of places as a keyword of the blocks, where the tower has one."""
        trunk = self.trunk
        x = trunk.patch_embed(self.normalise(images))
        prefix = [token.expand(len(x), -1, -1) for token in (trunk.cls_token, trunk.reg_token) if token is not None]
        num_prefix = 0 if trunk.no_embed_class else trunk.num_prefix_tokens
        positions = 0 if trunk.pos_embed is None else resize_positions(trunk.pos_embed[0], *grid, num_prefix)
        if trunk.no_embed_class:
            x = torch.cat([*prefix, x + positions], dim=1)
        else:
            x = torch.cat([*prefix, x], dim=1) + positions
        rope = {"rope": trunk.rope.get_embed(grid)} if getattr(trunk, "rope", None) is not None else {}
        return trunk.norm_pre(x), rope

    def _value_path(self, block: Any, x: Float[Tensor, "B L M"]) -> Float[Tensor, "B T M"]:
        """The last block without mixing tokens; those of no place are dropped."""
        attention, mlp = _branches(block)
        first = self.trunk.num_prefix_tokens
        tokens = attention(x)[:, first:]
        if self.residual == "cls":
            tokens = tokens + x[:, :1]
        elif self.residual == "token":
            tokens = tokens + x[:, first:]
        return tokens + mlp(tokens)

    def _to_joint(self, tokens: Float[Tensor, "B T M"]) -> Float[Tensor, "B T C"]:
        """Tokens after the last norm in the space of the text, each as if it were the only one."""
        if self.trunk.attn_pool is not None:
            tokens = _each_alone(self.trunk.attn_pool, tokens)
        return self.head(self.trunk.head(self.trunk.fc_norm(tokens)))


def _branches(block: Any) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """What a block adds to its tokens, by attention of each token to itself, and by the MLP."""
    if isinstance(block, EvaBlockPostNorm):
        return lambda x: block.norm1(_each_alone(block.attn, x)), lambda x: block.norm2(block.mlp(x))
    if isinstance(block, EvaBlock):
        scales = [
            nn.Identity() if gamma is None else partial(torch.mul, gamma) for gamma in (block.gamma_1, block.gamma_2)
        ]
    else:
        scales = [block.ls1, block.ls2]
    return (
        lambda x: scales[0](_each_alone(block.attn, block.norm1(x))),
        lambda x: scales[1](block.mlp(block.norm2(x))),
    )


def _each_alone(attention: nn.Module, tokens: Float[Tensor, "B T M"]) -> Float[Tensor, "B T M2"]:
    """Attention to one token gives its value, whatever query and key are."""
    return attention(tokens.flatten(0, 1).unsqueeze(1)).reshape(*tokens.shape[:2], -1)


def _for_any_grid(rope: Any) -> RotaryEmbeddingCat:
    """The same rotary embedding, computed for each grid; timm's keeps that of one."""
    return RotaryEmbeddingCat(
        rope.dim,
        max_res=rope.max_res,
        temperature=rope.temperature,
        in_pixels=rope.in_pixels,
        linear_bands=rope.linear_bands,
        ref_feat_shape=rope.ref_feat_shape,
        grid_offset=rope.grid_offset,
        grid_indexing=rope.grid_indexing,
        rotate_half=rope.rotate_half,
    )
