"""Words to the numbers a text tower reads: open_clip's byte-pair tokenizer, whole or reduced to a short list of words.

A text that is longer than the tower reads is refused: open_clip cuts it, and two names with one beginning would be one.

The embedding of the whole table would be nine tenths of a small model's weights. A reduced tokenizer keeps the token of
each listed word and gives it a small number; the end of a text stays the largest number, since open_clip pools there.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import open_clip
import torch
from jaxtyping import Int64
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer
from torch import Tensor

from logoseg.clip.word_list import known_words, require_length, spoken_words
from logoseg.model_error import ModelError
from logoseg.weights_file import first_line

Tokenizer = Callable[[Sequence[str]], Int64[Tensor, "prompts length"]]


def build_tokenizer(text_config: dict[str, Any]) -> Tokenizer:
    """The tokenizer that belongs to the `text_cfg` of an open_clip model; a reduced one where it names a word list."""
    context_length = text_config.get("context_length", DEFAULT_CONTEXT_LENGTH)
    options = text_config.get("tokenizer_kwargs") or {}
    if "hf_tokenizer_name" in text_config:
        return DownloadedTokenizer(text_config["hf_tokenizer_name"], context_length, options)
    if "words" in options:
        return ReducedTokenizer(known_words(options["words"]), context_length)
    return WholeTokenizer(context_length, options)


class WholeTokenizer:
    """All of CLIP's byte pairs."""

    def __init__(self, context_length: int, options: dict[str, Any]) -> None:
        self._tokenizer = open_clip.SimpleTokenizer(context_length=context_length, **options)
        self._context_length = context_length

    def __call__(self, texts: Sequence[str]) -> Int64[Tensor, "prompts length"]:
        """Raises ModelError for a text longer than the context."""
        for text in texts:
            require_length(text, len(self._tokenizer.encode(text)) + 2, self._context_length)
        return self._tokenizer(list(texts))


class DownloadedTokenizer:
    """One of the Hugging Face hub, as SigLIP has. It is fetched at the first text: a model is built without network."""

    def __init__(self, name: str, context_length: int, options: dict[str, Any]) -> None:
        self._name = name
        self._context_length = context_length
        self._options = options

    def __call__(self, texts: Sequence[str]) -> Int64[Tensor, "prompts length"]:
        """Raises ModelError where transformers is not installed, or the tokenizer neither cached nor to be reached, and
        for a text longer than the context."""
        whole = self._tokenizer.tokenizer([self._tokenizer.clean_fn(text) for text in texts])["input_ids"]
        for text, numbers in zip(texts, whole, strict=True):
            require_length(text, len(numbers), self._context_length)
        return self._tokenizer(list(texts))

    @cached_property
    def _tokenizer(self) -> HFTokenizer:
        try:
            return HFTokenizer(self._name, context_length=self._context_length, **self._options)
        except ImportError as error:
            package = error.name or "transformers"
            raise ModelError(
                f"The tokenizer {self._name} needs {package}, which is not installed: `pip install {package}`."
            ) from None
        except OSError as error:
            raise ModelError(f"The tokenizer {self._name} cannot be fetched ({first_line(error)}).") from None


class ReducedTokenizer:
    """Knows the given words only. 0 is padding, words count from 1, then start and end of text."""

    def __init__(self, words: Sequence[str], context_length: int) -> None:
        self._whole = open_clip.SimpleTokenizer(context_length=context_length)
        self._words = frozenset(words)
        self._context_length = context_length
        tokens = dict.fromkeys(token for word in words for token in self._whole.encode(word))
        self._small = {token: number for number, token in enumerate(tokens, start=1)}
        self._start, self._end = len(tokens) + 1, len(tokens) + 2

    @property
    def vocab_size(self) -> int:
        """How many rows the embedding needs."""
        return self._end + 1

    def __call__(self, texts: Sequence[str]) -> Int64[Tensor, "prompts length"]:
        """Raises ModelError for a word that is not known, and for a text longer than the context."""
        tokens = torch.zeros(len(texts), self._context_length, dtype=torch.int64)
        for row, text in zip(tokens, texts, strict=True):
            numbers = [self._start, *self._numbers(text), self._end]
            require_length(text, len(numbers), self._context_length)
            row[: len(numbers)] = torch.tensor(numbers)
        return tokens

    def _numbers(self, text: str) -> list[int]:
        words = spoken_words(text, self._words)
        return [self._small[token] for word in words for token in self._whole.encode(word)]
