"""The words of a vocabulary for any segmenter, from the disk cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from logoseg.clip.text_encoder import cached_text
from ovlab.files.cache import text_cache_folder


def text_features(network: Any, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Float[Tensor, "N P C"]:
    """What `network`, a Segmenter, makes of the names, on its device. Computed once for its `text_digest`."""
    return cached_text(_Words(network), names, templates, text_cache_folder())


@dataclass(frozen=True, slots=True)
class _Words:
    """A segmenter under the names that `cached_text` calls."""

    network: Any

    def __call__(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Float[Tensor, "N P C"]:
        return self.network.encode_text(names, templates)

    def digest(self) -> str:
        return self.network.text_digest()

    def parameters(self) -> Iterator[nn.Parameter]:
        return self.network.parameters()
