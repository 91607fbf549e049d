"""How a message stays one line, whatever it has to name, and how numbers are written, in every table and page."""

import errno
import re
from collections.abc import Mapping, Sequence
from typing import Any

_REMEDIES = {
    errno.ENOSPC: "Free space there, or give another place",
    errno.EDQUOT: "Free space there, or give another place",
    errno.EROFS: "Give a place that can be written to",
    errno.EACCES: "Ask for the right to it, or give another place",
    errno.EPERM: "Ask for the right to it, or give another place",
    errno.EIO: "Check the disk, or give another place",
    errno.ESTALE: "See whether it is mounted",
    errno.ENOENT: "See whether it is mounted",
    errno.ENAMETOOLONG: "Give a shorter path",
    errno.ELOOP: "Its links lead in a circle; mend them",
    errno.ENOTDIR: "A file is where a folder belongs; give another place",
    errno.EISDIR: "A folder is where a file belongs; move it away",
    errno.EMFILE: "Raise the limit of open files (ulimit -n)",
}


def shown(text: str) -> str:
    """`text` without the names and passwords of the addresses in it, and without what follows a question mark there.

    A password may hold any character that a person forgot to encode: all up to the last @ goes.
    """
    return re.sub(r"(?<=://)(?!/)((?:(?!://).)*@)?([^?\s]*)(\?\S*)?", r"\2", text)


def one_line(error: BaseException) -> str:
    """What an error says without its line breaks, and addresses as they are `shown`; its type where it says nothing."""
    return shown(" ".join(str(error).split())) or type(error).__name__


def disk_fault(error: OSError, place: str | None = None) -> str:
    """What a disk refuses, at `place` or where the error says, and what to do."""
    place = place or error.filename
    remedy = _REMEDIES.get(error.errno or 0, "Check the place")
    return f"{f'{place}: ' if place else ''}{error.strerror or one_line(error)}. {remedy}; the same command continues."


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8: half of a pair of surrogates, and bytes of a file name that are in
    another encoding, cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def first_names(names: Sequence[str], most: int = 3) -> str:
    """The first `most` names and how many more there are, or "none"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "none"


def percent(fraction: float | None, places: int = 1, *, nothing: str = "-") -> str:
    """0.1234 -> "12.3"; `nothing` where there is no number."""
    return nothing if fraction is None else f"{100 * fraction:.{places}f}"


def points(difference: float, places: int = 1) -> str:
    """A difference of fractions with its sign, in percentage points: -0.0123 -> "-1.2"."""
    return f"{100 * difference:+.{places}f}"


def gap_text(scores: Mapping[str, Any]) -> str:
    """What is missing to an mIoU of 100 %, and how much of it is of what kind; "" where no oracle was asked for it."""
    names = ("hallucination", "confusion", "boundary")
    parts = [scores.get(f"{name}_gap") for name in names]
    if None in parts:
        return ""
    words = (f"{name} {percent(part)}" for name, part in zip((*names[:2], "boundaries"), parts, strict=True))
    return f"of the gap of {percent(1 - scores['miou'])} points, {', '.join(words)}"


def thousands(number: int) -> str:
    """1234567 -> "1,234,567"."""
    return f"{number:,}"


def clock(seconds: float) -> str:
    """What is still to do, as H:MM:SS."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def duration(seconds: float) -> str:
    """What was spent, in the largest unit that leaves at least one of it: "8.2 s", "3.5 min", "1.25 h"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.2f} h"
