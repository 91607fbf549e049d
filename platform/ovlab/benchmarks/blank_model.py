"""A network that does nothing: in its place, what is left of an evaluation are the platform's own costs."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from logoseg.config import Activation


class BlankModel(nn.Module):
    """The first of the names asked for, at every pixel."""

    activation: Activation = "sigmoid"

    def __init__(self) -> None:
        super().__init__()
        # Whoever wants to know the device asks for a parameter.
        self.blank = nn.Parameter(torch.zeros(1))

    def encode_text(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Float[Tensor, "N P 1"]:
        return torch.zeros(len(names), len(templates), 1)

    def text_digest(self) -> str:
        return "blank"

    def encode_image(self, views: Float[Tensor, "V 3 S1 S2"]) -> int:
        return len(views)

    def head(
        self, features: int, text: Float[Tensor, "N P C"], *, class_cap: int | None = None
    ) -> Float[Tensor, "V N 1 1"]:
        return torch.zeros(features, len(text), 1, 1)
