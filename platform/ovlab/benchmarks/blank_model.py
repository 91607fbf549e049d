"""A network that does nothing: in its place, what is left of an evaluation are the platform's own costs."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from logoseg.clip.text_encoder import TextEncoder


class BlankModel(nn.Module):
    """The first of the names asked for, at every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.text_encoder = _BlankText()

    def forward(
        self, views: Float[Tensor, "V 3 S1 S2"], text: Float[Tensor, "N P C"], *, class_cap: int | None = None
    ) -> Float[Tensor, "V N 1 1"]:
        return torch.zeros(len(views), len(text), 1, 1)


class _BlankText(TextEncoder):
    """Without a tower; `cached_text` asks for a parameter to see the device."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.blank = nn.Parameter(torch.zeros(1))

    def forward(self, class_names: Sequence[Sequence[str]], templates: Sequence[str]) -> Float[Tensor, "N P 1"]:
        return torch.zeros(len(class_names), len(templates), 1)
