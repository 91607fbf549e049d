"""`ovlab compare`: whether one run is better than another, on every benchmark that both were evaluated on."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ovlab.commands.store_option import add_store
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import oracles_for
from ovlab.specs.scores import SCORES, Score
from ovlab.specs.wording import percent, points

_EPILOG = """\
examples:
  ovlab compare 3f9a1c 77b2e0                        two trainings, on every benchmark both have
  ovlab compare 3f9a1c 77b2e0 c01d55 --store s3://bucket/store
  ovlab compare 3f9a1c 77b2e0 --score unseen_miou --json

A run is named by the first digits of its fingerprint: that of a training (or of CLIP without training), or of a single
evaluation. Every later run is compared with the first, image by image, on the same resamples of the images. Holm's
correction is over all rows of the table. The noise of training is not in these figures: for that, train other seeds.
"""


# Of fewer images a bootstrap knows too little of those that it never saw.
FEWEST_IMAGES = 10


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "compare",
        help="test whether two runs differ, image by image",
        description="Compare runs on the same images by a paired bootstrap.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("first", metavar="RUN_A", help="first digits of a fingerprint in the store")
    parser.add_argument("others", metavar="RUN_B", nargs="+", help="one or more runs to compare with RUN_A")
    add_store(parser)
    parser.add_argument("--benchmark", help="this benchmark only")
    parser.add_argument("--score", default="miou", choices=tuple(SCORES), metavar="SCORE", help=", ".join(SCORES))
    parser.add_argument("--resamples", type=int, default=10_000, metavar="B", help="default: 10000")
    parser.add_argument("--level", type=float, default=0.95, help="level of the intervals (default: 0.95)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the resamples (default: 0)")
    parser.add_argument("--json", action="store_true", help="print every score as one JSON document")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    rows = compared(arguments)
    if arguments.json:
        print(json.dumps({"score": arguments.score, "level": arguments.level, "comparisons": rows}))
    else:
        print_comparisons(rows, arguments)
    return 0


def compared(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One entry a pair of runs and benchmark, with every score; the p-values of `arguments.score` corrected."""
    from ovlab.metrics.multiple import holm
    from ovlab.metrics.paired import compare_runs
    from ovlab.store.pairs import common_cells, comparable_tables, evaluations_of
    from ovlab.store.store import open_store

    store = open_store(arguments.store)
    records = [
        record
        for record in store.evaluations()
        if arguments.benchmark is None or record.evaluation.benchmark == arguments.benchmark
    ]
    first = evaluations_of(records, arguments.first, str(store))
    rows: list[dict[str, Any]] = []
    for other in arguments.others:
        second = evaluations_of(records, other, str(store))
        for cell in common_cells(first, second, (arguments.first, other)):
            comparison = compare_runs(
                *comparable_tables(store, first[cell], second[cell]),
                first[cell].seen_classes,
                num_resamples=arguments.resamples,
                seed=arguments.seed,
                level=arguments.level,
                names=(arguments.first, other),
            )
            if arguments.score not in comparison.scores:
                need = _need(SCORES[arguments.score])
                raise InputError(f"{arguments.score} is not known on {cell.benchmark}: {need}")
            rows.append(
                {
                    "benchmark": str(cell),
                    "first": first[cell].fingerprint,
                    "second": second[cell].fingerprint,
                    "run": other,
                    "num_images": comparison.num_images,
                    "num_resamples": comparison.num_resamples,
                    "mean_absent_classes": comparison.mean_absent,
                    "scores": {name: _entry(score) for name, score in comparison.scores.items()},
                }
            )
    tested = [row for row in rows if row["scores"][arguments.score]["p_value"] is not None]
    adjusted = holm([row["scores"][arguments.score]["p_value"] for row in tested])
    for row, value in zip(tested, adjusted, strict=True):
        row["holm_p_value"] = value
    return rows


def print_comparisons(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """The score that was asked for, in percent, one row a comparison."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{SCORES[arguments.score].title} in %: B against A = {arguments.first}, paired over images")
    table.add_column("B")
    table.add_column("benchmark")
    for column in ("A", "B", "B - A", "P(B > A)", "p", "Holm p", "images", "absent"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        score = row["scores"][arguments.score]
        interval = score["interval"]
        table.add_row(
            row["run"],
            row["benchmark"],
            percent(score["first"], 2),
            percent(score["second"], 2),
            "-" if interval is None else f"{points(score['difference'], 2)} ± {_half_width(interval)}",
            _number(score["superiority"], ".3f"),
            _number(score["p_value"], ".4f"),
            _number(row.get("holm_p_value"), ".4f"),
            str(row["num_images"]),
            f"{row['mean_absent_classes']:.1f}",
        )
    console = Console()
    console.print(table)
    if few := dict.fromkeys(row["benchmark"] for row in rows if row["num_images"] < FEWEST_IMAGES):
        console.print(
            f"Too few images to tell, fewer than {FEWEST_IMAGES}: {', '.join(few)}. Intervals and p-values of so few "
            f"promise more than they know.",
            markup=False,
            soft_wrap=True,
        )
    console.print(
        f"±: the {100 * arguments.level:g} % interval from {arguments.resamples} resamples of the images (seed "
        f"{arguments.seed}), without the noise of training. absent: classes that a resample lacks, on average."
    )


def _need(score: Score) -> str:
    """What it takes to know a score that is not known."""
    if "boundary" in score.needs:
        return "both runs have to be evaluated with --boundary, and with one trim width."
    if score.needs:
        return f"both runs have to be evaluated with --oracle {' '.join(oracles_for(score.needs))}."
    return (
        "which of its classes training has named is known of the benchmarks in `ovlab data list`, and of folders whose "
        "classes.json says it."
    )


def _entry(score: Any) -> dict[str, Any]:
    # NaN is no JSON: where nothing was counted, there is no value.
    return {name: None if value != value else value for name, value in asdict(score).items()}


def _half_width(interval: Sequence[float]) -> str:
    low, high = interval
    return percent((high - low) / 2, 2)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
