"""The seven rows of table 4 in small, two processes a run on two nodes of two logical GPUs, one of which is lost on the
way and later replaced: every run ends as one process makes it. Prints how the room was used."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from ray.cluster_utils import Cluster as Nodes
from safetensors.torch import load_file

import group_table
from ovlab.ray.cluster import connect
from ovlab.ray.on_ray import OnRay
from ovlab.runs.clip_files import RANDOM
from ovlab.runs.context import RunContext
from ovlab.runs.executor import Executor
from ovlab.runs.failure import Failure
from ovlab.runs.here import Here
from ovlab.runs.sources import Sources
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import Table
from ovlab.specs.table_file import load_table
from ovlab.store.artifacts import fetch_weights
from ovlab.store.journal import curve_of, read_journal
from ovlab.store.store import Store, open_store
from ovlab.sweeps.making import make_sweep
from ovlab.sweeps.planner import make_plan
from ovlab.sweeps.sweep import Plan
from ovlab.sweeps.timeline import Timeline, read_timelines

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

SOURCES = Sources(clip_files={"shapes-vit-s": RANDOM})
NUM_STEPS, CHECKPOINT_EVERY = 8, 2
SEEDS = (0, 1)
ROOM = {"num_cpus": 2, "num_gpus": 2}


def table() -> Table:
    rows = [
        replace(
            row,
            published=None,
            run=replace(
                row.run, training_set="pc-59", model=group_table.SMALL | row.run.model, schedule=group_table.TWO
            ),
        )
        for row in load_table("table4").rows
        if row.run is not None
    ]
    assert len(rows) == 7
    return Table(name="seven", title="Seven", columns=group_table.TABLE.columns, rows=tuple(rows), seeds=SEEDS)


def plan(store: Store) -> Plan:
    return make_plan([table()], SHAPES, store, SOURCES, limit_steps=NUM_STEPS, limit_images=2)


def make(folder: Path, executor: Executor, **changes: Any) -> list[Failure]:
    store = open_store(str(folder / "store"))
    context = RunContext(
        store=store,
        workdir=folder / "runs",
        sources=SOURCES,
        num_loader_workers=0,
        checkpoint_every=CHECKPOINT_EVERY,
        **changes,
    )
    return make_sweep(plan(store), context, executor)


@pytest.fixture
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A head without room for work, where this process is connected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": True})
        try:
            with connect(nodes.address):
                yield nodes
        finally:
            nodes.shutdown()


class Loss:
    """Takes a node away while runs are trained on it, and adds another when its GPUs are known to be gone."""

    def __init__(self, nodes: Nodes, store: Store) -> None:
        self.nodes, self.store = nodes, store
        self.lost = nodes.add_node(**ROOM)
        nodes.add_node(**ROOM)
        self.state = "whole"

    def __call__(self) -> bool:
        """Asked between two looks at the runs, as whether to stop."""
        if self.state == "whole" and len(self._under_way()) == 2:
            self.nodes.remove_node(self.lost, allow_graceful=False)
            self.state = "lost"
        elif self.state == "lost" and ray.cluster_resources().get("GPU") == 2.0:
            self.nodes.add_node(**ROOM)
            self.state = "replaced"
        return False

    def _under_way(self) -> list[str]:
        """Trainings that have a checkpoint and no record: on either node one."""
        done = {record.fingerprint for record in self.store.trainings()}
        begun = self.store.folder.folders("trainings")
        return [run for run in begun if run not in done and self.store.folder.sizes(f"trainings/{run}/checkpoints")]


def made_in(folder: Path) -> dict[str, tuple[list[float], dict[str, torch.Tensor]]]:
    """By training: its losses, and its weights."""
    store = open_store(str(folder / "store"))
    return {
        record.fingerprint: (
            [step.loss for step in curve_of(read_journal(store, record.fingerprint))],
            load_file(fetch_weights(store, record, folder)),
        )
        for record in store.trainings()
    }


def drawn(timeline: Timeline) -> str:
    """A line for each attempt at a run, in a hundred columns: training, then evaluation."""
    scale = 100 / timeline.seconds
    lines = [
        f"{timeline.sweep}: {timeline.seconds:.0f} s; idle {timeline.idle:.1%} of the room, "
        f"{timeline.idle_beside_work:.1%} while a run had yet to begin; room: {timeline.pieces}"
    ]
    for bar in timeline.bars:
        trained, evaluated = round((bar.trained - bar.start) * scale), round((bar.end - bar.trained) * scale)
        lines.append(f"{' ' * round(bar.start * scale)}{'t' * trained}{'e' * evaluated}  {bar.name}")
    return "\n".join(lines)


def test_sweep_of_runs_of_two_processes_ends_as_without_when_a_node_is_lost_and_one_is_added(
    nodes: Nodes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    store = open_store(str(two / "store"))
    loss = Loss(nodes, store)

    failures = make(two, OnRay(num_processes=2), stop=loss)

    with capsys.disabled():
        for timeline in read_timelines(store, plan(store).sweep.run):
            print(f"\n{drawn(timeline)}")
    assert (failures, loss.state) == ([], "replaced")
    assert [run.status for run in plan(store).runs] == ["done"] * 7 * len(SEEDS)
    assert make(one, Here(), device="cpu") == []
    found, expected = made_in(two), made_in(one)
    far = max(
        float((found[run][1][name] - weights[name]).abs().max())
        for run, (_, weights) in expected.items()
        for name in weights
    )
    with capsys.disabled():
        print(f"weights are {far:.1e} from those of one process at most")
    assert found.keys() == expected.keys()
    for run, (losses, weights) in expected.items():
        # To 1e-5, since sums of gradients over processes round in another order.
        assert found[run][0] == pytest.approx(losses, rel=1e-5)
        # A bias whose gradient is rounding alone is moved by it all the same.
        torch.testing.assert_close(found[run][1], weights, rtol=0, atol=1e-3)
