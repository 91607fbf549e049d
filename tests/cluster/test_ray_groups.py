"""A sweep whose runs are each trained by several processes, on logical GPUs of two nodes, against one process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ray.cluster_utils import Cluster as Nodes
from ray.util import placement_group_table

import group_table
from ovlab.cli import main
from ovlab.ray.cluster import Cluster, connect
from ovlab.ray.on_ray import OnRay
from ovlab.runs.clip_files import RANDOM
from ovlab.runs.context import RunContext
from ovlab.runs.executor import Executor
from ovlab.runs.failure import Failure
from ovlab.runs.here import Here
from ovlab.runs.sources import Sources
from ovlab.specs.errors import Stopped
from ovlab.specs.suite import SHAPES
from ovlab.store.journal import curve_of, read_journal
from ovlab.store.store import open_store
from ovlab.sweeps.making import make_sweep
from ovlab.sweeps.planner import make_plan

pytestmark = pytest.mark.long

SOURCES = Sources(clip_files={"shapes-vit-s": RANDOM})
NUM_STEPS = 12


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A head without room for work, where this process is connected, and two nodes of two logical GPUs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": True})
        try:
            for _ in range(2):
                nodes.add_node(num_cpus=2, num_gpus=2)
            yield nodes
        finally:
            nodes.shutdown()


@pytest.fixture(scope="module", autouse=True)
def cluster(nodes: Nodes) -> Iterator[Cluster]:
    with connect(nodes.address) as cluster:
        yield cluster


def make(folder: Path, executor: Executor, **changes: Any) -> list[Failure]:
    store = open_store(str(folder / "store"))
    given = {"sources": SOURCES, "num_loader_workers": 0, "checkpoint_every": 3}
    context = RunContext(store=store, workdir=folder / "runs", **{**given, **changes})
    plan = make_plan([group_table.TABLE], SHAPES, store, SOURCES, limit_steps=NUM_STEPS, limit_images=4)
    return make_sweep(plan, context, executor)


def command(folder: Path, *options: str) -> int:
    places = ["--store", str(folder / "store"), "--workdir", str(folder / "runs")]
    limits = ["--limit-steps", str(NUM_STEPS), "--limit-images", "4", "--checkpoint-every", "3"]
    work = ["--clip", "shapes-vit-s=none", "--loader-workers", "0", "--no-tracking"]
    return main(["run", group_table.__file__, *places, *limits, *work, *options])


def losses(folder: Path) -> dict[str, list[float]]:
    store = open_store(str(folder / "store"))
    logs = {record.fingerprint: read_journal(store, record.fingerprint) for record in store.trainings()}
    return {run: [step.loss for step in curve_of(log)] for run, log in logs.items()}


def assert_same_curves(folder: Path, other: Path) -> None:
    """To 1e-5, since sums of gradients over processes round in another order."""
    found, expected = losses(folder), losses(other)
    assert found.keys() == expected.keys()
    assert {run: pytest.approx(curve, rel=1e-5) for run, curve in expected.items()} == found
    assert len(list(open_store(str(folder / "store")).evaluations())) == 6


@pytest.fixture(scope="module")
def one_process(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    assert make(folder, Here(), device="cpu") == []
    return folder


def test_runs_of_two_processes_have_the_loss_curves_of_one_and_leave_the_cluster_free(
    cluster: Cluster, one_process: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (cluster.num_gpus, cluster.computes_on_gpus) == (4, False)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)

    assert command(tmp_path, "--processes-per-run", "2") == 0

    assert_same_curves(tmp_path, one_process)
    assert {group["state"] for group in placement_group_table().values()} <= {"REMOVED"}


def test_runs_of_two_processes_that_were_stopped_go_on_with_an_elastic_number_under_a_bound_of_gpus(
    cluster: Cluster, one_process: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def is_under_way() -> bool:
        return any((tmp_path / "runs").glob("*/checkpoints/*"))

    with pytest.raises(Stopped, match="the same command continues"):
        make(tmp_path, OnRay(num_processes=2, max_gpus=2), stop=is_under_way)
    # Of three runs, one at a time: those that had not begun are not spoken of.
    assert capfd.readouterr().err.count("begins") == 1

    assert make(tmp_path, OnRay(num_processes=(1, 2))) == []

    assert_same_curves(tmp_path, one_process)
