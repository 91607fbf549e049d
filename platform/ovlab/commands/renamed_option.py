"""An option under the name that it had once: one line says what it is called now."""

import argparse
from typing import Any


def add_renamed(parser: argparse.ArgumentParser, old: str, advice: str) -> None:
    """Refuse `old` with `advice`, and exit code 2. No --help shows it, and no attribute holds it."""

    class Refuse(argparse.Action):
        def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> None:
            parser.exit(2, f"ovlab: {old}: {advice}\n")

    parser.add_argument(old, action=Refuse, nargs="?", dest=argparse.SUPPRESS, help=argparse.SUPPRESS)
