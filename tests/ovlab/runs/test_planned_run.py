"""ovlab.runs.planned_run: what one run does with a part that is blocked, and a sweep with a run that fails."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ovlab.runs import planned_run
from ovlab.runs.clip_files import RANDOM
from ovlab.runs.failure import Failure
from ovlab.runs.planned import Plan, PlannedRun
from ovlab.runs.planned_run import run_missing, run_one
from ovlab.runs.sources import Sources
from ovlab.specs.errors import InputError, Stopped, WorkError
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import SIX_BENCHMARKS, Row, Table, Variation
from ovlab.store.store import Store, open_store
from ovlab.sweeps.planner import make_plan

CPU = torch.device("cpu")
SOURCES = Sources(clip_files={"shapes-vit-s": RANDOM})
TABLE = Table(
    name="mine",
    title="Mine",
    columns=SIX_BENCHMARKS[4:],
    rows=(Row(key="full", label="", run=Variation(training_set="pc-59")),),
    seeds=(0, 1, 2),
)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return make_plan([TABLE], SHAPES, open_store(str(tmp_path_factory.mktemp("none"))), SOURCES)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def blocked(run: PlannedRun) -> PlannedRun:
    """With the data of its second evaluation not to be found."""
    first, second = run.evaluations
    lost = replace(second, status="blocked", spec=None, fingerprint=None, problems=("pas-20b: no place",))
    return replace(run, evaluations=(first, lost))


def test_run_one_makes_the_other_evaluations_and_then_names_the_blocked_one(
    plan: Plan, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    trained = SimpleNamespace(fingerprint=plan.runs[0].training.fingerprint)
    monkeypatch.setattr(planned_run, "ensure_training", lambda *arguments, **options: trained)
    monkeypatch.setattr(
        planned_run,
        "ensure_evaluations",
        lambda jobs, *arguments, **options: [asked.append(job.fingerprint) for job in jobs],
    )

    with pytest.raises(WorkError, match="pas-20b: no place"):
        run_one(blocked(plan.runs[0]), store, tmp_path, sources=SOURCES, device=CPU)

    assert asked == [plan.runs[0].evaluations[0].fingerprint]


def test_run_one_without_its_data_is_refused_with_every_reason(plan: Plan, store: Store, tmp_path: Path) -> None:
    run = plan.runs[0]
    training = replace(run.training, status="blocked", resolved=None, problems=("no data.", "no weights."))

    with pytest.raises(InputError, match=r"no data\. no weights\."):
        run_one(replace(run, training=training), store, tmp_path, sources=SOURCES, device=CPU)


def test_run_missing_goes_on_after_any_failure_and_leaves_out_what_is_done(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = plan.runs
    finished = replace(
        third,
        training=replace(third.training, status="done"),
        evaluations=tuple(replace(part, status="done") for part in third.evaluations),
    )
    called: list[PlannedRun] = []
    failures: list[Failure] = []

    def run(planned: PlannedRun) -> None:
        called.append(planned)
        if planned is first:
            raise ZeroDivisionError("a mistake\nof two lines")
        raise WorkError("the loss is nan")

    run_missing(replace_runs(plan, (first, finished, second)), run, failures.append)

    assert called == [first, second]
    assert failures == [
        Failure(first, "ZeroDivisionError: a mistake of two lines"),
        Failure(second, "the loss is nan"),
    ]
    errors = capsys.readouterr().err
    assert errors.count("Traceback") == 1  # a mistake in the code has one, a message for a person has none


def test_run_missing_stopped_makes_no_further_run(plan: Plan) -> None:
    called: list[PlannedRun] = []

    def run(planned: PlannedRun) -> None:
        called.append(planned)
        raise Stopped("stopped after 3 steps")

    with pytest.raises(Stopped):
        run_missing(plan, run, called.append)

    assert called == [plan.runs[0]]


def replace_runs(plan: Plan, runs: tuple[PlannedRun, ...]) -> Plan:
    return Plan(suite=plan.suite, tables=plan.tables, store=plan.store, runs=runs)
