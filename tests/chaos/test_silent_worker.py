"""A worker that hangs, and workers for which there is no room: the one is replaced, the other is said."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import micro_training as micro
from hearing import Hearing
from ovlab.ray import cluster, trainer
from ovlab.ray.on_ray import OnRay
from ovlab.runs.here import Here
from ovlab.runs.observer import Observer
from ovlab.specs.errors import Stopped
from ovlab.specs.events import Step
from ovlab.store.journal import curve_of, read_journal
from ovlab.store.record import TrainingRecord
from ovlab.store.store import Store, open_store

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", autouse=True)
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setattr(cluster, "SILENCE_SECONDS", 20)
        patch.setattr(trainer, "SILENCE_SECONDS", 20)
        with cluster.connect("local", num_cpus=2):
            yield


def losses(store: Store, record: TrainingRecord) -> list[float]:
    return [step.loss for step in curve_of(read_journal(store, record.fingerprint))]


def test_worker_that_hangs_is_replaced_and_the_losses_are_those_of_one_process(tmp_path: Path) -> None:
    hung: list[psutil.Process] = []

    def hang(step: Step) -> None:
        if step.step >= 7 and not hung:
            processes = psutil.Process().children(recursive=True)
            hung.append(next(one for one in processes if "RayTrainWorker" in " ".join(one.cmdline())))
            hung[0].send_signal(signal.SIGSTOP)

    stores = [open_store(str(tmp_path / name)) for name in ("one", "two")]

    record = micro.shared_training(stores[1], tmp_path / "work2", observer=Hearing(on_step=hang))

    assert not hung[0].is_running()
    assert [attempt.status for attempt in record.cost.attempts] == ["stopped", "finished"]
    expected = micro.shared_training(stores[0], tmp_path / "work1", Here())
    assert losses(stores[1], record) == pytest.approx(losses(stores[0], expected), rel=1e-5)


def test_workers_without_room_say_what_is_missing_and_hear_that_they_are_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waiting(Observer):
        said: str = ""

        def on_wait(self, missing: str) -> None:
            Waiting.said = missing

    monkeypatch.setattr(trainer, "PATIENCE", 2.0)

    with pytest.raises(Stopped, match="waited for room: 4 processes"):
        micro.shared_training(
            open_store(str(tmp_path / "store")),
            tmp_path / "work",
            OnRay(num_processes=4),
            observer=Waiting(),
            stop=lambda: bool(Waiting.said),
        )

    assert "4 processes want a processor each; the cluster (1 node) has 2" in Waiting.said
