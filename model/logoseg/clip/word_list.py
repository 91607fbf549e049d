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


def require_words(clip: str, names: Iterable[Iterable[str]], templates: Iterable[str], what: str) -> None:
    """Raises ModelError, which begins with `what`, for a word of the templates or of the names of any class that the
    CLIP called `clip` does not know. A CLIP with a whole tokenizer reads everything."""
    config = model_config(clip)
    word_list = ((config or {}).get("text_cfg", {}).get("tokenizer_kwargs") or {}).get("words")
    if word_list is None:
        return
    known = frozenset(known_words(word_list))
    try:
        for text in (
            *(template.format("") for template in templates),
            *(name for of_class in names for name in of_class),
        ):
            spoken_words(text, known)
    except ModelError as error:
        raise ModelError(f"{what}: {error}") from None
