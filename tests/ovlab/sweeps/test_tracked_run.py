"""ovlab.sweeps.tracked_run and tracked_sweep: what a tracking server is told of the runs of a table."""

from pathlib import Path

import pytest
from PIL import Image

from micro_table import TABLE
from ovlab.runs.clip_files import RANDOM
from ovlab.runs.failure import Failure
from ovlab.runs.planned import Plan
from ovlab.runs.sources import Sources
from ovlab.runs.workplace import Workplace
from ovlab.specs.errors import Stopped
from ovlab.specs.suite import SHAPES
from ovlab.store.store import Store, open_store
from ovlab.sweeps.planner import make_plan
from ovlab.sweeps.tracked_run import make_here
from ovlab.sweeps.tracked_sweep import sweep_of, tracked_sweep
from ovlab.tracking.provenance import Source
from ovlab.tracking.spool import Event, SpoolTracker, read_events
from ovlab.tracking.spooled_state import SpooledState, spooled_states

SOURCES = Sources(clip_files={"shapes-vit-s": RANDOM})


def planned(store: Store) -> Plan:
    return make_plan([TABLE], SHAPES, store, SOURCES, limit_steps=2, limit_images=2)


def workplace(folder: Path) -> Workplace:
    source = Source(commit="c" * 40, dirty=False)
    return Workplace(
        store=str(folder / "store"),
        workdir=folder / "runs",
        sources=SOURCES,
        device="cpu",
        source=source,
        num_loader_workers=0,
    )


def make_into_spool(folder: Path, stop_after: int | None = None) -> list[Failure]:
    """`stop_after`: the question after which the answer is to stop."""
    store, failures, asked = open_store(str(folder / "store")), [], []
    plan, spool = planned(store), folder / "spool"

    def stop() -> bool:
        asked.append(None)
        return stop_after is not None and len(asked) > stop_after

    with tracked_sweep(plan, store, SpoolTracker(spool), workplace(folder).source, failures):
        make_here(
            plan, workplace(folder), new_tracker=lambda: SpoolTracker(spool), stop=stop, on_failure=failures.append
        )
    return failures


def states(spool: Path) -> dict[str, SpooledState]:
    return {state.header.name: state for state in spooled_states(spool)}


def of_kind(state: SpooledState, kind: str) -> list[Event]:
    return [event for event in read_events(state.folder) if event.kind == kind]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    assert [failure.run.name for failure in make_into_spool(folder)] == ["micro broken, seed 0"]
    return folder


def test_children_stand_under_what_was_asked_for_each_with_its_own_status(made: Path) -> None:
    found = states(made / "spool")

    assert {name: state.status for name, state in found.items()} == {
        "micro (shapes, rehearsal: 2 steps, 2 images)": "FAILED",
        "micro broken, seed 0": "FAILED",
        "micro full, seed 0": "FINISHED",
        "micro zero, seed 0": "FINISHED",
    }
    parent = found["micro (shapes, rehearsal: 2 steps, 2 images)"].header
    assert (parent.parent, parent.params["tables"], parent.params["limit_steps"]) == (None, "micro", "2")
    children = [state.header for name, state in found.items() if name != parent.name]
    assert {child.parent for child in children} == {parent.run}
    assert {child.experiment for child in [*children, parent]} == {"ovlab-shapes"}
    assert {child.run for child in children} == {run.training.fingerprint for run in planned(open_store("none")).runs}


def test_child_says_what_it_computes_and_what_it_was_made_with(made: Path) -> None:
    run = planned(open_store("none")).runs[2]
    header = states(made / "spool")["micro zero, seed 0"].header

    assert header.params["model.prior_weight"] == "0.0"
    assert header.params["model.region_grid"] == str(run.training.spec.model.region_grid)
    assert header.params["model.fusion_depth"] == "1"
    assert header.tags["ovlab.commit"] == "c" * 40
    assert header.tags["ovlab.dirty"] == "false"
    assert header.tags["ovlab.rows"] == "micro zero"
    assert header.tags["ovlab.seed"] == "0"
    assert header.tags["ovlab.data.shapes-pc-59"] == run.training.resolved.data_digest
    assert header.tags["ovlab.data.shapes-pas-20b"] == run.evaluations[1].spec.data_digest
    assert header.tags["ovlab.protocol.shapes-pas-20"] != header.tags["ovlab.protocol.shapes-pas-20b"]


def test_child_tells_its_curve_its_scores_its_classes_its_pictures_its_data_and_its_weights(made: Path) -> None:
    store = open_store(str(made / "store"))
    state = states(made / "spool")["micro full, seed 0"]
    training = store.training(state.header.run)
    (evaluation,) = [
        record
        for record in store.evaluations()
        if (record.evaluation.subject, record.evaluation.benchmark) == (training.fingerprint, "shapes-pas-20b")
    ]

    points = {
        (key, event.content["step"]): value
        for event in of_kind(state, "metrics")
        for key, value in event.content["values"].items()
    }
    assert points["train/loss", 2] == training.final_loss
    assert {("train/loss", 1), ("train/learning_rate", 2), ("train/images_per_second", 2)} <= points.keys()
    assert points["shapes-pas-20b/miou", 2] == evaluation.figures["miou"]
    assert points["shapes-pas-20b/hallucination_rate", 2] == evaluation.figures["hallucination_rate"]
    tables = {event.content["name"]: event.content["columns"] for event in of_kind(state, "table")}
    assert tables["per_class/shapes-pas-20b.json"]["iou"] == [entry.iou for entry in evaluation.classes]
    sheets = {Path(event.content["file"]).name: event.content for event in of_kind(state, "artifact")}
    assert sheets.keys() == {"shapes-pas-20.jpg", "shapes-pas-20b.jpg"}
    assert {content["folder"] for content in sheets.values()} == {"pictures"}
    with Image.open(state.folder / sheets["shapes-pas-20.jpg"]["file"]) as sheet:
        assert sheet.width > sheet.height, "two images, four pictures of each"
    contexts = [event.content["dataset"]["context"] for event in of_kind(state, "dataset")]
    assert contexts == ["training", "evaluation", "evaluation"]
    (model,) = of_kind(state, "model")
    assert model.content["model"]["sha256"] == training.weights.sha256
    assert Path(model.content["model"]["weights"]).is_file()
    assert training.mlflow_run_id == state.header.run


def test_parent_lists_the_runs_of_the_plan_with_their_scores_and_what_failed(made: Path) -> None:
    parent = states(made / "spool")[sweep_of(planned(open_store("none"))).name]
    (table,) = of_kind(parent, "table")
    columns = table.content["columns"]

    assert columns["run"] == ["micro broken, seed 0", "micro full, seed 0", "micro zero, seed 0"]
    assert "the loss is nan" in columns["failed"][0]
    assert columns["failed"][1:] == [None, None]
    assert columns["shapes-pas-20"][0] is None
    assert all(0 <= score <= 1 for score in columns["shapes-pas-20"][1:])


def test_stopped_run_and_its_parent_are_killed_and_go_on_as_the_next_attempt(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        make_into_spool(tmp_path, stop_after=1)

    found = states(tmp_path / "spool")
    assert {state.status for name, state in found.items() if "broken" not in name} == {"KILLED"}
    stopped = next(state for name, state in found.items() if "full" in name)
    assert stopped.header.attempt == 1

    make_into_spool(tmp_path)

    found = states(tmp_path / "spool")
    assert (found[stopped.header.name].status, found[stopped.header.name].header.attempt) == ("FINISHED", 2)
    assert found[sweep_of(planned(open_store("none"))).name].header.attempt == 2
