"""A Ray of our own, as `ray start --head` makes one: with a token, on ports of its own, ended by its process."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

TOKEN = "0123456789abcdef" * 4
BIN = Path(sys.executable).parent
_PORTS = ("port", "dashboard-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port", "metrics-export-port")


@dataclass(frozen=True)
class Head:
    """`dashboard` is where jobs are handed in, `address` where drivers connect."""

    dashboard: str
    address: str

    def environment(self) -> dict[str, str]:
        """That of a person who may use it."""
        return {**_clean(), "RAY_AUTH_TOKEN": TOKEN}


@contextmanager
def ray_head(num_cpus: int = 2) -> Iterator[Head]:
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    # A short path: the names of Ray's sockets end after 107 characters.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    call = [str(BIN / "ray"), "start", "--head", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1"]
    call += [f"--num-cpus={num_cpus}", f"--object-store-memory={128 * 2**20}", f"--temp-dir={folder}"]
    call += ["--dashboard-host=127.0.0.1", *(f"--{name}={port}" for name, port in ports.items())]
    environment = _clean() | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_agent_register_timeout_ms": "90000",
    }
    log = Path(folder) / "start.log"
    with log.open("wb") as output:
        process = subprocess.Popen(call, env=environment, stdout=output, stderr=output, start_new_session=True)
    head = Head(f"http://127.0.0.1:{ports['dashboard-port']}", f"127.0.0.1:{ports['port']}")
    try:
        _wait(head, process, log)
        yield head
    finally:
        _end(process)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(head: Head, process: subprocess.Popen[bytes], log: Path, seconds: float = 180.0) -> None:
    request = urllib.request.Request(f"{head.dashboard}/api/jobs/", headers={"Authorization": f"Bearer {TOKEN}"})
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(log.read_text()[-3000:])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what this very process started, down to the workers."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=20)
    for child in alive:
        child.kill()
    process.kill()
    process.wait()


def _clean() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "OVLAB_", "MLFLOW_"))}
    # Jobs say `python`.
    return {**kept, "PATH": f"{BIN}:{kept['PATH']}", "OMP_NUM_THREADS": "1"}


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in sockets]
