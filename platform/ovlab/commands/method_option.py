"""`--method`: a method of one's own, and `--option`: its settings."""

import argparse
import json
from typing import Any

from ovlab.specs.errors import InputError


def add_method_files(parser: argparse.ArgumentParser) -> None:
    """For commands that read weights, which say themselves of which method they are."""
    parser.add_argument(
        "--method",
        action="append",
        default=[],
        metavar="FILE.py:CLASS",
        help="where a method of your own stands, for weights of it",
    )


def add_method(parser: argparse.ArgumentParser) -> None:
    """For the command that trains one."""
    parser.add_argument(
        "--method", metavar="NAME", help="train another method than LoGoSeg: its name, or FILE.py:CLASS of your own"
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option of the method, may be repeated"
    )


def parse_options(options: list[str]) -> dict[str, Any]:
    """NAME=VALUE, a value being JSON or else text. Raises InputError for another form."""
    found: dict[str, Any] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise InputError(f"--option {option}: write NAME=VALUE.")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found
