"""ovlab.ray.cluster, where no Ray has to start: tests/cluster has those that do."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ray import exceptions
from ray._private.utils import validate_socket_filepath

from ovlab.ray import cluster
from ovlab.ray.cluster import Cluster, connect
from ovlab.runs.interruption import stop_on_signals
from ovlab.runs.journaling import Terminated
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


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_signal_while_ray_starts_ends_the_start_at_once_though_the_work_would_be_stopped_gently(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, error: type[BaseException]
) -> None:
    def start(num_cpus: int | None, object_store_bytes: int) -> Cluster:
        os.kill(os.getpid(), number)
        raise AssertionError("the start goes on")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster, "_start", start)

    with stop_on_signals() as stop:
        handler = signal.getsignal(number)
        with pytest.raises(error), connect():
            pass
        assert signal.getsignal(number) == handler
        assert not stop()


def test_connect_after_a_fault_that_no_start_would_change_does_not_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []

    def start(num_cpus: int | None, object_store_bytes: int) -> Cluster:
        starts.append(num_cpus)
        raise PermissionError(13, "Permission denied", "/tmp/ray")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster, "_start", start)

    with pytest.raises(WorkError, match=r"cannot start.*/tmp/ray"), connect():
        pass

    assert len(starts) == 1


def test_start_in_a_folder_too_long_for_a_socket_takes_a_short_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/scratch")
    assert cluster._folder_for_sockets() == "/scratch"

    monkeypatch.setenv("TMPDIR", "/scratch/" + "x" * 60)
    short = cluster._folder_for_sockets()

    validate_socket_filepath(f"{short}/ray/session_2026-11-30_00-09-18_485276_4194304/sockets/plasma_store")
    assert "too long" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["RAY_AUTH_TOKEN", "auth_token"])
def test_connect_to_a_ray_that_wants_another_token_says_so_and_where_it_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str], place: str
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        # As the client of Ray 2.56 does, once a second.
        os.write(
            2, b"W gcs_client.cc:210: Unauthenticated: RPC error: InvalidAuthToken: token is missing or incorrect\n"
        )
        raise ConnectionError("Failed to connect.")

    monkeypatch.setattr("ray.init", refuse)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "auth_token"))
    with pytest.raises(InputError, match=f"its token.*{tmp_path}/auth_token"), connect("1.2.3.4:5"):
        pass

    (tmp_path / "auth_token").write_text("secret")
    if place == "RAY_AUTH_TOKEN":
        monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    with pytest.raises(InputError, match=f"its token.*{place} was shown") as error, connect("1.2.3.4:5"):
        pass

    assert "secret" not in str(error.value)
    assert capfd.readouterr().err == ""


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
