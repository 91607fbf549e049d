"""How scores and verdicts are written: the same words and the same precision in every format. Percent begins here."""

import math

from ovlab.metrics.intervals import Interval
from ovlab.metrics.seeds import MIN_SEEDS
from ovlab.report.claims import ClaimView
from ovlab.report.table_view import CellView, TableView
from ovlab.specs import wording
from ovlab.store.look_record import ClaimLook

# What stands in a cell without a score: one that is not measured, or a dash of the paper.
NOTHING = "—"
# Over a table that holds figures of limited runs.
LIMITED = "Figures of limited runs are a rehearsal's: they bear no mark and decide no claim."


def percent(fraction: float | None) -> str:
    """0.1234 -> "12.3", as the tables of the field print it."""
    return wording.percent(fraction, nothing=NOTHING)


def points(fraction: float) -> str:
    """A difference of fractions with its sign, in percentage points: -0.0123 -> "−1.2"."""
    return wording.points(fraction).replace("-", "−")


def span(interval: Interval) -> str:
    """(0.12, 0.134) -> "12.0–13.4"; with a minus sign where needed."""
    return "–".join(percent(bound).replace("-", "−") for bound in interval)


def beside(cell: CellView) -> str:
    """What stands beside the value of a measured cell: "±0.4 (s 0.2) Δ+0.1"; "" for other cells.

    ± is half of the interval over images, s the standard deviation over runs, Δ the difference to the published value;
    with fewer than three runs their number is given, and nothing of runs where nothing is trained.
    """
    if cell.value is None or not cell.runs:
        return ""
    parts = []
    if cell.image_interval is not None:
        parts.append(f"±{percent((cell.image_interval.high - cell.image_interval.low) / 2)}")
    spread = [] if cell.seed_sd is None else [f"s {percent(cell.seed_sd)}"]
    num_runs = sum(run.value is not None for run in cell.runs if run.seed is not None)
    if 0 < num_runs < MIN_SEEDS:
        spread.insert(0, f"{num_runs} run" + "s" * (num_runs > 1))
    if spread:
        parts.append(f"({', '.join(spread)})")
    if cell.delta is not None:
        parts.append(f"Δ{points(cell.delta)}")
    return " ".join(parts)


def verdict_by_column(claim: ClaimView) -> str:
    """The columns under each verdict, with the advantage in points: "yes: A-150 +1.2, PC-59 +0.8; no: PAS-20 −0.3".

    Against several rows it is the smallest advantage, the one over the strongest of them.
    """
    columns: dict[str, list[str]] = {}
    for column in claim.columns:
        found = [view.advantage.difference for view in column.comparisons if view.advantage is not None]
        least = points(min(found)) if found else ""
        columns.setdefault(column.verdict, []).append(f"{column.column} {least}".rstrip())
    return "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in columns.items())


def over_all_columns(claim: ClaimView) -> str:
    """The mean advantage with half of its 95 % interval, what of its variance is that of seeds, and how many there are:
    "+1.2 ± 0.5 (seeds 70 %, 5 a side)". Against several rows it is the smallest. Of a claim that was looked at, with
    the interval of its last look: "+1.2, 0.1–2.3 (5 a side)"."""
    if claim.looks:
        return of_look(claim.looks[-1])
    found = min(claim.tested, key=lambda one: one.difference, default=None)
    if found is None or found.interval is None:
        return NOTHING
    words = [] if found.seed_share is None else [f"seeds {100 * found.seed_share:.0f} %"]
    words.append(f"{found.num_seeds} a side")
    reach = percent((found.interval.high - found.interval.low) / 2)
    return f"{points(found.difference)} ± {reach} ({', '.join(words)})"


def to_decide(claim: ClaimView) -> str:
    """What a claim that is undecided would take."""
    if claim.verdict != "undecided":
        return NOTHING
    if claim.next_look is not None:
        return f"the look at {claim.next_look} seeds of each row"
    if claim.looks:
        last = claim.looks[-1]
        end = futility(last) if last.is_futile else "its last look is taken"
        return end if claim.need is None else f"{end}; {_needed(claim.need)}"
    if any(not one.knows_seeds for one in claim.tested):
        return "a second seed of each row"
    if claim.need is None:
        return NOTHING
    return _needed(claim.need, min(one.num_seeds for one in claim.tested))


def _needed(need: int | float, have: int = 0) -> str:
    """Seeds beyond those that are there; of a claim that is not looked at again, those of a new study."""
    if need == math.inf:
        return "images are the limit: no number of seeds decides it"
    return f"{max(1, int(need) - have)} {'more ' if have else ''}seeds of each row{'' if have else ' would'}"


LOOK_COLUMNS = ("Claim", "Seeds of each row", "In points", "Tested at", "Verdict")


def look_rows(view: TableView) -> list[tuple[str, ...]]:
    """What every look says of every claim, in the order of `LOOK_COLUMNS`."""
    return [
        (claim.text, str(look.num_seeds), of_look(look), f"{100 * look.nominal:.2g} %", verdict_of_look(look))
        for claim in view.claims
        for look in claim.looks
    ]


def about_looks(view: TableView) -> str:
    """How the verdicts of a table came about that was run until decided; "" for any other."""
    if not view.planned_looks:
        return ""
    *firsts, last = map(str, view.planned_looks)
    planned = f"{', '.join(firsts)} and {last}" if firsts else last
    return (
        f"Seeds were added until claims were decided, in looks planned at {planned} seeds of each row. Their verdicts "
        f"err with 5 % over all looks and claims together: a look tests a claim at a level of its own, which its "
        f"interval has. What is decided, or futile, is not looked at again. Bold and underlined know nothing of looks."
    )


def of_look(look: ClaimLook) -> str:
    """The mean advantage with the interval of the look; against several rows the smallest."""
    least = min(look.comparisons, key=lambda one: one.difference, default=None)
    if least is None:
        return NOTHING
    return f"{points(least.difference)}, {span(Interval(least.low, least.high))} ({look.num_seeds} a side)"


def verdict_of_look(look: ClaimLook) -> str:
    """With the reason where a claim is given up."""
    return f"{look.verdict}; {futility(look)}" if look.is_futile else look.verdict


def futility(look: ClaimLook) -> str:
    """Why a claim is given up."""
    return f"futile: all planned seeds decide it in {100 * (look.chance or 0.0):.0f} % of cases"


def published_verdict(claim: ClaimView) -> str:
    """Whether the paper's own scores have the direction of the claim."""
    return {True: "yes", False: "no", None: NOTHING}[claim.published_holds]
