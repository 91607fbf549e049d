"""A Ray of our own, as `ray start --head` makes one: with a token, on ports of its own, ended by its process."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
    # A short path: the names of Ray's sockets end after 107 characters.
    folder = tempfile.mkdtemp(prefix="ovlab-ray-", dir="/tmp")
    try:
        yield _start(num_cpus, folder)
    finally:
        _end(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _start(num_cpus: int, folder: str) -> Head:
    log = Path(folder) / "start.log"
    # Ray gives a raylet 30 s, whatever it is told; on a machine at work that is not always enough.
    for _ in range(4):
        ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        head = Head(f"http://127.0.0.1:{ports['dashboard-port']}", f"127.0.0.1:{ports['port']}")
        call = [str(BIN / "ray"), "start", "--head", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1"]
        call += [f"--num-cpus={num_cpus}", f"--object-store-memory={128 * 2**20}", f"--temp-dir={folder}"]
        call += ["--dashboard-host=127.0.0.1", *(f"--{name}={port}" for name, port in ports.items())]
        environment = _clean() | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as output:
            process = subprocess.Popen(call, env=environment, stdout=output, stderr=output, start_new_session=True)
        if _started(process, log):
            return head
        _end(folder)
        process.wait()
    raise RuntimeError(log.read_text()[-3000:])


def _started(process: subprocess.Popen[bytes], log: Path, seconds: float = 120.0) -> bool:
    # Not the dashboard's word, which answers before Ray has made up its mind whether to go on.
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if b"Ray runtime started" in log.read_bytes():
            return True
        time.sleep(0.5)
    return False


def _end(folder: str) -> None:
    """End the processes of this very Ray, whose command lines name its folder, and the workers they started."""
    # More than one round: a raylet may be starting its agent again.
    while started := [process for process in psutil.process_iter(["cmdline"]) if _names(process, folder)]:
        family = {process.pid: process for parent in started for process in (parent, *_children(parent))}
        for process in family.values():
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(family.values(), timeout=15)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=10)


def _names(process: psutil.Process, folder: str) -> bool:
    # None or empty for a process that has ended.
    return folder in " ".join(process.info["cmdline"] or ())


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _clean() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "OVLAB_", "MLFLOW_"))}
    kept["RAY_worker_niceness"] = "0"  # as tests/conftest.py has it
    # Jobs say `python`.
    return {**kept, "PATH": f"{BIN}:{kept['PATH']}", "OMP_NUM_THREADS": "1"}


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in sockets]
