"""`ovlab data prepare`: an original download to verified shards."""

import argparse
import json
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

from ovlab.commands.data_action import add_action, add_workers, worker_died
from ovlab.commands.data_facts import amount, facts
from ovlab.specs.errors import InputError
from ovlab.specs.wording import thousands

if TYPE_CHECKING:
    from ovlab.datasets.original import OriginalSplit

_EPILOG = """\
examples:
  ovlab data prepare a-150 --source downloads --out data/a-150
  ovlab data prepare coco-stuff --split train --source downloads --out s3://bucket/coco-stuff --workers 8

The same command again continues a preparation that was stopped or killed, and does nothing when it is done. Each
split goes to a place of its own. A bad file stops the work with one line that names it; with --skip-bad such samples
are left out, listed in bad.jsonl and counted.
"""


def configure(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = add_action(actions, "prepare", "pack an original download into verified shards", _EPILOG)
    parser.add_argument("name", metavar="NAME", help="a data set of `ovlab data list`")
    parser.add_argument(
        "--source", type=Path, metavar="DIR", help="where the download was unpacked; a shapes set needs none"
    )
    parser.add_argument("--out", required=True, metavar="URI", help="an empty folder, or s3://bucket/prefix")
    parser.add_argument("--split", default="val", help="train, val or test (default: val)")
    parser.add_argument("--skip-bad", action="store_true", help="list bad samples in bad.jsonl instead of stopping")
    add_workers(parser)
    parser.set_defaults(execute=_execute)


def _execute(arguments: argparse.Namespace) -> int:
    from ovlab.datasets.prepare import prepare
    from ovlab.runs.progress import open_progress

    split = _open_source(arguments.name, arguments.source, arguments.split)
    _print_notes(split)
    try:
        with open_progress(f"prepare {arguments.name}", total=len(split.sample_ids), unit="image") as progress:
            preparation = prepare(
                split,
                arguments.out,
                skip_bad=arguments.skip_bad,
                num_workers=arguments.workers,
                progress=lambda done, total: progress.update(done),
            )
    except BrokenProcessPool:
        return worker_died("finished shards are kept and the same command continues")
    found = {**facts(arguments.out, preparation.manifest), "num_written_shards": preparation.num_written_shards}
    if arguments.json:
        print(json.dumps(found))
        return 0
    done = "prepared" if preparation.num_written_shards else "already prepared, nothing to do"
    print(f"{done}: {arguments.out}: {found['name']} {found['split']}, {amount(found)}")
    return 0


def _open_source(name: str, source: Path | None, split: str) -> "OriginalSplit":
    """The split to pack. Raises InputError where there is no such split, or no source where one is needed."""
    from ovlab.datasets.catalog import lookup
    from ovlab.shapes.dataset import open_shapes
    from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES

    if name in SHAPES_NAMES:
        return open_shapes(name, split)
    known = lookup(name)
    if source is None:
        raise InputError(f"{name}: give --source DIR, where the download was unpacked; see `ovlab data list {name}`.")
    return known.open(source, split)


def _print_notes(split: "OriginalSplit") -> None:
    for note in split.notes:
        print(f"note: {note}", file=sys.stderr)
    if len(split.sample_ids) != split.expected_count:
        found = f"{thousands(len(split.sample_ids))} samples here, {thousands(split.expected_count)} were published"
        print(f"note: {split.name} {split.split}: {found}", file=sys.stderr)
