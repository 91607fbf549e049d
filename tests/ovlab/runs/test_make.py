"""ovlab.runs.make and here: what one run does with a part that is blocked, and several with one that fails."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from ovlab.runs import here, make
from ovlab.runs.clip_files import RANDOM
from ovlab.runs.context import RunContext
from ovlab.runs.failure import Failure
from ovlab.runs.here import Here
from ovlab.runs.make import make_run
from ovlab.runs.planned import PlannedRun
from ovlab.runs.sources import Sources
from ovlab.specs.errors import InputError, Stopped, WorkError
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import SIX_BENCHMARKS, Row, Table, Variation
from ovlab.store.store import open_store
from ovlab.sweeps.planner import make_plan
from ovlab.sweeps.sweep import Plan

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
def context(tmp_path: Path) -> RunContext:
    return RunContext(
        store=open_store(str(tmp_path / "store")), workdir=tmp_path / "runs", sources=SOURCES, device="cpu"
    )


def blocked(run: PlannedRun) -> PlannedRun:
    """With the data of its second evaluation not to be found."""
    first, second = run.evaluations
    lost = replace(second, status="blocked", spec=None, fingerprint=None, problems=("pas-20b: no place",))
    return replace(run, evaluations=(first, lost))


def test_make_run_makes_the_other_evaluations_and_then_names_the_blocked_one(
    plan: Plan, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    trained = SimpleNamespace(fingerprint=plan.runs[0].subject.fingerprint)
    monkeypatch.setattr(make, "ensure_training", lambda *arguments: trained)
    monkeypatch.setattr(
        make, "ensure_evaluations", lambda jobs, *arguments: [asked.append(job.fingerprint) for job in jobs]
    )

    with pytest.raises(WorkError, match="pas-20b: no place"):
        make_run(blocked(plan.runs[0]), context, Here())

    assert asked == [plan.runs[0].evaluations[0].fingerprint]


def test_make_run_without_its_data_is_refused_with_every_reason(plan: Plan, context: RunContext) -> None:
    run = plan.runs[0]
    training = replace(run.subject, status="blocked", resolved=None, problems=("no data.", "no weights."))

    with pytest.raises(InputError, match=r"no data\. no weights\."):
        make_run(replace(run, subject=training), context, Here())


def test_here_goes_on_after_any_failure(
    plan: Plan, context: RunContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = plan.runs
    called: list[PlannedRun] = []
    failures: list[Failure] = []

    def make_one(run: PlannedRun, *_: object) -> None:
        called.append(run)
        if run is first:
            raise ZeroDivisionError("a mistake\nof two lines")
        if run is second:
            raise WorkError("the loss is nan")

    monkeypatch.setattr(here, "make_run", make_one)

    Here().make(plan.runs, context, failures.append)

    assert called == [first, second, third]
    assert failures == [
        Failure(first, "ZeroDivisionError: a mistake of two lines"),
        Failure(second, "the loss is nan"),
    ]
    errors = capsys.readouterr().err
    assert errors.count("Traceback") == 1  # a mistake in the code has one, a message for a person has none


def test_here_stopped_makes_no_further_run(plan: Plan, context: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[PlannedRun] = []

    def make_one(run: PlannedRun, *_: object) -> None:
        called.append(run)
        raise Stopped("stopped after 3 steps")

    monkeypatch.setattr(here, "make_run", make_one)

    with pytest.raises(Stopped):
        Here().make(plan.runs, context, lambda failure: None)

    assert called == [plan.runs[0]]
