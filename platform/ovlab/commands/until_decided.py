"""`ovlab run TABLE --until-decided`: look after look at the claims of tables, with the runs that the next one needs.

A claim of which a run fails is not pursued any further by this call; the others are.
"""

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from ovlab.commands.plan import opened, plan_json, totals
from ovlab.specs.errors import InputError, Stopped, WorkError
from ovlab.specs.suite import suite_named
from ovlab.specs.wording import clock, first_names

if TYPE_CHECKING:
    from ovlab.report.looks import Study
    from ovlab.runs.failure import Failure
    from ovlab.runs.sources import Sources
    from ovlab.store.store import Store
    from ovlab.sweeps.sweep import Plan

# Makes what is missing, until it is asked to stop; returns what fails. Raises Stopped.
Make = Callable[["Plan", "Store", "Sources", Callable[[], bool]], "list[Failure]"]

_WITHOUT = {
    "--limit-steps": "what is limited decides no claim; give it without --until-decided",
    "--limit-images": "what is limited decides no claim; give it without --until-decided",
    "--seeds": "--until-decided says itself which seeds are made; leave it out",
    "--rows": "a claim needs all of its rows; leave it out",
    "--search": "a claim needs its runs whole; give it without --until-decided",
}
_WITH = dict.fromkeys(("--max-seeds", "--budget-hours"), "is for --until-decided, which is not there")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `ovlab run` that are about claims."""
    parser.add_argument(
        "--until-decided",
        action="store_true",
        help="add seeds until each claim is decided or futile, in looks planned at 3, 5, 8, 12 and 20 of each row",
    )
    parser.add_argument(
        "--max-seeds", type=int, metavar="N", help="of each row, at the last look of --until-decided (default: 20)"
    )
    parser.add_argument(
        "--budget-hours",
        type=_hours,
        metavar="H",
        help="stop this call of --until-decided after H hours by the clock; the same command continues",
    )


def require_options_that_go_together(arguments: argparse.Namespace) -> None:
    """Raise InputError for what --until-decided goes without, and for its options alone."""
    for option, why in (_WITHOUT if arguments.until_decided else _WITH).items():
        if getattr(arguments, option.removeprefix("--").replace("-", "_")) not in (None, []):
            raise InputError(f"{option}: {why}.")


def run_until_decided(arguments: argparse.Namespace, make: Make) -> int:
    """0 when every look was taken that is left to take, 1 when runs failed. Raises Stopped at the end of the budget."""
    from ovlab.report.cells import read_records
    from ovlab.report.looks import new_study, take_look
    from ovlab.store.look_record import write_looks

    tables, store, sources = opened(arguments)
    suite, is_over = suite_named(arguments.suite), _budget(arguments.budget_hours)
    studies = [new_study(table, suite, store, arguments.max_seeds) for table in tables]
    failures: dict[str, Failure] = {}
    while True:
        ahead = [_ahead(study, failures) for study in studies]
        plan = _plan(studies, ahead, store, sources, failures)
        if not any(look.claims for look in ahead):
            break
        if all(run.status == "blocked" for run in plan.runs):
            raise InputError(plan.problems[0])
        for study, look in zip(studies, ahead, strict=True):
            write_looks(store, study.record)
            if look.claims:
                _say(f"{study.table.name}: {_named(look, study)}: {_standing(study)}.")
        _say(totals(plan))
        try:
            failed = make(plan, store, sources, is_over)
        except Stopped:
            if not is_over():
                raise
            plan = _plan(studies, ahead, store, sources, failures)
            raise Stopped(_what_is_left(studies, ahead, plan, arguments.budget_hours)) from None
        for failure in failed:
            _say(f"failed: {failure.run.name}: {failure.cause}")
        failures |= {failure.run.name: failure for failure in failed}
        if plan.waiting and not failed:
            continue  # with the learning rates that these runs have chosen
        records = read_records(store)
        for index, (study, look) in enumerate(zip(studies, ahead, strict=True)):
            if look.claims:
                studies[index] = after = take_look(study, look.claims, look.num_seeds, records, store)
                write_looks(store, after.record)
                _require_progress(after, look, failures)
    if arguments.json:
        told = [{"run": failure.run.name, "cause": failure.cause} for failure in failures.values()]
        print(json.dumps({**plan_json(plan), "failures": told, "claims": _claims_json(studies)}))
    else:
        for study in studies:
            _print_claims(study)
    return 1 if failures else 0


class _Look(NamedTuple):
    """The next one at a table: the claims that it is about, by position, after so many seeds of each of their rows."""

    claims: tuple[int, ...]
    num_seeds: int


def _ahead(study: "Study", failures: "Mapping[str, Failure]") -> _Look:
    """About the open claims of which no run has failed, those with the fewest seeds first; about none at the end."""
    from ovlab.report.looks import rows_of

    failed = {row for failure in failures.values() for table, row in failure.run.rows if table == study.table.name}
    next_looks = {
        position: study.next_look(position)
        for position in study.open_claims
        if failed.isdisjoint(rows_of([study.table.claims[position]]))
    }
    num_seeds = min(next_looks.values(), default=0)
    return _Look(tuple(position for position, number in next_looks.items() if number == num_seeds), num_seeds)


def _plan(
    studies: "Sequence[Study]",
    ahead: Sequence[_Look],
    store: "Store",
    sources: "Sources",
    failures: "Mapping[str, Failure]",
) -> "Plan":
    """What the tables have and need by the next look, but for what has failed in this call."""
    from ovlab.sweeps.planner import make_plan

    seeds_by_row = {
        (study.table.name, row): seeds
        for study, look in zip(studies, ahead, strict=True)
        for row, seeds in study.seeds_for(look.claims, look.num_seeds).items()
    }
    plan = make_plan([study.table for study in studies], studies[0].suite, store, sources, seeds_by_row=seeds_by_row)
    return replace(plan, runs=tuple(run for run in plan.runs if run.name not in failures))


def _named(look: _Look, study: "Study") -> str:
    """ "look 2 of 5, at 5 seeds of each row"."""
    planned = study.record.planned
    return f"look {planned.index(look.num_seeds) + 1} of {len(planned)}, at {look.num_seeds} seeds of each row"


def _standing(study: "Study") -> str:
    """ "3 of 16 claims decided, 1 futile, 12 open"."""
    counts = Counter(map(study.state, range(len(study.table.claims))))
    num_decided = counts.pop("decided", 0)
    parts = [f"{num_decided} of {len(study.table.claims)} claims decided"]
    return ", ".join([*parts, *(f"{number} {state}" for state, number in counts.items())])


def _print_claims(study: "Study") -> None:
    """How the table stands, and a line a claim that is not decided."""
    print(f"{study.table.name}: {_standing(study)}.")
    for position, claim in enumerate(study.table.claims):
        if (state := study.state(position)) != "decided":
            print(f"  {claim.text}: {state}")


def _claims_json(studies: "Sequence[Study]") -> list[dict[str, Any]]:
    return [
        {
            "table": study.table.name,
            "text": claim.text,
            "state": study.state(position),
            "looks": [asdict(look) for look in study.record.of_claim(position)],
        }
        for study in studies
        for position, claim in enumerate(study.table.claims)
    ]


def _what_is_left(studies: "Sequence[Study]", ahead: Sequence[_Look], plan: "Plan", hours: float) -> str:
    at = []
    for study, look in zip(studies, ahead, strict=True):
        if look.claims:
            texts = [study.table.claims[position].text for position in look.claims]
            at.append(f"{study.table.name}, before {_named(look, study)}, with {first_names(texts)} undecided")
    seconds = [part.estimate.seconds for run in plan.missing for part in run.parts if part.estimate is not None]
    time_left = f", {clock(sum(seconds))} by the clock" if seconds else ""
    return (
        f"the budget of {hours:g} hours is spent: {'; '.join(at)}. What is next takes {len(plan.missing)} more "
        f"runs{time_left}; the same command continues."
    )


def _require_progress(study: "Study", look: _Look, failures: "Mapping[str, Failure]") -> None:
    """Raise WorkError where a claim whose runs were made could not be looked at: there would be no end."""
    again = _ahead(study, failures)
    if again.num_seeds == look.num_seeds:
        raise WorkError(
            f"{study.table.name}: {study.table.claims[again.claims[0]].text!r} could not be looked at: counts of its "
            f"runs are damaged or missing, as the warnings say. The same command makes them again."
        )


def _budget(hours: float | None) -> Callable[[], bool]:
    """Whether so many hours have passed since now."""
    end = math.inf if hours is None else monotonic() + 3600 * hours
    return lambda: monotonic() >= end


def _hours(text: str) -> float:
    try:
        if 0 < (hours := float(text)) < math.inf:
            return hours
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r}: a number of hours above 0, for example 6 or 0.5.")


def _say(line: str) -> None:
    print(line, file=sys.stderr)
