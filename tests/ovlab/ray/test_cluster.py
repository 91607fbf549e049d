"""ovlab.ray.cluster, where no Ray has to start: tests/cluster has those that do."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from ray import exceptions

from ovlab.ray import cluster
from ovlab.ray.cluster import Cluster, connect
from ovlab.specs.errors import InputError, WorkError

STARTED = Cluster("127.0.0.1:1", num_cpus=2.0, num_gpus=0.0, started=True)


def fail_first(times: int) -> Callable[..., Cluster]:
    """In place of the start of Ray: one that fails so often."""
    failures = iter(range(times))

    def start(num_cpus: int | None, object_store_bytes: int) -> Cluster:
        if next(failures, None) is not None:
            raise exceptions.RaySystemError("the raylet\nis slow")
        return STARTED

    return start


def test_connect_on_a_busy_machine_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster, "_start", fail_first(2))

    with connect() as found:
        assert found == STARTED


def test_connect_where_no_start_succeeds_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster, "_start", fail_first(100))

    with pytest.raises(WorkError, match=r"did not start on this machine: .*the raylet") as error, connect():
        pass

    assert "\n" not in str(error.value)


def test_connect_to_an_address_where_nothing_answers_is_refused() -> None:
    with pytest.raises(InputError, match="no Ray at nonsense"), connect("nonsense"):
        pass


def test_a_start_that_fails_leaves_no_process_behind() -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def begin() -> None:
        begun.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

    def fail() -> None:
        with cluster._ended_with_its_start():
            begin()
            raise OSError("failed")

    try:
        begin()
        with pytest.raises(OSError, match="failed"):
            fail()

        assert begun[1].wait(timeout=30) != 0
        assert begun[0].poll() is None
    finally:
        for process in begun:
            process.kill()
            process.communicate()
