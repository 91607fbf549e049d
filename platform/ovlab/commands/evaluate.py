"""`ovlab evaluate`: the scores of a run on one data set or on a whole suite, in both mIoU conventions."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logoseg.config import ModelConfig
from ovlab.specs.evaluation import PROTOCOLS, Collapse, Protocol, sliding_window, whole, whole_768
from ovlab.specs.suite import SUITES

if TYPE_CHECKING:
    from logoseg.dense_clip import DenseClip
    from logoseg.network import LoGoSeg

_EPILOG = """\
examples:
  ovlab evaluate runs/camvid --data photographs/camvid --split test
  ovlab evaluate runs/shapes --suite shapes --limit 50
  ovlab evaluate clip:shapes-vit-s --data shapes-a-150 shapes-pc-59
  ovlab evaluate runs/paper --data s3://bucket/a-150 --protocol sliding-window --json

mIoU is the mean over the classes that are in the ground truth; the legacy mIoU divides by the classes that are in the
ground truth or in a prediction, as evaluation code of before July 2022 does.
"""
# What is reported of a data set, best known first.
_SCORES = (
    "miou",
    "legacy_miou",
    "seen_miou",
    "unseen_miou",
    "harmonic_miou",
    "fwiou",
    "pixel_accuracy",
    "mean_accuracy",
    "hallucination_rate",
)


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "evaluate",
        help="score a run on data sets",
        description="Score a run on data sets and write the figures beside its weights.",
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
    parser.add_argument("--limit", type=int, metavar="N", help="score the first N images of each set, for a quick look")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the figures go (default: into the run)")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON document")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    from ovlab.atomic_file import write_text
    from ovlab.weights import CLIP_ALONE, open_model, weights_file

    names = tuple(SUITES[arguments.suite].benchmarks.values()) if arguments.suite else tuple(arguments.data)
    model = open_model(arguments.weights, arguments.clip)
    folder = arguments.out
    if folder is None and not arguments.weights.startswith(CLIP_ALONE):
        folder = weights_file(Path(arguments.weights)).parent
    results = []
    for name in names:
        figures = _score(model, name, arguments)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            limited = "" if arguments.limit is None else f"-first-{arguments.limit}"
            file = folder / f"evaluation-{Path(figures['data']).name}-{arguments.split}{limited}.json"
            write_text(file, json.dumps(figures, indent=2) + "\n")
        results.append(figures)
    if arguments.json:
        print(json.dumps(results[0] if len(results) == 1 else results))
        return 0
    print_scores(results)
    if len(results) == 1:
        print_classes(results[0])
    if folder is not None:
        print(f"written: {folder}/evaluation-*.json" if len(results) > 1 else f"written: {file}")
    return 0


def _score(model: "LoGoSeg | DenseClip", name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of one data set."""
    from logoseg.text_encoder import cached_text
    from ovlab.cache import text_cache_folder
    from ovlab.datasets.opening import open_dataset
    from ovlab.datasets.selection import first_samples
    from ovlab.device import pick_device
    from ovlab.evaluation.evaluator import evaluate
    from ovlab.evaluation.label_space import label_space
    from ovlab.metrics.evaluation_counts import sum_counts
    from ovlab.metrics.summary import summary
    from ovlab.progress import open_progress
    from ovlab.specs.evaluation import protocol_hash

    dataset = open_dataset(name, arguments.split)
    if arguments.limit is not None:
        dataset = first_samples(dataset, arguments.limit)
    labels = label_space(dataset, arguments.synonyms)
    protocol = protocol_of(arguments, model.config, labels.collapse)
    text = cached_text(model.text_encoder, labels.asked, protocol.prompt_templates, text_cache_folder())
    with open_progress(f"evaluate {Path(dataset.name).name}", total=len(dataset), unit="image") as progress:
        images = evaluate(
            model,
            text,
            dataset,
            protocol,
            num_label_classes=len(labels.scored),
            device=pick_device(arguments.device),
            progress=progress,
        )
        counts = sum_counts((image.counts for image in images), len(labels.scored))
    return {
        "data": dataset.name,
        "split": arguments.split,
        "protocol": arguments.protocol,
        "protocol_hash": protocol_hash(protocol),
        **summary(counts, labels.scored, labels.seen),
    }


def protocol_of(arguments: argparse.Namespace, model: ModelConfig, collapse: Collapse | None) -> Protocol:
    """The protocol that the options name, for this model and the labels of this data set."""
    size = arguments.size or model.clip.image_size
    protocol = {"whole": whole(size), "whole-768": whole_768(), "sliding-window": sliding_window(size)}[
        arguments.protocol
    ]
    scoring = replace(protocol.scoring, collapse=collapse)
    return replace(protocol, prompt_templates=model.prompt_templates, synonyms=arguments.synonyms, scoring=scoring)


def print_scores(results: list[dict[str, Any]]) -> None:
    """One column a data set, in percent."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{results[0]['split']}, scores in %")
    table.add_column("score")
    for figures in results:
        table.add_column(Path(figures["data"]).name.removeprefix("shapes-"), justify="right")
    for name in _SCORES:
        if any(name in figures for figures in results):
            table.add_row(name, *(_percent(figures[name]) if name in figures else "" for figures in results))
    table.add_row("images", *(str(figures["num_images"]) for figures in results))
    Console().print(table)


def print_classes(figures: dict[str, Any]) -> None:
    """The classes that are in the ground truth, from best to worst."""
    from rich.console import Console
    from rich.table import Table

    classes = Table(title="classes")
    classes.add_column("class")
    classes.add_column("IoU %", justify="right")
    classes.add_column("share of pixels %", justify="right")
    present = [entry for entry in figures["classes"] if entry["num_gt_pixels"]]
    for entry in sorted(present, key=lambda entry: -entry["iou"]):
        share = entry["num_gt_pixels"] / figures["num_pixels"]
        classes.add_row(entry["name"], _percent(entry["iou"]), _percent(share))
    Console().print(classes)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f}"
