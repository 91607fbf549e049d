"""Names that are those of files in a store or a report, and so of nothing else."""

import re

from ovlab.specs.errors import InputError

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def is_plain(name: str) -> bool:
    """Whether it is 1 to 200 letters, digits, '.', '_' or '-' and begins with a letter or a digit."""
    return _PLAIN.fullmatch(name) is not None


def require_plain(what: str, name: str) -> None:
    """Raises InputError, naming `what`, unless `is_plain(name)`."""
    if not is_plain(name):
        raise InputError(
            f"{what} must be 1 to 200 letters, digits, '.', '_' or '-', the first a letter or a digit; got {name!r}."
        )
