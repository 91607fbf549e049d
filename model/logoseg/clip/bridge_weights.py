"""The weights of a bridge: those of its two packages, and the embeddings of the names of its classes."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from timm.data import ImageNetInfo
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.bridge import Bridge
from logoseg.clip.bridge_facts import BridgeFacts, missing_packages
from logoseg.clip.sentence_encoder import read_sentence_weights
from logoseg.clip.text_encoder import cached_text
from logoseg.config import ClipConfig
from logoseg.model_error import ModelError
from logoseg.weights_file import first_line

_NAMES_AT_ONCE = 100
_AS_IT_IS = ("{}",)


def load_bridge(config: ClipConfig, facts: BridgeFacts, classifier: Path, cache_folder: Path | None = None) -> Bridge:
    """A bridge with the weights of a file of the classifier and of the installed sentence encoder. The names of the
    classes are embedded once where `cache_folder` keeps them.

    Raises ModelError for a package that is missing, for a sentence encoder of other weights, and for a file that is
    no such classifier.
    """
    sentences = facts.sentences.path
    if sentences is None:
        raise ModelError(f"{missing_packages(config.name)}.")
    with sentences.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != facts.sentences.sha256:
        raise ModelError(
            f"{sentences}: its sha256 is {digest[:12]}..., not {facts.sentences.sha256[:12]}...: damaged, or another "
            f"version of {facts.sentences.distribution}."
        )
    bridge = Bridge(config.name, facts).eval()
    bridge.visual.trunk.load_state_dict(read_classifier(bridge.visual.trunk, classifier))
    bridge.sentences.load_state_dict(read_sentence_weights(sentences, facts.layers))
    words = _ClassNames(bridge, digest)
    names = tuple((name,) for name in class_names())
    texts = words(names, _AS_IT_IS) if cache_folder is None else cached_text(words, names, _AS_IT_IS, cache_folder)
    embeddings = texts[:, 0]
    # The mean is what all names share and tells none from another.
    bridge.visual.class_embeddings.copy_(embeddings - embeddings.mean(dim=0))
    return bridge


def read_classifier(trunk: nn.Module, path: Path) -> dict[str, Tensor]:
    """The weights of a file under the names of `trunk`: those of the packages have other names in the same order.

    Raises ModelError for a file of other weights.
    """
    try:
        with path.open("rb") as file:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise nearly anything
        raise ModelError(f"{path}: no weights of a classifier ({first_line(error)}).") from None
    own = trunk.state_dict()
    values = [value for value in found.values() if isinstance(value, Tensor)] if isinstance(found, dict) else []
    if [value.shape for value in values] != [value.shape for value in own.values()]:
        raise ModelError(f"{path}: weights of another classifier: {len(values)} tensors, or of other shapes.")
    if not all(value.isfinite().all() for value in values):
        raise ModelError(f"{path}: holds NaN or infinity.")
    return dict(zip(own, values, strict=True))


def class_names() -> list[str]:
    """Of the classes of ImageNet, each by all its words in WordNet."""
    info = ImageNetInfo()
    return [info.index_to_description(index) for index in range(info.num_classes())]


@dataclass(frozen=True, slots=True)
class _ClassNames:
    """The sentence encoder of a bridge under the names that `cached_text` calls."""

    bridge: Bridge
    weights_digest: str

    @torch.no_grad()
    def __call__(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Float[Tensor, "N 1 C"]:
        texts = [templates[0].format(name) for (name,) in names]
        parts = [texts[start : start + _NAMES_AT_ONCE] for start in range(0, len(texts), _NAMES_AT_ONCE)]
        embeddings = torch.cat([self.bridge.encode_text(self.bridge.tokenize(part)) for part in parts])
        return F.normalize(embeddings, dim=-1)[:, None]

    def digest(self) -> str:
        return self.weights_digest

    def parameters(self) -> Iterator[nn.Parameter]:
        return self.bridge.parameters()
