"""Words at the tokens that show them, learned from pictures that are named as a whole.

    s(w) = 1/r log mean_t exp(r cos(V_t, d_w))                          for a picture of tokens t
    L    = CE(k s(composition), the one shown) + CE(k s(stuff), the one shown)

A picture holds a word where any of its tokens does: multiple-instance learning with the smooth maximum of Pinheiro and
Collobert (CVPR 2015). The mean over tokens alone is met by a few of great length that speak for the whole picture, and
dense prediction then reads nonsense everywhere else. Colour, texture and shape are asked of one token together, so that
what is an object says all three, and what lies behind it is free to say its stuff. No mask, box or point is given.

Axes: P pictures, T tokens of a picture, C joint CLIP width.
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ovlab.pretraining.targets import KINDS
from ovlab.shapes.world import SHAPES, TEXTURES

# r: between the mean (0) and the maximum over tokens.
SHARPNESS = 12.0
# k: near CLIP's first temperature, 1 / 0.07.
SCALE = 16.0


def located_loss(
    tokens: Float[Tensor, "P T C"], attributes: Int64[Tensor, "P 4"], directions: Float[Tensor, "44 C"]
) -> Float[Tensor, ""]:
    """`attributes`: colour, texture, shape and stuff of the one object and the one background of each picture."""
    cosines = F.normalize(tokens, dim=-1) @ directions.T
    colours, textures, shapes, stuff = cosines.split([len(words) for words in KINDS], dim=-1)
    # the direction of a composition is the normalised sum of those of its three words
    compositions = (colours[..., :, None, None] + textures[..., None, :, None] + shapes[..., None, None, :]) / 3**0.5
    colour, texture, shape, ground = attributes.unbind(dim=1)
    shown = (colour * len(TEXTURES) + texture) * len(SHAPES) + shape
    return F.cross_entropy(SCALE * smooth_maximum(compositions.flatten(2)), shown) + F.cross_entropy(
        SCALE * smooth_maximum(stuff), ground
    )


def smooth_maximum(cosines: Float[Tensor, "P T words"]) -> Float[Tensor, "P words"]:
    """s above: at least the mean over the tokens and at most their maximum."""
    return (torch.logsumexp(SHARPNESS * cosines, dim=1) - math.log(cosines.shape[1])) / SHARPNESS
