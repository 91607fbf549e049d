"""The two networks of SAN: the side adapter, which proposes masks, and CLIP's image tower, which says what they show.

Axes: B images, Q queries, h x w tokens of the adapter, y x x tokens of CLIP, D width of the adapter, M of CLIP's
tokens, C joint CLIP width.
"""

from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.model_error import ModelError
from rivals.configurations import SanConfig

# What is added to the attention to a token that is not to be seen.
_UNSEEN = -100.0


class ClipTokens(NamedTuple):
    """CLIP's tokens of an image, CLS first, and how they lie."""

    layers: list[Tensor]  # each B x (1 + y*x) x M: before the first block, after it ..., up to the split
    grid: tuple[int, int]


class Proposals(NamedTuple):
    """What the adapter says after one of its blocks."""

    masks: Float[Tensor, "B Q h w"]  # logits
    bias: Float[Tensor, "B heads Q h w"]  # of the attention of CLIP


class SideAdapter(nn.Module):
    """A ViT without CLS whose first tokens are the queries. The positions are added before every block, and CLIP's
    tokens, through LayerNorm and a projection, before the first and after the next few."""

    def __init__(self, config: SanConfig, *, clip_dim: int, clip_heads: int) -> None:
        super().__init__()
        dim, side = config.dim, config.image_size // config.patch_size
        self.side = side
        self.supervised_blocks = config.supervised_blocks
        self.fused_layers = config.fused_layers
        self.embed_patches = nn.Conv2d(3, dim, kernel_size=config.patch_size, stride=config.patch_size)
        self.positions = _embedding(side * side, dim)
        self.queries = _embedding(config.num_queries, dim)
        self.query_positions = _embedding(config.num_queries, dim)
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.blocks = nn.ModuleList(
            Block(dim, config.num_heads, qkv_bias=True, norm_layer=norm) for _ in range(config.num_blocks)
        )
        self.fusions = nn.ModuleList(
            nn.Sequential(norm(clip_dim), nn.Linear(clip_dim, dim)) for _ in config.fused_layers
        )
        self.decoder = MaskDecoder(dim, config.mask_dim, clip_heads)

    def forward(self, images: Float[Tensor, "B 3 H W"], clip: ClipTokens) -> list[Proposals]:
        """Of every supervised block in training, of the last otherwise."""
        patches = self.embed_patches(images)
        grid = (patches.shape[2], patches.shape[3])
        positions = torch.cat([self.query_positions, resized_grid(self.positions, (self.side, self.side), grid)])
        num_queries = len(self.queries)
        queries = self.queries.expand(len(images), -1, -1)
        x = self._fuse(0, torch.cat([queries, patches.flatten(2).transpose(1, 2)], dim=1) + positions, clip, grid)
        wanted = self.supervised_blocks if self.training else self.supervised_blocks[-1:]
        proposals = []
        for number, block in enumerate(self.blocks, start=1):
            x = self._fuse(number, block(x), clip, grid)
            if number in wanted:
                tokens = x[:, num_queries:].unflatten(1, grid)
                proposals.append(self.decoder(x[:, :num_queries], tokens))
            x = x + positions
        return proposals

    def _fuse(
        self, number: int, x: Float[Tensor, "B T D"], clip: ClipTokens, grid: tuple[int, int]
    ) -> Float[Tensor, "B T D"]:
        if number >= len(self.fused_layers):
            return x
        tokens = self.fusions[number](clip.layers[self.fused_layers[number]][:, 1:])
        maps = tokens.transpose(1, 2).unflatten(2, clip.grid)
        resized = F.interpolate(maps, size=grid, mode="bilinear", align_corners=False).flatten(2).transpose(1, 2)
        num_queries = x.shape[1] - resized.shape[1]
        return torch.cat([x[:, :num_queries], x[:, num_queries:] + resized], dim=1)


class MaskDecoder(nn.Module):
    """Masks as products of queries and tokens, and attention biases as others of the same queries, one a head."""

    def __init__(self, dim: int, mask_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query_mlp = _mlp(dim, mask_dim, mask_dim)
        self.mask_mlp = _mlp(dim, mask_dim, mask_dim)
        self.bias_mlp = _mlp(dim, mask_dim, mask_dim * num_heads)
        self.scale_bias = nn.Linear(1, 1)

    def forward(self, queries: Float[Tensor, "B Q D"], tokens: Float[Tensor, "B h w D"]) -> Proposals:
        queries = self.query_mlp(queries)
        masks = torch.einsum("bqc,bhwc->bqhw", queries, self.mask_mlp(tokens))
        by_head = self.bias_mlp(tokens).unflatten(-1, (self.num_heads, -1))
        bias = torch.einsum("bqc,bhwnc->bnqhw", queries, by_head)
        return Proposals(masks, self.scale_bias(bias[..., None])[..., 0])


class SplitClip(nn.Module):
    """The image tower of CLIP in two parts. Nothing of it learns but the positions."""

    mean: Tensor
    std: Tensor

    def __init__(self, visual: Any, split: int) -> None:
        """split: after so many blocks. Raises ModelError for a tower without blocks, or with fewer."""
        super().__init__()
        blocks = getattr(getattr(visual, "transformer", None), "resblocks", None)
        if blocks is None or not hasattr(visual, "class_embedding") or getattr(visual, "attn_pool", None) is not None:
            raise ModelError(
                "SAN splits the blocks of open_clip's own ViT with a CLS token; this CLIP has another tower."
            )
        if not 0 <= split < len(blocks):
            raise ModelError(f"SAN splits CLIP after block {split} by SanConfig.fused_layers; it has {len(blocks)}.")
        self.split = split
        self.patch_size = visual.patch_size[0]
        # A query starts as what CLIP reads: the CLS token, or, where that is the mean of all tokens, their mean by its
        # own bias. The plain mean would tell every query of the whole image, whatever it looks at.
        self.reads_mean = visual.pool_type == "avg"
        self.register_buffer("mean", torch.tensor(OPENAI_DATASET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(OPENAI_DATASET_STD).view(3, 1, 1), persistent=False)
        self.conv1 = visual.conv1
        self.class_embedding = visual.class_embedding
        self.positional_embedding = visual.positional_embedding
        self.ln_pre = visual.ln_pre
        self.blocks = blocks
        self.ln_post = visual.ln_post
        self.proj = visual.proj
        self.num_heads = blocks[0].attn.num_heads
        self.dim, self.joint_dim = self.proj.shape
        self.requires_grad_(False)
        self.positional_embedding.requires_grad_(True)
        self.positional_embedding._no_weight_decay = True

    def normalise(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """From RGB in [0, 1] to what CLIP was trained on."""
        return (images - self.mean) / self.std

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> ClipTokens:
        """The first part, of normalised images."""
        patches = self.conv1(images)
        grid = (patches.shape[2], patches.shape[3])
        side = round((len(self.positional_embedding) - 1) ** 0.5)
        positions = resized_grid(self.positional_embedding[1:], (side, side), grid)
        cls = self.class_embedding.expand(len(images), 1, -1) + self.positional_embedding[:1]
        x = self.ln_pre(torch.cat([cls, patches.flatten(2).transpose(1, 2) + positions], dim=1))
        layers = [x]
        for block in self.blocks[: self.split]:
            x = block(x)
            layers.append(x)
        return ClipTokens(layers, grid)

    def recognise(self, clip: ClipTokens, bias: Float[Tensor, "B heads Q h w"]) -> Float[Tensor, "B Q C"]:
        """The second part: what each query shows, as a unit vector."""
        num_queries = bias.shape[2]
        x = clip.layers[-1]
        pooled = F.adaptive_max_pool2d(bias.flatten(1, 2), clip.grid).unflatten(1, bias.shape[1:3]).flatten(3)
        mask = attention_mask(pooled).flatten(0, 1)
        if self.reads_mean:
            start = pooled.mean(dim=1).softmax(dim=2) @ x[:, 1:]
        else:
            start = x[:, :1].expand(-1, num_queries, -1)
        x = torch.cat([start, x], dim=1)
        for block in self.blocks[self.split :]:
            x = block(x, attn_mask=mask)
        return F.normalize(self.ln_post(x[:, :num_queries]) @ self.proj, dim=-1)


def attention_mask(bias: Float[Tensor, "B heads Q L"]) -> Float[Tensor, "B heads T T"]:
    """What is added to the attention of T = Q + 1 + L tokens: queries, CLS, patches. A query sees itself and, by its
    bias, the patches; CLS and the patches see one another."""
    num_queries, num_patches = bias.shape[2:]
    size = num_queries + 1 + num_patches
    mask = bias.new_zeros(*bias.shape[:2], size, size)
    mask[..., : num_queries + 1] = _UNSEEN
    mask[..., num_queries:, num_queries] = 0.0
    mask[..., range(num_queries), range(num_queries)] = 0.0
    mask[..., :num_queries, num_queries + 1 :] = bias
    return mask


def resized_grid(grid: Float[Tensor, "L D"], size: tuple[int, int], new_size: tuple[int, int]) -> Float[Tensor, "L2 D"]:
    """A positional grid of another size, bicubically."""
    if size == new_size:
        return grid
    maps = grid.T.unflatten(1, size).unsqueeze(0)
    return F.interpolate(maps, size=new_size, mode="bicubic", align_corners=False)[0].flatten(1).T


def _embedding(number: int, dim: int) -> nn.Parameter:
    embedding = nn.Parameter(torch.empty(number, dim))
    nn.init.normal_(embedding, std=0.02)
    embedding._no_weight_decay = True  # type: ignore[attr-defined]
    return embedding


def _mlp(in_dim: int, dim: int, out_dim: int) -> nn.Sequential:
    """Three layers."""
    return nn.Sequential(nn.Linear(in_dim, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, out_dim))
