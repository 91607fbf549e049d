"""The scores of data sets, and of the classes of one, as tables on the screen."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ovlab.specs.scores import SCORES


def print_scores(results: list[dict[str, Any]]) -> None:
    """One column a data set, in percent."""
    table = Table(title=f"{results[0]['split']}, scores in %")
    table.add_column("score")
    for scores in results:
        table.add_column(Path(scores["data"]).name.removeprefix("shapes-"), justify="right")
    for name in SCORES:
        if any(name in scores for scores in results):
            table.add_row(name, *(_percent(scores[name]) if name in scores else "" for scores in results))
    table.add_row("images", *(str(scores["num_images"]) for scores in results))
    Console().print(table)


def print_classes(scores: dict[str, Any]) -> None:
    """The classes that are in the ground truth, from best to worst."""
    classes = Table(title="classes")
    classes.add_column("class")
    classes.add_column("IoU %", justify="right")
    classes.add_column("share of pixels %", justify="right")
    present = [entry for entry in scores["classes"] if entry["num_gt_pixels"]]
    for entry in sorted(present, key=lambda entry: -entry["iou"]):
        share = entry["num_gt_pixels"] / scores["num_pixels"]
        classes.add_row(entry["name"], _percent(entry["iou"]), _percent(share))
    Console().print(classes)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f}"
