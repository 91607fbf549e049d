"""How a message stays one line, whatever it has to name."""

from collections.abc import Sequence


def one_line(error: BaseException) -> str:
    """What an error says without its line breaks; its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def first_names(names: Sequence[str], most: int = 3) -> str:
    """The first `most` names and how many more there are, or "none"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "none"
