"""The scores of data sets, and of the classes of one, as tables on the screen."""

from pathlib import Path
from typing import Any

from rich.table import Table

from ovlab.datasets.label_pixels import LabelPixels
from ovlab.report.fitted_table import print_table
from ovlab.specs.scores import SCORES
from ovlab.specs.wording import gap_text, percent


def print_scores(results: list[dict[str, Any]]) -> None:
    """One column a data set, in percent."""
    table = Table(title=f"{results[0]['split']}, scores in %")
    table.add_column("score")
    for result in results:
        table.add_column(Path(result["data"]).name.removeprefix("shapes-"), justify="right")
    for name in SCORES:
        if any(name in result for result in results):
            table.add_row(name, *(percent(result[name], 2) if name in result else "" for result in results))
    table.add_row("images", *(str(result["num_images"]) for result in results))
    print_table(table)
    for result in results:
        name = Path(result["data"]).name
        print(f"{name}: {_label_pixels(result)}")
        if result["longest_side"] is not None:
            print(f"{name}: its narrowest pictures are squeezed to a long side of {result['longest_side']} pixels")
        if gap := gap_text(result):
            print(f"{name}: {gap}")


def _label_pixels(result: dict[str, Any]) -> LabelPixels:
    return LabelPixels(
        class_names=tuple(entry["name"] for entry in result["classes"]),
        of_classes=tuple(entry["num_gt_pixels"] for entry in result["classes"]),
        num_ignored=result["num_ignored_pixels"],
    )


def print_classes(result: dict[str, Any]) -> None:
    """The classes that are in the ground truth, from best to worst."""
    classes = Table(title="classes")
    classes.add_column("class")
    classes.add_column("IoU %", justify="right")
    classes.add_column("share of pixels %", justify="right")
    present = [entry for entry in result["classes"] if entry["num_gt_pixels"]]
    for entry in sorted(present, key=lambda entry: -entry["iou"]):
        share = entry["num_gt_pixels"] / result["num_pixels"]
        classes.add_row(entry["name"], percent(entry["iou"], 2), percent(share, 2))
    print_table(classes)
