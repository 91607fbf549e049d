"""`ovlab data`: what is known, preparing an original download, and verifying what was prepared."""

import argparse
import json
import os
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovlab.specs.errors import InputError

if TYPE_CHECKING:
    from ovlab.datasets.manifest import Manifest
    from ovlab.datasets.original import OriginalSplit
    from ovlab.evaluation.verify import Verification

_LIST_EPILOG = """\
examples:
  ovlab data list                            every data set, and how to obtain its download
  ovlab data list a-150                      one of them
  ovlab data list --at data --at s3://b/sets what is prepared in these places
"""

_PREPARE_EPILOG = """\
examples:
  ovlab data prepare a-150 --source downloads --out data/a-150
  ovlab data prepare coco-stuff --split train --source downloads --out s3://bucket/coco-stuff --workers 8

The same command again continues a preparation that was stopped or killed, and does nothing when it is done. Each
split goes to a place of its own. A bad file stops the work with one line that names it; with --skip-bad such samples
are left out, listed in bad.jsonl and counted.
"""

_VERIFY_EPILOG = """\
examples:
  ovlab data verify data/a-150
  ovlab data verify s3://bucket/a-847 --workers 8 --json

exit code: 0 everything holds, 1 something does not (each damaged shard and sample is named)
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("data", help="list, prepare and verify data sets", description=__doc__)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _configure_list(actions)
    _configure_prepare(actions)
    _configure_verify(actions)


def _configure_list(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add_action(
        actions, "list", "say what is known, how to obtain it, and what is prepared where", _LIST_EPILOG
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="one data set (default: all)")
    parser.add_argument("--at", action="append", default=[], metavar="URI", help="a place to look for prepared sets")
    parser.set_defaults(execute=execute_list)


def _configure_prepare(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add_action(actions, "prepare", "pack an original download into verified shards", _PREPARE_EPILOG)
    parser.add_argument("name", metavar="NAME", help="a data set of `ovlab data list`")
    parser.add_argument(
        "--source", type=Path, metavar="DIR", help="where the download was unpacked; a shapes set needs none"
    )
    parser.add_argument("--out", required=True, metavar="URI", help="an empty folder, or s3://bucket/prefix")
    parser.add_argument("--split", default="val", help="train or val (default: val)")
    parser.add_argument("--skip-bad", action="store_true", help="list bad samples in bad.jsonl instead of stopping")
    _add_workers(parser)
    parser.set_defaults(execute=execute_prepare)


def _configure_verify(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add_action(actions, "verify", "check every byte, count and label, and two known scores", _VERIFY_EPILOG)
    parser.add_argument("uri", metavar="URI", help="where `ovlab data prepare` wrote to")
    parser.add_argument("--allow-partial", action="store_true", help="accept fewer samples than were published")
    _add_workers(parser)
    parser.set_defaults(execute=execute_verify)


def _add_action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, effect: str, epilog: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=effect,
        description=f"{effect[0].upper()}{effect[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _add_workers(parser: argparse.ArgumentParser) -> None:
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument(
        "--workers",
        type=_positive,
        default=num_cores,
        metavar="N",
        help=f"processes (default: {num_cores}, one a core)",
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def execute_list(arguments: argparse.Namespace) -> int:
    from ovlab.datasets.catalog import DATASETS, lookup

    chosen = [lookup(arguments.name)] if arguments.name else list(DATASETS.values())
    known: list[dict[str, Any]] = [
        {
            "name": dataset.name,
            "title": dataset.title,
            "num_images": dict(dataset.num_images),
            "num_classes": dataset.num_label_classes,
            "obtain": list(dataset.obtain),
        }
        for dataset in chosen
    ]
    prepared = [found for place in arguments.at for found in prepared_at(place)]
    if arguments.name:
        prepared = [found for found in prepared if found["name"] == arguments.name]
    if arguments.json:
        print(json.dumps({"known": known, "prepared": prepared}))
        return 0
    for entry in known:
        images = ", ".join(f"{split} {count:,}" for split, count in entry["num_images"].items())
        print(f"{entry['name']}: {entry['title']}; {entry['num_classes']} classes; images: {images}")
        for step in entry["obtain"]:
            print(f"    {step}")
        print(f"    ovlab data prepare {entry['name']} --source DIR --out URI")
    if not arguments.name:
        print("shapes-coco and the shapes benchmarks: painted on demand, nothing to download; they can be prepared too")
    if arguments.at:
        print(f"prepared in {', '.join(arguments.at)}:{'' if prepared else ' nothing'}")
    for found in prepared:
        print(f"    {found['uri']}: {found['name']} {found['split']}, {_amount(found)}")
    return 0


def prepared_at(place: str) -> list[dict[str, Any]]:
    """The prepared splits in `place`: it may be one itself, or hold some in its folders."""
    from ovlab.datasets.manifest import MANIFEST, load_manifest
    from ovlab.storage import Folder

    root = Folder(place)
    candidates = [root, *(Folder(root.locate(name)) for name in root.folders())]
    return [_facts(folder.uri, load_manifest(folder)) for folder in candidates if MANIFEST in folder.sizes()]


def execute_prepare(arguments: argparse.Namespace) -> int:
    from ovlab.datasets.prepare import prepare
    from ovlab.progress import open_progress

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
        return _worker_died("finished shards are kept and the same command continues")
    facts = {**_facts(arguments.out, preparation.manifest), "num_written_shards": preparation.num_written_shards}
    if arguments.json:
        print(json.dumps(facts))
        return 0
    done = "prepared" if preparation.num_written_shards else "already prepared, nothing to do"
    print(f"{done}: {arguments.out}: {facts['name']} {facts['split']}, {_amount(facts)}")
    return 0


def _open_source(name: str, source: Path | None, split: str) -> "OriginalSplit":
    """The split to pack. Raises InputError where there is no such split, or no source where one is needed."""
    from ovlab.datasets.catalog import lookup
    from ovlab.datasets.shapes import open_shapes
    from ovlab.datasets.shapes_benchmarks import SHAPES_NAMES
    from ovlab.datasets.shapes_split import ShapesSplit

    if name in SHAPES_NAMES:
        return ShapesSplit(open_shapes(name, split))
    known = lookup(name)
    if source is None:
        raise InputError(f"{name}: give --source DIR, where the download was unpacked; see `ovlab data list {name}`.")
    return known.open(source, split)


def execute_verify(arguments: argparse.Namespace) -> int:
    from ovlab.datasets.sharded import open_shards
    from ovlab.evaluation.verify import verify
    from ovlab.progress import open_progress

    try:
        with open_progress("verify", total=len(open_shards(arguments.uri)), unit="image") as progress:
            found = verify(
                arguments.uri,
                num_workers=arguments.workers,
                allow_partial=arguments.allow_partial,
                progress=lambda done, total: progress.update(done),
            )
    except BrokenProcessPool:
        return _worker_died("nothing was verified")
    if arguments.json:
        from dataclasses import asdict

        print(json.dumps({"passed": found.passed, **asdict(found)}))
    else:
        _print_verification(found)
    return 0 if found.passed else 1


def _print_notes(split: "OriginalSplit") -> None:
    for note in split.notes:
        print(f"note: {note}", file=sys.stderr)
    if len(split.sample_ids) != split.expected_count:
        found = f"{len(split.sample_ids):,} samples here, {split.expected_count:,} were published"
        print(f"note: {split.name} {split.split}: {found}", file=sys.stderr)


def _print_verification(found: "Verification") -> None:
    print(f"{found.uri}: {found.name} {found.split}, {found.num_samples:,} samples")
    for check in found.checks:
        print(f"    {'ok    ' if check.passed else 'FAILED'}  {check.name}: {check.found}")
    print(f"    {100 * found.ignored_share:.2f} % of the pixels are ignored")
    for problem in found.problems:
        print(f"    {problem}")
    print("verified: everything holds" if found.passed else "verified: something does not hold")


def _facts(uri: str, manifest: "Manifest") -> dict[str, Any]:
    return {
        "uri": uri,
        "name": manifest.identity.name,
        "split": manifest.identity.split,
        "num_samples": manifest.num_samples,
        "num_expected_samples": manifest.identity.num_expected_samples,
        "num_bad_samples": manifest.num_bad_samples,
        "num_classes": len(manifest.identity.class_names),
        "num_shards": len(manifest.shards),
        "num_bytes": sum(shard.num_bytes for shard in manifest.shards),
        "content_digest": manifest.content_digest,
    }


def _amount(facts: dict[str, Any]) -> str:
    counts = f"{facts['num_samples']:,} of {facts['num_expected_samples']:,} samples"
    bad = f", {facts['num_bad_samples']:,} bad ones listed in bad.jsonl" if facts["num_bad_samples"] else ""
    return f"{counts}{bad}, {facts['num_shards']:,} shards, {facts['num_bytes'] / 2**20:,.1f} MiB"


def _worker_died(consequence: str) -> int:
    print(
        f"ovlab: a worker process was killed, perhaps for want of memory; {consequence}. Try fewer --workers.",
        file=sys.stderr,
    )
    return 1
