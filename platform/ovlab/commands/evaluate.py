"""`ovlab evaluate`: the scores of a run on one data set or on a whole suite, in both mIoU conventions."""

import argparse
import json
from pathlib import Path
from typing import Any

from ovlab.commands.count_option import at_least_one
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import BOUNDARY, PROTOCOLS
from ovlab.specs.suite import SUITES

_EPILOG = """\
examples:
  ovlab evaluate runs/camvid --data photographs/camvid --split test
  ovlab evaluate runs/shapes --suite shapes --limit 50
  ovlab evaluate clip:shapes-vit-s --data shapes-a-150 shapes-pc-59
  ovlab evaluate runs/paper --data s3://bucket/a-150 --protocol sliding-window --json
  ovlab evaluate runs/shapes --suite shapes --store ovlab-store --workers 2
  ovlab evaluate runs/shapes --suite shapes --boundary

mIoU is the mean over the classes that are in the ground truth; the legacy mIoU divides by the classes that are in the
ground truth or in a prediction, as evaluation code of before July 2022 does.

With --store, what is there is not computed again, and the same command continues an evaluation that was killed.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "evaluate",
        help="score a run on data sets",
        description="Score a run on data sets and write the figures beside its weights, or records into a store.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "weights",
        metavar="RUN",
        help="folder of a run, a weights.safetensors, or clip:PRESET for CLIP alone without any training",
    )
    parser.add_argument("--clip", type=Path, metavar="FILE", help="released CLIP weights, for clip:PRESET")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", nargs="+", help="folders, prepared shards, or shapes sets; see `ovlab data list`")
    data.add_argument("--suite", choices=("shapes",), help="all six benchmarks of the suite")
    parser.add_argument("--split", default="val", help="split to score (default: val)")
    parser.add_argument(
        "--protocol",
        default="whole",
        choices=tuple(PROTOCOLS),
        help="whole: one view, aspect kept (default); sliding-window: CAT-Seg's; whole-768: SED's",
    )
    parser.add_argument("--size", type=int, help="side in pixels at which the model runs (default: that of its preset)")
    parser.add_argument(
        "--synonyms",
        default="first",
        choices=("first", "average"),
        help="read a class by its first name, or by the mean of all its names (default: first)",
    )
    parser.add_argument(
        "--boundary",
        type=float,
        nargs="?",
        const=BOUNDARY,
        metavar="SHARE",
        help=f"count boundaries too, for boundary_iou: within SHARE of the image diagonal (default: {BOUNDARY})",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="score the first N images of each set, for a quick look")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--out", type=Path, metavar="FOLDER", help="where the figures go (default: into the run)")
    place.add_argument("--store", metavar="STORE", help="leave records in this store, a folder or s3://...")
    parser.add_argument(
        "--workers",
        type=at_least_one("workers"),
        default=1,
        metavar="N",
        help="processes that share the images, on the Ray of RAY_ADDRESS or one that this command starts where it is "
        "worth it (default: 1, without Ray)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON document")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    from ovlab.commands.scores_table import print_classes, print_scores
    from ovlab.commands.scoring import score_here, score_into_store

    if arguments.store is None and arguments.workers != 1:
        raise InputError("--workers: several workers evaluate into a store; give --store STORE too.")
    names = tuple(SUITES[arguments.suite].benchmarks.values()) if arguments.suite else tuple(arguments.data)
    if arguments.store is not None:
        results = score_into_store(arguments, names)
        place = f"in the store: {arguments.store}"
    else:
        folder = _folder(arguments)
        results = [_write(figures, folder, arguments) for figures in score_here(arguments, names)]
        place = "" if folder is None else f"written: {folder}/evaluation-*.json"
    if arguments.json:
        print(json.dumps(results[0] if len(results) == 1 else results))
        return 0
    print_scores(results)
    if len(results) == 1:
        print_classes(results[0])
    if place:
        print(place)
    return 0


def _folder(arguments: argparse.Namespace) -> Path | None:
    """Where the figures go: beside the weights by default; None for CLIP alone, which has no folder."""
    from ovlab.weights import CLIP_ALONE, weights_file

    if arguments.out is not None or arguments.weights.startswith(CLIP_ALONE):
        return arguments.out
    return weights_file(Path(arguments.weights)).parent


def _write(figures: dict[str, Any], folder: Path | None, arguments: argparse.Namespace) -> dict[str, Any]:
    from ovlab.atomic_file import write_text

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        limited = "" if arguments.limit is None else f"-first-{arguments.limit}"
        file = folder / f"evaluation-{Path(figures['data']).name}-{arguments.split}{limited}.json"
        write_text(file, json.dumps(figures, indent=2) + "\n")
    return figures
