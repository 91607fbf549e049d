"""A sentence encoder of BERT's kind, as MiniLM is: the mean of its last tokens stands for the sentence.

Axes: S sentences, L tokens of the longest, C width.
"""

import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from logoseg.clip.bridge_facts import BridgeFacts, missing_packages
from logoseg.clip.word_list import require_length
from logoseg.model_error import ModelError

WEIGHTS, WORDS = "model.safetensors", "tokenizer.json"
# The token that fills up the shorter sentences.
_PADDING = 0
# From the names of BERT to those of torch's layer.
_EMBEDDINGS = {
    "word_embeddings.weight": "words.weight",
    "position_embeddings.weight": "positions.weight",
    "token_type_embeddings.weight": "segments.weight",
    "LayerNorm.weight": "norm.weight",
    "LayerNorm.bias": "norm.bias",
}
_LAYER = {
    "attention.output.dense": "self_attn.out_proj",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "linear1",
    "output.dense": "linear2",
    "output.LayerNorm": "norm2",
}


class SentenceEncoder(nn.Module):
    """BERT without its pooler; padding has no influence."""

    def __init__(self, *, layers: int, heads: int, width: int, vocab_size: int, context_length: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(context_length, width)
        # Of a second sentence, which there never is.
        self.segments = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True
            )
            for _ in range(layers)
        )

    def forward(self, tokens: Int64[Tensor, "S L"]) -> Float[Tensor, "S C"]:
        is_padding = tokens == _PADDING
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.norm(self.words(tokens) + self.positions(places) + self.segments.weight[0])
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=is_padding)
        return x.masked_fill(is_padding[..., None], 0.0).sum(dim=1) / (~is_padding).sum(dim=1, keepdim=True)


def encoder_of(facts: BridgeFacts) -> SentenceEncoder:
    """With random weights."""
    return SentenceEncoder(
        layers=facts.layers,
        heads=facts.heads,
        width=facts.width,
        vocab_size=facts.vocab_size,
        context_length=facts.context_length,
    )


def read_sentence_weights(path: Path, num_layers: int) -> dict[str, Tensor]:
    """The weights in the archive of a package, under the names of SentenceEncoder. Raises ModelError for another
    file."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = load(archive.read(WEIGHTS))
        state = {own: found[f"embeddings.{name}"] for name, own in _EMBEDDINGS.items()}
        for layer in range(num_layers):
            theirs, own = f"encoder.layer.{layer}", f"layers.{layer}"
            for kind in ("weight", "bias"):
                inputs = [found[f"{theirs}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
                state[f"{own}.self_attn.in_proj_{kind}"] = torch.cat(inputs)
                for name, part in _LAYER.items():
                    state[f"{own}.{part}.{kind}"] = found[f"{theirs}.{name}.{kind}"]
    except (OSError, KeyError, zipfile.BadZipFile, SafetensorError) as error:
        raise ModelError(f"{path}: no sentence encoder of {num_layers} layers in it ({error}).") from None
    return state


class WordPieces:
    """The tokenizer of a bridge. It is read at the first text: a model is built without the package."""

    def __init__(self, name: str, facts: BridgeFacts) -> None:
        self._name = name
        self._facts = facts

    def __call__(self, texts: Sequence[str]) -> Int64[Tensor, "S L"]:
        """Raises ModelError where the package or `tokenizers` is not installed, and for a text that is too long."""
        numbers = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        for text, one in zip(texts, numbers, strict=True):
            require_length(text, len(one), self._facts.context_length)
        tokens = torch.full((len(numbers), max(map(len, numbers))), _PADDING, dtype=torch.int64)
        for row, one in zip(tokens, numbers, strict=True):
            row[: len(one)] = torch.tensor(one)
        return tokens

    @cached_property
    def _tokenizer(self) -> Any:
        path = self._facts.sentences.path
        if path is None:
            raise ModelError(f"{missing_packages(self._name)}.")
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise ModelError(
                f"{self._name} needs tokenizers, which is not installed: `pip install tokenizers`."
            ) from None
        with zipfile.ZipFile(path) as archive:
            tokenizer = Tokenizer.from_str(archive.read(WORDS).decode())
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer
