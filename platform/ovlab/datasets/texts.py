"""What CLIP's tokenizer reads of a name. Names that it reads alike are one text, and of two classes of one text the
second can never win."""

import html
from collections.abc import Iterable

# The pieces into which open_clip's SimpleTokenizer cuts a text, before it cuts them into tokens, each on its own.
_PIECES = r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def pieces(text: str) -> tuple[str, ...]:
    """The pieces of a text after the cleaning that the tokenizer begins with: broken encodings mended, HTML entities
    written out, white space and capitals forgotten. Equal pieces are equal tokens."""
    import ftfy
    import regex  # type: ignore[import-untyped]  # the module `re` knows no Unicode classes

    cleaned = html.unescape(html.unescape(ftfy.fix_text(text)))
    return tuple(regex.findall(_PIECES, " ".join(cleaned.split()).lower(), regex.IGNORECASE))


def alike(texts: Iterable[str]) -> tuple[str, str] | None:
    """The first two of the texts that are one to the tokenizer, if there are such."""
    met: dict[tuple[str, ...], str] = {}
    for text in texts:
        read = pieces(text)
        if read in met:
            return met[read], text
        met[read] = text
    return None


def of_shared_texts(texts: Iterable[str]) -> tuple[str, ...]:
    """Those of the texts that are one with another of them, in their order."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for text in texts:
        groups.setdefault(pieces(text), []).append(text)
    return tuple(text for group in groups.values() if len(group) > 1 for text in group)
