"""An option that counts: how many processes, how many runs."""

import argparse
from collections.abc import Callable


def at_least_one(what: str) -> Callable[[str], int]:
    """The `type` of an option that takes the number of `what`. A refusal names what was given."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < 1:
            raise argparse.ArgumentTypeError(f"{text!r}: give the number of {what}, at least 1.")
        return int(text)

    return parse
