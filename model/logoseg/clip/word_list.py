"""The words that a small CLIP knows, where its tokenizer is reduced to a short list. No torch here."""

from collections.abc import Collection, Iterable
from functools import lru_cache

from logoseg.clip.shipped import CLIP_CONFIGS
from logoseg.clip.tower_facts import model_config
from logoseg.model_error import ModelError


@lru_cache
def known_words(name: str) -> tuple[str, ...]:
    """The words of a list in clip_configs/, one a line."""
    return tuple((CLIP_CONFIGS / f"{name}.txt").read_text(encoding="utf-8").split())


def spoken_words(text: str, known: Collection[str]) -> list[str]:
    """The words of `text`. Raises ModelError for one that is not known."""
    words = "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()
    unknown = [word for word in words if word not in known]
    if unknown:
        raise ModelError(
            f"{text!r}: this small CLIP does not know {', '.join(map(repr, unknown))}. "
            f"It knows {', '.join(sorted(known))}."
        )
    return words


def require_length(text: str, num_tokens: int, context_length: int) -> None:
    """Raises ModelError for a text of more tokens than a text tower reads."""
    if num_tokens > context_length:
        raise ModelError(f"{text!r:.60} has {num_tokens} tokens; this text tower reads {context_length}. Shorten it.")


def require_words(clip: str, names: Iterable[Iterable[str]], templates: Iterable[str], what: str) -> None:
    """Raises ModelError, which begins with `what`, for a word of the templates or of the names of any class that the
    CLIP called `clip` does not know, and for a name that is longer than its text tower reads. A CLIP with a whole
    tokenizer knows every word, and refuses what is too long when it reads it."""
    text_config = (model_config(clip) or {}).get("text_cfg", {})
    word_list = (text_config.get("tokenizer_kwargs") or {}).get("words")
    if word_list is None:
        return
    known = frozenset(known_words(word_list))
    try:
        # Start and end, and a token for each word of the list.
        around = 2 + max(len(spoken_words(template.format(""), known)) for template in templates)
        for name in (name for of_class in names for name in of_class):
            require_length(name, around + len(spoken_words(name, known)), text_config["context_length"])
    except ModelError as error:
        raise ModelError(f"{what}: {error}") from None
