"""ovlab.ray.trainer: two workers on one Ray, against one process."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import ray.util
import torch
from safetensors.torch import load_file

import micro_training as micro
from hearing import Hearing
from ovlab.ray import mailbox as ray_mailbox
from ovlab.ray.cluster import connect
from ovlab.ray.on_ray import OnRay
from ovlab.runs.here import Here
from ovlab.shapes.dataset import ShapesDataset, open_shapes
from ovlab.specs.errors import InputError, Stopped
from ovlab.specs.events import Step
from ovlab.store.artifacts import fetch_weights
from ovlab.store.journal import curve_of, journaled_runs, read_journal
from ovlab.store.record import TrainingRecord
from ovlab.store.store import Store, open_store

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", autouse=True)
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.delenv("RAY_ADDRESS", raising=False)
        with connect("local", num_cpus=2):
            yield


def one_process(store: Store, workdir: Path) -> TrainingRecord:
    return micro.shared_training(store, workdir, Here())


def log_of(store: Store, record: TrainingRecord) -> list[Step]:
    return curve_of(read_journal(store, record.fingerprint))


def test_two_workers_give_the_loss_curve_and_the_weights_of_one_process(tmp_path: Path) -> None:
    stores = [open_store(str(tmp_path / name)) for name in ("one", "two")]
    heard: list[int] = []
    one = one_process(stores[0], tmp_path / "work1")

    two = micro.shared_training(
        stores[1], tmp_path / "work2", observer=Hearing(on_step=lambda step: heard.append(step.step))
    )

    assert heard == list(range(1, micro.NUM_STEPS + 1))
    assert two.fingerprint == one.fingerprint
    first, second = (log_of(store, one) for store in stores)
    assert len(first) == len(second) == micro.NUM_STEPS
    for ours, theirs in zip(first, second, strict=True):
        assert theirs.loss == pytest.approx(ours.loss, rel=1e-5)
        assert theirs.grad_norm == pytest.approx(ours.grad_norm, rel=1e-3)
    weights = [load_file(fetch_weights(store, r, tmp_path)) for store, r in zip(stores, (one, two), strict=True)]
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], rtol=0, atol=1e-3)
    assert micro.shared_training(stores[1], tmp_path / "elsewhere") == two


def test_two_workers_train_into_a_run_folder_that_is_the_store(tmp_path: Path) -> None:
    run = tmp_path / "run"

    record = micro.shared_training(open_store(str(run)), run)

    assert (run / "weights.safetensors").is_file()
    assert [step.step for step in log_of(open_store(str(run)), record)] == list(range(1, micro.NUM_STEPS + 1))


def test_an_elastic_run_asked_to_stop_is_one_that_a_single_process_continues(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    heard: list[int] = []
    with pytest.raises(Stopped, match="the same command continues"):
        micro.shared_training(
            store,
            tmp_path / "work",
            OnRay(num_processes=(1, 3)),  # there is room for two
            observer=Hearing(on_step=lambda step: heard.append(step.step)),
            stop=lambda: bool(heard),
        )
    assert 0 < heard[-1] < micro.NUM_STEPS

    record = one_process(store, tmp_path / "elsewhere")

    assert [step.step for step in log_of(store, record)] == list(range(1, micro.NUM_STEPS + 1))
    assert [attempt.status for attempt in record.cost.attempts] == ["stopped", "finished"]


def test_a_worker_with_other_data_than_planned_fails_once_and_in_one_line(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))

    class SixScenes(micro.FiveScenes):
        num_samples = 6

    with pytest.raises(InputError, match="are not those it was planned with") as error:
        micro.shared_training(store, tmp_path / "work", OnRay(num_processes=1), sources=SixScenes())

    assert "\n" not in str(error.value)
    assert list(store.records()) == []


def test_workers_that_meet_a_bug_fail_once_with_one_traceback(tmp_path: Path) -> None:
    class FiveWhat(micro.FiveScenes):
        def dataset(self, name: str, split: str) -> ShapesDataset:
            return open_shapes(name, split, num_samples=int("five"))

    with pytest.raises(RuntimeError, match=r"worker [01] failed") as error:
        micro.shared_training(open_store(str(tmp_path / "store")), tmp_path / "work", sources=FiveWhat())

    assert str(error.value).count("Traceback") == 1
    assert "invalid literal for int() with base 10: 'five'" in str(error.value)


def test_workers_that_cannot_share_the_batch_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))

    with pytest.raises(InputError, match="give one of 1, 2, 4"):
        micro.shared_training(store, tmp_path / "work", OnRay(num_processes=3))

    assert journaled_runs(store) == []
    assert not (tmp_path / "work").exists()


def test_a_worker_whose_steps_are_slow_hears_that_it_is_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_mailbox, "INTERVAL", 0.05)
    mailbox = ray_mailbox.open_mailbox()
    ray.get(mailbox.ask_to_stop.remote())
    worker = ray_mailbox.Correspondent(mailbox)
    answers = []

    for step in range(4):
        time.sleep(1)
        worker.tell(step)
        answers.append(worker.asked_to_stop())

    assert answers[-1]
    assert worker.flush()
    assert ray.get(mailbox.take.remote()) == [0, 1, 2, 3]


def test_no_placement_group_is_left_behind(tmp_path: Path) -> None:
    deadline = time.monotonic() + 20
    while (left := _placement_groups()) and time.monotonic() < deadline:
        time.sleep(0.5)

    assert left == []


def _placement_groups() -> list[str]:
    table = ray.util.placement_group_table()
    return [group["name"] for group in table.values() if group["state"] != "REMOVED"]
