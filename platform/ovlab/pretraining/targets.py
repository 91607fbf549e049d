"""Where the first stages pull pictures and captions: one fixed direction a word.

Trained by contrast alone, a small CLIP learns colour and stuff at once, texture slowly and shape hardly at all: all
shape words collapse to one direction before the image tower can tell shapes apart. So the directions come first. Each
of the 44 words that mean something gets a unit vector orthogonal to all others; a picture of a red striped star on
grass belongs to the sum of four of them, and so does its caption.

Axes: B pictures, C joint CLIP width.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ovlab.shapes.world import COLOURS, SHAPES, STUFF, TEXTURES

KINDS = (COLOURS, TEXTURES, SHAPES, STUFF)
_WORDS = {word: number for number, word in enumerate(word for words in KINDS for word in words)}
# A picture has four words, so its cosine with each is at most 1/2; this makes that a logit of 16.
_SCALE = 32.0


def word_directions(joint_dim: int) -> Float[Tensor, "44 C"]:
    """Orthonormal rows, the same at every call."""
    generator = torch.Generator().manual_seed(44)
    square = torch.randn(joint_dim, joint_dim, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(square).Q[: len(_WORDS)].float()


def attribute_loss(
    pictures: Float[Tensor, "B C"], attributes: Int64[Tensor, "B 4"], directions: Float[Tensor, "44 C"]
) -> Float[Tensor, ""]:
    """The mean over the four kinds of word of the cross-entropy of choosing the right one."""
    cosines = F.normalize(pictures, dim=-1) @ directions.T
    by_kind = (_SCALE * cosines).split([len(words) for words in KINDS], dim=1)
    losses = [F.cross_entropy(logits, attributes[:, kind]) for kind, logits in enumerate(by_kind)]
    return torch.stack(losses).mean()


def caption_loss(
    texts: Float[Tensor, "B C"], captions: Sequence[str], directions: Float[Tensor, "44 C"]
) -> Float[Tensor, ""]:
    """One minus the cosine of a caption with the sum of the directions of its words."""
    return (1 - F.cosine_similarity(texts, caption_targets(captions, directions))).mean()


def caption_targets(captions: Sequence[str], directions: Float[Tensor, "44 C"]) -> Float[Tensor, "B C"]:
    """The sum of the directions of the words of each caption; words without one say nothing."""
    rows = [[_WORDS[word] for word in caption.replace(",", " ").split() if word in _WORDS] for caption in captions]
    return torch.stack([directions[row].sum(dim=0) for row in rows])


def cells(tokens: Float[Tensor, "B C 12 12"], grid: int) -> Float[Tensor, "pictures T C"]:
    """The tokens of each of the grid x grid pictures of a mosaic, row by row.

    A token can only serve the picture it lies in, so a tower learns what stands where, which one caption for a whole
    image teaches slowly.
    """
    side = tokens.shape[-1] // grid
    parts = tokens.unflatten(3, (grid, side)).unflatten(2, (grid, side))  # (B, C, grid, side, grid, side)
    return parts.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(0, 2)
