"""`ovlab evaluate`: the scores of a run on a data set, in both mIoU conventions."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from logoseg.config import ModelConfig
from ovlab.specs.evaluation import PROTOCOLS, Collapse, Protocol, sliding_window, whole, whole_768

_EPILOG = """\
examples:
  ovlab evaluate runs/camvid --data photographs/camvid --split test
  ovlab evaluate runs/shapes --data shapes-a-150 --limit 50
  ovlab evaluate runs/paper --data s3://bucket/a-150 --protocol sliding-window --json

mIoU is the mean over the classes that are in the ground truth; the legacy mIoU divides by the classes that are in the
ground truth or in a prediction, as evaluation code of before July 2022 does.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "evaluate",
        help="score a run on a data set",
        description="Score a run on a data set and write the figures beside its weights.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", type=Path, metavar="RUN", help="folder of a run, or a weights.safetensors")
    parser.add_argument(
        "--data", required=True, help="a folder, prepared shards, or a shapes set; see `ovlab data list`"
    )
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
    parser.add_argument("--limit", type=int, metavar="N", help="score the first N images only, for a quick look")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the figures go (default: beside the weights)")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON document")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    from logoseg.text_encoder import cached_text
    from ovlab.atomic_file import write_text
    from ovlab.cache import text_cache_folder
    from ovlab.datasets.opening import open_dataset
    from ovlab.device import pick_device
    from ovlab.evaluation.evaluator import evaluate
    from ovlab.evaluation.label_space import FirstSamples, label_space
    from ovlab.metrics.evaluation_counts import sum_counts
    from ovlab.metrics.summary import summary
    from ovlab.progress import open_progress
    from ovlab.specs.evaluation import protocol_hash
    from ovlab.weights import open_weights, weights_file

    file = weights_file(arguments.weights)
    model, _ = open_weights(file)
    dataset = open_dataset(arguments.data, arguments.split)
    if arguments.limit is not None:
        dataset = FirstSamples(dataset, arguments.limit)
    labels = label_space(dataset, arguments.synonyms)
    protocol = protocol_of(arguments, model.config, labels.collapse)
    text = cached_text(model.text_encoder, labels.asked, protocol.prompt_templates, text_cache_folder())
    with open_progress("evaluate", total=len(dataset), unit="image") as progress:
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
    figures = {
        "data": dataset.name,
        "split": arguments.split,
        "protocol": arguments.protocol,
        "protocol_hash": protocol_hash(protocol),
        **summary(counts, labels.scored, labels.seen),
    }
    out = arguments.out or file.parent / f"evaluation-{Path(dataset.name).name}-{arguments.split}.json"
    write_text(out, json.dumps(figures, indent=2) + "\n")
    if arguments.json:
        print(json.dumps(figures))
    else:
        print_figures(figures)
        print(f"written: {out}")
    return 0


def protocol_of(arguments: argparse.Namespace, model: ModelConfig, collapse: Collapse | None) -> Protocol:
    """The protocol that the options name, for this model and the labels of this data set."""
    size = arguments.size or model.clip.image_size
    protocol = {"whole": whole(size), "whole-768": whole_768(), "sliding-window": sliding_window(size)}[
        arguments.protocol
    ]
    scoring = replace(protocol.scoring, collapse=collapse)
    return replace(protocol, prompt_templates=model.prompt_templates, synonyms=arguments.synonyms, scoring=scoring)


def print_figures(figures: dict[str, Any]) -> None:
    """The scores in percent, then the classes from best to worst."""
    from rich.console import Console
    from rich.table import Table

    scores = Table(title=f"{figures['data']}, {figures['split']}: {figures['num_images']} images")
    scores.add_column("score")
    scores.add_column("%", justify="right")
    for name in (
        "miou",
        "legacy_miou",
        "seen_miou",
        "unseen_miou",
        "harmonic_miou",
        "fwiou",
        "pixel_accuracy",
        "mean_accuracy",
        "hallucination_rate",
    ):
        if name in figures:
            scores.add_row(name, _percent(figures[name]))
    classes = Table(title="classes")
    classes.add_column("class")
    classes.add_column("IoU %", justify="right")
    classes.add_column("share of pixels %", justify="right")
    present = [entry for entry in figures["classes"] if entry["num_gt_pixels"]]
    for entry in sorted(present, key=lambda entry: -entry["iou"]):
        share = entry["num_gt_pixels"] / figures["num_pixels"]
        classes.add_row(entry["name"], _percent(entry["iou"]), _percent(share))
    console = Console()
    console.print(scores)
    console.print(classes)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f}"
