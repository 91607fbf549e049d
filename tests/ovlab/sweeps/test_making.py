"""ovlab.sweeps.making: what the journals tell of the runs of a table, and an executor of one's own."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from micro_table import TABLE
from ovlab.runs.clip_files import RANDOM
from ovlab.runs.context import RunContext
from ovlab.runs.executor import Executor
from ovlab.runs.failure import Failure
from ovlab.runs.here import Here
from ovlab.runs.planned import PlannedRun, PlannedTraining
from ovlab.runs.sources import Sources
from ovlab.runs.work import Counted, Work
from ovlab.specs.errors import Stopped
from ovlab.specs.events import Recorded, RunHeader
from ovlab.specs.suite import SHAPES
from ovlab.store.journal import RunLog, curve_of, journaled_runs, read_journal, status_of
from ovlab.store.record import TrainingRecord
from ovlab.store.store import Store, open_store
from ovlab.sweeps.making import make_sweep, to_make
from ovlab.sweeps.planner import make_plan
from ovlab.sweeps.sweep import Plan
from ovlab.tracking.provenance import Source
from ovlab.tracking.tags import datasets_in

SOURCES = Sources(clip_files={"shapes-vit-s": RANDOM})
SWEEP = "micro (shapes, rehearsal: 2 steps, 2 images)"


def planned(store: Store) -> Plan:
    return make_plan([TABLE], SHAPES, store, SOURCES, limit_steps=2, limit_images=2)


def make(folder: Path, executor: Executor, stop: Callable[[], bool] = lambda: False) -> list[Failure]:
    store = open_store(str(folder / "store"))
    context = RunContext(
        store=store,
        workdir=folder / "runs",
        sources=SOURCES,
        device="cpu",
        source=Source(commit="c" * 40, dirty=False),
        num_loader_workers=0,
        stop=stop,
    )
    return make_sweep(planned(store), context, executor)


def logs(folder: Path) -> dict[str, RunLog]:
    """By the name of the run."""
    store = open_store(str(folder / "store"))
    return {header_of(log).name: log for log in (read_journal(store, run) for run in journaled_runs(store))}


def header_of(log: RunLog) -> RunHeader:
    assert log.header is not None
    return log.header


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    assert [failure.run.name for failure in make(folder, Here())] == ["micro broken, seed 0"]
    return folder


def test_children_stand_under_what_was_asked_for_each_with_its_own_status(made: Path) -> None:
    found = logs(made)

    assert {name: status_of(log).status for name, log in found.items()} == {
        SWEEP: "FAILED",
        "micro broken, seed 0": "FAILED",
        "micro full, seed 0": "FINISHED",
        "micro zero, seed 0": "FINISHED",
    }
    parent = header_of(found[SWEEP])
    assert (parent.parent, parent.params["tables"], parent.params["limit_steps"]) == (None, "micro", "2")
    children = [header_of(log) for name, log in found.items() if name != SWEEP]
    assert {child.parent for child in children} == {parent.run}
    assert {child.experiment for child in [*children, parent]} == {"ovlab-shapes"}
    assert {child.run for child in children} == {run.subject.fingerprint for run in planned(open_store("none")).runs}


def test_child_says_what_it_computes_and_what_it_was_made_with(made: Path) -> None:
    run = planned(open_store("none")).runs[2]
    header = header_of(logs(made)["micro zero, seed 0"])

    assert header.params["model.prior_weight"] == "0.0"
    assert header.params["model.region_grid"] == str(run.subject.spec.model.region_grid)
    assert header.params["model.fusion_depth"] == "1"
    assert header.tags["ovlab.commit"] == "c" * 40
    assert header.tags["ovlab.dirty"] == "false"
    assert header.tags["ovlab.rows"] == "micro zero"
    assert header.tags["ovlab.seed"] == "0"
    assert header.tags["ovlab.data.shapes-pc-59"] == run.subject.resolved.data_digest
    assert header.tags["ovlab.data.shapes-pas-20b"] == run.evaluations[1].spec.data_digest
    assert header.tags["ovlab.protocol.shapes-pas-20"] != header.tags["ovlab.protocol.shapes-pas-20b"]
    datasets = datasets_in(header.tags)
    assert [dataset.context for dataset in datasets] == ["training", "evaluation", "evaluation"]
    assert datasets[0].digest == run.subject.resolved.data_digest
    assert [dataset.num_samples for dataset in datasets[1:]] == [2, 2]


def test_child_tells_its_curve_and_its_records(made: Path) -> None:
    store = open_store(str(made / "store"))
    log = logs(made)["micro full, seed 0"]
    training = store.training(log.run)

    assert [step.step for step in curve_of(log)] == [1, 2]
    assert curve_of(log)[-1].loss == training.final_loss
    told = [told.event.fingerprint for told in log.events if isinstance(told.event, Recorded)]
    evaluations = [one for one in store.evaluations() if one.evaluation.subject == log.run]
    assert len(evaluations) == 2
    assert sorted(told) == sorted([log.run, *(one.fingerprint for one in evaluations)])


def test_parent_names_the_runs_of_the_plan_and_what_failed(made: Path) -> None:
    log = logs(made)[SWEEP]
    children = json.loads(header_of(log).tags["ovlab.children"])

    assert [child["name"] for child in children] == ["micro broken, seed 0", "micro full, seed 0", "micro zero, seed 0"]
    assert [child["training"] for child in children] == [
        run.subject.fingerprint for run in planned(open_store("none")).runs
    ]
    assert {tuple(child["evaluations"]) for child in children} == {("shapes-pas-20", "shapes-pas-20b")}
    assert status_of(log).reason.startswith("1 of 3 runs: micro broken, seed 0: ")
    assert "the loss is nan" in status_of(log).reason


def test_stopped_run_and_its_parent_are_killed_and_go_on_as_the_next_attempt(tmp_path: Path) -> None:
    asked: list[None] = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) > 1

    with pytest.raises(Stopped):
        make(tmp_path, Here(), stop)

    found = logs(tmp_path)
    assert {status_of(log).status for name, log in found.items() if "broken" not in name} == {"KILLED"}
    stopped = next(log for name, log in found.items() if "full" in name)
    assert status_of(stopped).attempt == 1

    make(tmp_path, Here())

    found = logs(tmp_path)
    again = found[header_of(stopped).name]
    assert (status_of(again).status, status_of(again).attempt) == ("FINISHED", 2)
    assert status_of(found[SWEEP]).attempt == 2


def test_run_that_was_killed_behind_its_last_record_is_told_by_the_next_call(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "store", tmp_path / "store")
    full = logs(tmp_path)["micro full, seed 0"]
    (journal,) = (tmp_path / "store" / "journals" / full.run).glob("*.jsonl")
    # Neither the records nor the end were told.
    kept = [line for line in journal.read_text().splitlines() if not re.search('"kind": ?"(recorded|ended)"', line)]
    journal.write_text("".join(f"{line}\n" for line in kept))
    assert status_of(logs(tmp_path)["micro full, seed 0"]).status == "RUNNING"

    make(tmp_path, Here())

    log = logs(tmp_path)["micro full, seed 0"]
    assert (status_of(log).status, status_of(log).attempt) == ("FINISHED", 2)
    assert len([told for told in log.events if isinstance(told.event, Recorded)]) == 3
    before = len(list(log.events))
    make(tmp_path, Here())
    assert len(list(logs(tmp_path)["micro full, seed 0"].events)) == before  # once is enough


class Refuses:
    """An executor that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def train(self, training: PlannedTraining, context: RunContext) -> TrainingRecord:
        raise AssertionError("a sweep trains through `make`")

    def count(self, work: Work, context: RunContext) -> Iterator[Counted]:
        raise AssertionError("a sweep counts through `make`")

    def make(self, runs: Sequence[PlannedRun], context: RunContext, on_failure: Callable[[Failure], object]) -> None:
        for run in runs:
            self.asked.append(run.name)
            on_failure(Failure(run, "not today"))


class MakesNothing(Refuses):
    def make(self, runs: Sequence[PlannedRun], context: RunContext, on_failure: Callable[[Failure], object]) -> None:
        pass


def test_executor_that_makes_nothing_and_says_nothing_leaves_no_finished_sweep(tmp_path: Path) -> None:
    failures = make(tmp_path, MakesNothing())

    assert [failure.run.name for failure in failures] == [
        "micro broken, seed 0",
        "micro full, seed 0",
        "micro zero, seed 0",
    ]
    assert {failure.cause for failure in failures} == {"nothing was said of it, and its records are not in the store."}
    assert status_of(logs(tmp_path)[SWEEP]).status == "FAILED"


def test_executor_of_ones_own_is_asked_for_the_missing_runs_and_its_failures_are_told(tmp_path: Path) -> None:
    executor = Refuses()
    assert isinstance(executor, Executor)

    failures = make(tmp_path, executor)

    assert executor.asked == ["micro broken, seed 0", "micro full, seed 0", "micro zero, seed 0"]
    assert [failure.cause for failure in failures] == ["not today"] * 3
    assert status_of(logs(tmp_path)[SWEEP]).status == "FAILED"


def test_run_whose_counts_are_damaged_is_made_again_and_no_other(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "store", tmp_path / "store")
    store = open_store(str(tmp_path / "store"))
    full = logs(tmp_path)["micro full, seed 0"].run
    record = next(one for one in store.evaluations() if one.evaluation.subject == full)
    assert all("broken" in run.name for run in to_make(planned(store), store))
    place = f"evaluations/{record.fingerprint}/counts/00000.parquet"
    store.folder.write(place, store.folder.read(place)[:-1])

    assert [run.name for run in to_make(planned(store), store) if "broken" not in run.name] == ["micro full, seed 0"]
    make(tmp_path, Here())

    assert store.evaluation(record.fingerprint).figures == record.figures
    assert all("broken" in run.name for run in to_make(planned(store), store))
