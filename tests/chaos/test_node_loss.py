"""A node of a cluster is lost with all its processes and its disk: another takes its place and the work ends alike."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from ray.cluster_utils import Cluster

import cluster_run
import micro_training as micro
from hearing import Hearing
from ovlab.ray.cluster import connect
from ovlab.runs.here import Here
from ovlab.runs.observer import Observer
from ovlab.specs.events import Counts, Step
from ovlab.store import count_shards as shards
from ovlab.store.store import open_store


class Nodes:
    """A head without room for work, where this process is connected, and one node for the work."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.worker = self._add()

    def replace(self, lose_disk: Callable[[], None] = lambda: None) -> None:
        processes = self._processes()
        self.cluster.remove_node(self.worker, allow_graceful=False)
        # a worker outlives its raylet for a moment, and would write on the disk that is to be lost with it
        _, alive = psutil.wait_procs(processes, timeout=60)
        assert not alive, alive
        lose_disk()
        self.worker = self._add()

    def _processes(self) -> list[psutil.Process]:
        (raylet,) = self.worker.all_processes["raylet"]
        root = psutil.Process(raylet.process.pid)
        return [root, *root.children(recursive=True)]

    def _add(self) -> Any:
        return self.cluster.add_node(num_cpus=2)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setattr(shards, "IMAGES_PER_SHARD", 4)
        torch.set_num_threads(1)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": True})
        try:
            found = Nodes(cluster)
            with connect(cluster.address):
                yield found
        finally:
            cluster.shutdown()


def test_training_goes_on_from_the_store_when_its_node_is_lost(nodes: Nodes, tmp_path: Path) -> None:
    store, workdir = open_store(str(tmp_path / "store")), tmp_path / "work"
    heard: list[int] = []

    def lose_node(record: Step) -> None:
        heard.append(record.step)
        if record.step >= 7 and workdir.exists() and not (tmp_path / "lost").exists():
            nodes.replace(lose_disk=lambda: workdir.rename(tmp_path / "lost"))

    record = micro.shared_training(store, workdir, observer=Hearing(on_step=lose_node))

    assert (tmp_path / "lost").exists()
    assert 5 < min(heard[heard.index(7) :]) < 12, "it begins again"
    assert record.num_steps == micro.NUM_STEPS
    assert [attempt.status for attempt in record.cost.attempts][-1] == "finished"
    assert len(record.cost.attempts) == 2


@pytest.mark.long
def test_evaluation_ends_with_the_figures_of_one_process_when_its_node_is_lost(nodes: Nodes, tmp_path: Path) -> None:
    weights = cluster_run.save_subject(tmp_path)
    lost: list[int] = []

    class LoseNode(Observer):
        num_images = 0

        def on_counts(self, counts: Counts) -> None:
            self.num_images += counts.num_images
            if not lost:
                lost.append(self.num_images)
                nodes.replace()

    store, actors = open_store(str(tmp_path / "ray")), cluster_run.Actors(num_processes=1)
    records = cluster_run.evaluate(cluster_run.jobs(60), store, weights, actors, LoseNode())

    plain = cluster_run.evaluate(cluster_run.jobs(60), open_store(str(tmp_path / "plain")), weights, Here())
    assert 0 < lost[0] < 180
    assert [record.figures for record in records] == [record.figures for record in plain]
    assert [record.classes for record in records] == [record.classes for record in plain]
