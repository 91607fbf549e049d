"""`ovlab data get`: what anyone may fetch of a data set; the rest is printed as what a person does."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ovlab.commands.data_action import add_action
from ovlab.specs.errors import InputError

if TYPE_CHECKING:
    from ovlab.datasets.published_file import PublishedFile

_EPILOG = """\
examples:
  ovlab data get a-150 --out downloads               says what it fetches, under which licence, and asks
  ovlab data get coco-stuff --split val --out downloads --yes
  ovlab data prepare a-150 --source downloads --out data/a-150

The same command goes on where a transfer broke off. What came is held against the published size and checksum; where
none was published, the sha256 that it has is said, and kept beside it as NAME.sha256. Archives are unpacked, and may be
removed afterwards. What needs a registration, or has no lasting address, is printed as what to do.
"""


def configure(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = add_action(actions, "get", "fetch what anyone may of an original download", _EPILOG)
    parser.add_argument("name", metavar="NAME", help="a data set of `ovlab data list`")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where it is unpacked: DIR of data list")
    parser.add_argument("--split", choices=("train", "val"), help="only what this split needs (default: both)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(execute=_execute)


def _execute(arguments: argparse.Namespace) -> int:
    from ovlab.datasets.catalog import lookup
    from ovlab.datasets.published_file import PublishedFile

    steps = lookup(arguments.name).obtain
    files = [step for step in steps if isinstance(step, PublishedFile) and arguments.split in (None, *_splits(step))]
    by_hand = [step for step in steps if isinstance(step, str)]
    if not files:
        raise InputError(f"{arguments.name}: nothing of it may be fetched by anyone. {' '.join(by_hand)}")
    for file in files:
        size = "size not published" if file.num_bytes is None else f"{file.num_bytes / 1e6:,.0f} MB"
        print(f"{file.url}\n    {size}; {file.licence}", file=sys.stderr)
    if not arguments.yes:
        _ask(arguments.out)
    got = [_get(file, arguments.out) for file in files]
    if arguments.json:
        print(json.dumps({"name": arguments.name, "out": str(arguments.out), "files": got, "by_hand": by_hand}))
        return 0
    for step in by_hand:
        print(f"left to do: {step}")
    print(f"then: ovlab data prepare {arguments.name} --source {arguments.out} --out URI")
    return 0


def _splits(file: "PublishedFile") -> tuple[str, ...]:
    return ("train", "val") if file.split is None else (file.split,)


def _ask(folder: Path) -> None:
    """Raises InputError unless somebody says yes."""
    if not sys.stdin.isatty():
        raise InputError("nobody is there to be asked; --yes fetches it.")
    print(f"Fetch that into {folder}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("not fetched.")


def _get(file: "PublishedFile", folder: Path) -> dict[str, object]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from ovlab.datasets.transfer import get

    console = Console(stderr=True)
    columns = TextColumn(file.name), BarColumn(20), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        line = shown.add_task(file.name, total=file.num_bytes)
        got = get(file, folder, lambda done, total: shown.update(line, completed=done, total=total or file.num_bytes))
    known = "as published" if file.checksum else "no checksum was published"
    said = "there already" if got.was_there else f"fetched, {known}"
    print(f"{file.name}: {said}; sha256 {got.sha256}", file=sys.stderr)
    return {"url": file.url, "sha256": got.sha256, "was_there": got.was_there, "is_as_published": bool(file.checksum)}
