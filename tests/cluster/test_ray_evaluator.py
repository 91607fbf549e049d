"""Evaluations over Ray against those of one process: the same counts and records, whatever is damaged."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import cluster_run
from ovlab.datasets.opening import open_dataset
from ovlab.ray.cluster import Cluster, connect
from ovlab.ray.on_ray import OnRay
from ovlab.runs.context import RunContext
from ovlab.runs.here import Here
from ovlab.runs.identity import resolve_evaluation
from ovlab.runs.work import Counted, EvaluationJob, Work
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import whole
from ovlab.store import count_shards as shards
from ovlab.store.count_shards import columns_of
from ovlab.store.record import EvaluationRecord
from ovlab.store.store import Store, open_store


@pytest.fixture(scope="module", autouse=True)
def ray_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "IMAGES_PER_SHARD", 4)
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.delenv("RAY_ADDRESS", raising=False)
        torch.set_num_threads(1)
        with connect(num_cpus=2) as cluster:
            yield cluster


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cluster_run.save_subject(tmp_path_factory.mktemp("subject"))


@pytest.fixture(scope="module")
def plain(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """What one process makes."""
    store = open_store(str(tmp_path_factory.mktemp("plain")))
    cluster_run.evaluate(cluster_run.jobs(), store, weights, Here())
    return store


def images_of(record: EvaluationRecord, store: Store) -> list[tuple[object, ...]]:
    return [
        (image.id, *(part.tolist() for part in image.counts[:3]))
        for image in columns_of(store, record.fingerprint).images()
    ]


def assert_same(record: EvaluationRecord, store: Store, plain: Store) -> None:
    """All but when it was made, how long it took and how often it was tried."""
    expected = plain.evaluation(record.fingerprint)
    assert expected is not None
    assert replace(record, cost=expected.cost, finished=expected.finished) == expected
    assert images_of(record, store) == images_of(expected, plain)


@pytest.mark.parametrize("num_actors", [1, 2, 4])
def test_any_number_of_actors_makes_the_records_and_columns_of_one_process(
    num_actors: int, plain: Store, weights: Path, tmp_path: Path
) -> None:
    store = open_store(str(tmp_path))

    records = cluster_run.evaluate(cluster_run.jobs(), store, weights, cluster_run.Actors(num_processes=num_actors))

    assert [record.evaluation.benchmark for record in records] == list(cluster_run.BENCHMARKS)
    for record in records:
        assert_same(record, store, plain)
        assert record.cost.seconds > 0


def test_an_image_that_cannot_be_read_is_named_and_the_others_are_kept(weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    for part in ("images", "labels"):
        (folder / "val" / part).mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(8):
        Image.fromarray(random.integers(0, 256, (40, 50, 3), np.uint8)).save(folder / f"val/images/{number}.png")
        Image.fromarray(random.integers(0, 2, (40, 50), np.uint8)).save(folder / f"val/labels/{number}.png")
    (folder / "classes.json").write_text('["dog", "cat"]')
    dataset = open_dataset(str(folder), "val")
    job = EvaluationJob(resolve_evaluation(cluster_run.SUBJECT, dataset, "val", whole(64)), dataset)
    damaged = folder / "val/images/6.png"
    damaged.write_bytes(bytes(damaged.stat().st_size))
    store = open_store(str(tmp_path / "store"))

    with pytest.raises(InputError, match="image '6' cannot be counted"):
        cluster_run.evaluate([job], store, weights, cluster_run.Actors(num_processes=2))

    assert store.folder.sizes(f"evaluations/{job.fingerprint}/counts").keys() == {"00000.parquet"}
    assert store.evaluation(job.fingerprint) is None


class CutsTheWeights(cluster_run.Actors):
    """After the driver has read them, and before an actor does."""

    def count(self, work: Work, context: RunContext) -> Iterator[Counted]:
        weights = context.workdir / cluster_run.WEIGHTS
        weights.write_bytes(weights.read_bytes()[:1000])
        return super().count(work, context)


def test_a_network_that_cannot_be_opened_is_said_without_advice_of_rays(weights: Path, tmp_path: Path) -> None:
    copy = tmp_path / cluster_run.WEIGHTS
    copy.write_bytes(weights.read_bytes())

    with pytest.raises(InputError) as refused:
        cluster_run.evaluate(
            cluster_run.jobs(4), open_store(str(tmp_path / "store")), copy, CutsTheWeights(num_processes=1)
        )

    assert str(refused.value).startswith(f"{copy}: a safetensors file that is cut off or damaged")
    assert "retr" not in str(refused.value)


def test_small_work_is_done_in_this_process_and_says_so(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster_run.evaluate(cluster_run.jobs(4), open_store(str(tmp_path)), weights, OnRay(num_processes=2))

    (line,) = capsys.readouterr().err.splitlines()
    assert "in this process, without Ray" in line


def test_the_cluster_is_this_one_for_every_actor(ray_session: Cluster) -> None:
    import ray

    @ray.remote
    def environment() -> dict[str, str]:
        return dict(os.environ)

    found = ray.get(environment.remote())

    assert found["RAY_ADDRESS"] == ray_session.address
    assert found["OMP_NUM_THREADS"] == "1"
    assert ray_session.started
