"""`ovlab evaluate`: the scores of a run on one data set or on a whole suite, in both mIoU conventions."""

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from ovlab.commands.count_option import require_at_least_one
from ovlab.commands.executor_option import add_workers
from ovlab.commands.method_option import add_method_files
from ovlab.specs.evaluation import BOUNDARY, ORACLES, PROTOCOLS, SynonymRule
from ovlab.specs.suite import SUITES

_EPILOG = """\
examples:
  ovlab evaluate runs/camvid --data photographs/camvid --split test
  ovlab evaluate runs/shapes --suite shapes --limit 50
  ovlab evaluate clip:shapes-vit-s --data shapes-a-150 shapes-pc-59
  ovlab evaluate runs/paper --data s3://bucket/a-150 --protocol sliding-window --json
  ovlab evaluate runs/shapes --suite shapes --store ovlab-store --workers 2
  ovlab evaluate clip:shapes-vit-s --suite shapes --out runs/clip-alone
  ovlab evaluate runs/shapes --suite shapes --boundary
  ovlab evaluate runs/shapes --suite shapes --oracle classes regions
  ovlab evaluate runs/volume --suite shapes --early-rejection 48 24

mIoU is the mean over the classes that are in the ground truth; the legacy mIoU divides by the classes that are in the
ground truth or in a prediction, as evaluation code of before July 2022 does.

Records and counts go into the store; without --store, the folder of the run is one, and the scores stand beside its
weights too. What is there is not computed again, and the same command continues an evaluation that was killed.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "evaluate",
        help="score a run on data sets",
        description="Score a run on data sets; leaves scores beside its weights and records in a store.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "weights",
        metavar="RUN",
        help="folder of a run, a weights.safetensors, or clip:PRESET for CLIP alone without any training",
    )
    add_method_files(parser)
    parser.add_argument("--clip", metavar="FILE", help="CLIP weights for clip:PRESET: a file or open_clip's tag")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", nargs="+", help="folders, prepared shards, or shapes sets; see `ovlab data list`")
    data.add_argument("--suite", choices=("shapes",), help="all six benchmarks of the suite")
    parser.add_argument("--split", default="val", help="split to score (default: val)")
    parser.add_argument(
        "--protocol",
        default="whole",
        choices=tuple(PROTOCOLS),
        help="whole: one view, aspect kept (default); sliding-window: CAT-Seg's windows; whole-768: SED's view; "
        "cat-seg, sed, san: all that the method was published with, its loader too",
    )
    parser.add_argument("--size", type=int, help="side in pixels at which the model runs (default: that of its preset)")
    parser.add_argument(
        "--synonyms",
        choices=get_args(SynonymRule),
        help="read a class by its first name, by the mean of all, or by all as one (default: as the protocol says)",
    )
    parser.add_argument(
        "--boundary",
        type=float,
        nargs="?",
        const=BOUNDARY,
        metavar="SHARE",
        help=f"count boundaries too, for boundary_iou: within SHARE of the image diagonal (default: {BOUNDARY})",
    )
    parser.add_argument(
        "--oracle",
        nargs="+",
        choices=ORACLES,
        default=(),
        help="score what is predicted among the classes of each image (classes), with its regions known, each by its "
        "majority answer (regions), or both, which divides the gap to 100 %% into hallucination, confusion, boundaries",
    )
    parser.add_argument(
        "--early-rejection",
        type=int,
        nargs=2,
        metavar=("FIRST", "SECOND"),
        help="of a class_volume with auxiliary heads: classes of a view that go on from the coarsest maps and the next",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="score the first N images of each set, for a quick look")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--out", type=Path, metavar="FOLDER", help="where scores and records go (default: into the run)")
    place.add_argument("--store", metavar="STORE", help="leave records in this store, a folder or s3://...")
    add_workers(parser, "the images")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument("--json", action="store_true", help="print the scores as one JSON document")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    require_at_least_one(arguments, "--limit")
    from ovlab.commands.scores_table import print_classes, print_scores
    from ovlab.commands.scoring import score

    names = tuple(SUITES[arguments.suite].benchmarks.values()) if arguments.suite else tuple(arguments.data)
    with ExitStack() as stack:
        folder = None if arguments.store else _folder(arguments)
        place = arguments.store or folder or stack.enter_context(TemporaryDirectory())
        results = score(arguments, names, str(place))
    files = [] if folder is None else _write(results, folder, arguments)
    if arguments.json:
        print(json.dumps(results[0] if len(results) == 1 else results))
        return 0
    print_scores(results)
    if len(results) == 1:
        print_classes(results[0])
    for file in files:
        print(f"written: {file}")
    if arguments.store is not None:
        print(f"in the store: {arguments.store}")
    return 0


def _folder(arguments: argparse.Namespace) -> Path | None:
    """Where scores go without a store: beside the weights by default; None for METHOD:..., which has no folder."""
    from ovlab.runs.subject import is_run, weights_file

    if arguments.out is not None or not is_run(arguments.weights):
        return arguments.out
    run = Path(arguments.weights)
    file = weights_file(run)
    return run if run.is_dir() else file.parent


def _write(results: list[dict[str, Any]], folder: Path, arguments: argparse.Namespace) -> list[Path]:
    """One file a data set; returns their paths."""
    from ovlab.files.whole_file import write_text

    # One file a way of scoring, so that none stands where another was.
    asked = {
        "first": arguments.limit,
        "protocol": None if arguments.protocol == "whole" else arguments.protocol,
        "size": arguments.size,
        "synonyms": arguments.synonyms,
        "boundary": arguments.boundary,
        "oracle": "-".join(sorted(set(arguments.oracle))) or None,
        "rejection": None if arguments.early_rejection is None else "{}-{}".format(*arguments.early_rejection),
    }
    suffix = "".join(f"-{name}-{value}" for name, value in asked.items() if value is not None)
    files = [folder / f"evaluation-{Path(scores['data']).name}-{arguments.split}{suffix}.json" for scores in results]
    for file, scores in zip(files, results, strict=True):
        write_text(file, json.dumps(scores, indent=2) + "\n")
    return files
