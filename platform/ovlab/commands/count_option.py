"""An option that counts: how many processes, how many runs."""

import argparse
from collections.abc import Callable

from ovlab.specs.errors import InputError

# Of processes or runs. What is above is a slip of the keyboard, and would take the machine down.
MOST = 1024


def at_least_one(what: str) -> Callable[[str], int]:
    """The `type` of an option that takes the number of `what`. A refusal names what was given."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= MOST:
            raise argparse.ArgumentTypeError(f"{text!r}: give the number of {what}, at least 1 and at most {MOST}.")
        return int(text)

    return parse


def require_at_least_one(arguments: argparse.Namespace, *options: str) -> None:
    """Raise InputError for one of the `options`, such as --limit, that is given as 0 or less."""
    for option in options:
        value = getattr(arguments, option.removeprefix("--").replace("-", "_"))
        if value is not None and value < 1:
            raise InputError(f"{option} must be at least 1, got {value}.")
