"""`ovlab compare`: whether one side is better than another, on every benchmark that both were evaluated on."""

import argparse
import json
from typing import Any

from ovlab.commands.store_option import add_store
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import oracles_for
from ovlab.specs.scores import SCORES, Score
from ovlab.specs.suite import SUITES, suite_named
from ovlab.specs.wording import percent, points

_EPILOG = """\
examples:
  ovlab compare table4:zero-6 table4:full-6          two rows, with all seeds that the store has of them
  ovlab compare clip:shapes-vit-s table4:full-6      CLIP without training against a row
  ovlab compare 3f9a1c,88d0e2 77b2e0,c01d55          two trainings a side, on every benchmark all have
  ovlab compare runs/old runs/new                    run folders
  ovlab compare 3f9a1c 77b2e0 --score unseen_miou --json

A side is one run or several, with commas: the first digits of the fingerprint of a training (or of CLIP without
training) or of a single evaluation, TABLE:ROW, clip:PRESET, or the folder of a run. Every later side is compared with
the first, on the same resamples of the images. The noise of seeds counts where each side has two trainings or more.
Holm's correction is over all rows of what is printed.
"""


# Of fewer images a bootstrap knows too little of those that it never saw.
FEWEST_IMAGES = 10


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "compare",
        help="test whether two runs, or rows with all their seeds, differ",
        description="Compare runs on the same images by one test with the noise of seeds and of images.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("first", metavar="SIDE_A", help="DIGITS, TABLE:ROW, clip:PRESET or a folder, or several")
    parser.add_argument("others", metavar="SIDE_B", nargs="+", help="one or more sides to compare with SIDE_A")
    parser.add_argument("--suite", default="shapes", choices=sorted(SUITES), help="of TABLE:ROW (default: shapes)")
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
    """One entry a pair of sides and benchmark, with every score; the p-values of `arguments.score` corrected."""
    from ovlab.metrics.multiple import holm
    from ovlab.report.sides import Sides, compare_sides
    from ovlab.store.pairs import common_cells
    from ovlab.store.store import open_store

    sides = Sides(open_store(arguments.store), suite_named(arguments.suite), arguments.benchmark)
    first = sides.named(arguments.first)
    rows = []
    for word in arguments.others:
        second = sides.named(word)
        for cell in common_cells([(run.name, run.cells) for run in (*first, *second)]):
            found = compare_sides(
                first, second, cell, num_resamples=arguments.resamples, seed=arguments.seed, level=arguments.level
            )
            if arguments.score not in found["scores"]:
                need = _need(SCORES[arguments.score])
                raise InputError(f"{arguments.score} is not known on {cell.benchmark}: {need}")
            rows.append({"run": word, **found})
    tested = [row for row in rows if row["scores"][arguments.score]["p_value"] is not None]
    adjusted = holm([row["scores"][arguments.score]["p_value"] for row in tested])
    for row, value in zip(tested, adjusted, strict=True):
        row["holm_p_value"] = value
    return rows


def print_comparisons(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """The score that was asked for, in percent, one row a comparison."""
    from rich.console import Console
    from rich.table import Table

    from ovlab.report.fitted_table import print_table

    table = Table(title=f"{SCORES[arguments.score].title} in %: B against A = {arguments.first}")
    table.add_column("B")
    table.add_column("benchmark")
    for column in ("A", "B", "B - A", "p", "Holm p", "seeds", "images", "absent"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        score = row["scores"][arguments.score]
        interval = score["interval"]
        reach = "" if interval is None else percent((interval[1] - interval[0]) / 2, 2)
        table.add_row(
            row["run"],
            row["benchmark"],
            percent(score["first"], 2),
            percent(score["second"], 2),
            f"{points(score['difference'], 2)} ± {reach}" if reach else "-",
            _number(score["p_value"], ".4f"),
            _number(row.get("holm_p_value"), ".4f"),
            f"{len(row['first'])}, {len(row['second'])}",
            str(row["num_images"]),
            f"{row['mean_absent_classes']:.1f}",
        )
    print_table(table)
    console = Console()
    if few := dict.fromkeys(row["benchmark"] for row in rows if row["num_images"] < FEWEST_IMAGES):
        console.print(
            f"Too few images to tell, fewer than {FEWEST_IMAGES}: {', '.join(few)}. Intervals and p-values of so few "
            f"promise more than they know.",
            markup=False,
            soft_wrap=True,
        )
    is_alone = any(row["scores"][arguments.score]["seed_share"] is None for row in rows)
    console.print(
        f"±: the {100 * arguments.level:g} % interval over seeds and images ({arguments.resamples} resamples, seed "
        f"{arguments.seed}){'; of one training, without the noise of training' if is_alone else ''}. absent: classes "
        f"that a resample lacks, on average."
    )


def _need(score: Score) -> str:
    """What it takes to know a score that is not known."""
    if "boundary" in score.needs:
        return "all runs have to be evaluated with --boundary, and with one trim width."
    if score.needs:
        return f"all runs have to be evaluated with --oracle {' '.join(oracles_for(score.needs))}."
    return (
        "which of its classes training has named is known of the benchmarks in `ovlab data list`, and of folders whose "
        "classes.json says it."
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
