"""The tokens of an open_clip tower in two readings: those that it averages, and those that dense prediction reads.

They differ in the last block of a ViT alone, where dense prediction lets every token attend to itself only (the value
path of logoseg.image_encoder, written again because that one takes the tower apart, which pre-training has to leave
whole; a test holds them equal). A ConvNeXt has one reading.

Axes: B images, C joint CLIP width, 12 x 12 tokens.
"""

from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


class Tokens(NamedTuple):
    """pooled: their mean is the embedding of the image, of a ConvNeXt nearly so: that averages before its last norm.
    dense: up to their length, V."""

    pooled: Float[Tensor, "B C 12 12"]
    dense: Float[Tensor, "B C 12 12"]


def read_tokens(visual: Any, images: Float[Tensor, "B 3 96 96"]) -> Tokens:
    """Both readings in one pass."""
    if hasattr(visual, "trunk"):
        tokens = visual.trunk.head.norm(visual.trunk.forward_features(images))
        tokens = visual.head(tokens.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return Tokens(tokens, tokens)
    x = visual._embeds(images)
    *blocks, last = visual.transformer.resblocks
    for block in blocks:
        x = block(x)
    return Tokens(_as_map(visual, last(x)), _as_map(visual, _value_path(last, x)))


def _value_path(block: Any, x: Float[Tensor, "B L M"]) -> Float[Tensor, "B L M"]:
    attention = block.attn
    weight, bias = attention.in_proj_weight.chunk(3)[2], attention.in_proj_bias.chunk(3)[2]
    x = x + attention.out_proj(F.linear(block.ln_1(x), weight, bias))
    return x + block.mlp(block.ln_2(x))


def _as_map(visual: Any, x: Float[Tensor, "B L M"]) -> Float[Tensor, "B C 12 12"]:
    return (visual.ln_post(x)[:, 1:] @ visual.proj).transpose(1, 2).unflatten(2, (12, 12))
