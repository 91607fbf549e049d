"""Free searches: which tables may be searched with early stopping, and which runs a search has given up before."""

from collections.abc import Sequence
from dataclasses import replace

from ovlab.runs.planned import PlannedRun
from ovlab.specs.errors import InputError
from ovlab.specs.table import Table
from ovlab.store.journal import read_journal, status_of
from ovlab.store.store import Store
from ovlab.sweeps.sweep import Plan

# How the journal of a run begins to say that a search gave it up.
EARLY = "stopped early"


def require_searchable(tables: Sequence[Table]) -> None:
    """Raise InputError for a table that is compared with published values or claims, which needs every run whole."""
    for table in tables:
        if table.claims or any(row.published is not None for row in table.rows):
            raise InputError(
                f"--search asha: {table.name} has published values or claims, so each of its runs is trained to the "
                f"end. Search a table of your own without them."
            )


def without_given_up(plan: Plan, store: Store) -> Plan:
    """The plan of a search that goes on: what it gave up before it does not begin again."""
    return replace(plan, runs=tuple(run for run in plan.runs if not is_given_up(run, store)))


def is_given_up(run: PlannedRun, store: Store) -> bool:
    """Whether its journal says that a search stopped it early."""
    if run.subject.status != "missing" or run.subject.fingerprint is None:
        return False
    return status_of(read_journal(store, run.subject.fingerprint)).reason.startswith(EARLY)
