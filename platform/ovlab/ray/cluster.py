"""The Ray that the work runs on: the one that RAY_ADDRESS or the caller names, or a local one for as long as it lasts.

Every process of a session gets the same environment: one thread for each worker's arithmetic, the address of this Ray
(a second one on the machine would confuse Ray Train's cleaner of placement groups), and a path by which it imports
these very sources.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

import psutil
import ray
from ray import exceptions
from ray._private import ray_constants

import logoseg
from ovlab.runs.interruption import SIGNALS
from ovlab.runs.journaling import Terminated
from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.wording import one_line, shown

# What travels are manifests, counts and weights; Ray would otherwise reserve a third of the memory.
OBJECT_STORE_BYTES = 256 * 2**20
# The start of two workers that import torch takes 20 s on two cores; Ray gives up after 60.
WORKER_GROUP_START_TIMEOUT = 300
# Whoever trains and says nothing for so long is replaced. Ray itself waits ten minutes, torch's groups half an hour.
SILENCE_SECONDS = 300

# Where `ray job submit` leaves the environment of the job, which a driver may add to but not repeat.
_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
# Ray's own 10 s are not enough for its agents, Python programs, on a machine at work.
_AGENT_START_MS = "30000"
# Ray gives its raylet 30 s, whatever it is told; on a machine at work that is not always enough.
_NUM_STARTS = 3
# What no other start would change.
_FINAL = (ValueError, PermissionError, FileNotFoundError, NotADirectoryError, exceptions.AuthenticationError)
# How a Ray refuses a token, in what its client writes.
_WRONG_TOKEN = b"InvalidAuthToken"
# A name of a socket has at most 107 bytes, of which Ray's own folders take these.
_SOCKET_BYTES = 107 - len("/ray/session_2000-01-01_00-00-00_000000_1234567/sockets/plasma_store.0")
_SHORT_FOLDER = "/tmp"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A connection to Ray. `started`: whether this process started it, and so ends it. `computes_on_gpus`: whether a
    device is behind its GPUs; those of a Ray that was only told a number can be reserved, and the work is done on
    processors."""

    address: str
    num_cpus: float
    num_gpus: float
    started: bool
    computes_on_gpus: bool = False

    def reserves_gpus(self, device: str) -> bool:
        """Whether each process that is to compute on `device` gets a GPU of its own."""
        return device.startswith("cuda") or (device == "auto" and self.num_gpus > 0)

    def require_gpus(self, device: str) -> None:
        """Raise InputError where `device` is a GPU, and there is none."""
        if device.startswith("cuda") and not self.num_gpus:
            raise InputError(f"--device {device}: the Ray at {self.address} has no GPU; use cpu or auto.")

    def device(self, name: str) -> str:
        """The device called `name` of processes that the Ray has given their share: "auto" is a GPU where it has some,
        also for whoever only leads the work and has none."""
        return "cuda" if name == "auto" and self.computes_on_gpus else name


@contextmanager
def connect(
    address: str | None = None, *, num_cpus: int | None = None, object_store_bytes: int = OBJECT_STORE_BYTES
) -> Iterator[Cluster]:
    """Connect to the Ray at `address` ("host:port", "auto"), by default to that of RAY_ADDRESS; without either, start
    a local one with `num_cpus` logical CPUs (default: as many as there are) and end it after the block.

    What was there before stays: a Ray that others started, and a connection that this process has already. Raises
    InputError where nothing answers at the address, and WorkError where no Ray could be started.
    """
    if ray.is_initialized():
        yield _cluster(ray.get_runtime_context().gcs_address, started=False)
        return
    address = address or os.environ.get("RAY_ADDRESS")
    with _interruptible():
        found = _start_patiently(num_cpus, object_store_bytes) if address in (None, "local") else _join(str(address))
    try:
        yield found
    finally:
        ray.shutdown()


def worker_environment(address: str) -> dict[str, str]:
    """The variables that every process of a session has; `address` is that of its Ray, as host:port."""
    return {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(_source_folders()),
        "RAY_ADDRESS": address,
        "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(WORKER_GROUP_START_TIMEOUT),
        "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S": str(SILENCE_SECONDS),
    }


def _start_patiently(num_cpus: int | None, object_store_bytes: int) -> Cluster:
    print("starting Ray on this machine", file=sys.stderr, flush=True)
    for _ in range(_NUM_STARTS):
        try:
            return _start(num_cpus, object_store_bytes)
        except _FINAL as error:
            raise WorkError(f"Ray cannot start on this machine: {one_line(error)}") from error
        except Exception as error:  # ray.init raises bare ones
            cause = error
    reason = str(cause).split("\n")[0].strip() or "its dashboard did not answer in time."
    raise WorkError(f"Ray did not start on this machine: {reason} Wait until it has less to do.") from cause


def _start(num_cpus: int | None, object_store_bytes: int) -> Cluster:
    # Chosen beforehand, because the environment of the workers holds it.
    port = _free_port()
    address = f"127.0.0.1:{port}"
    start = {
        "RAY_GCS_SERVER_PORT": str(port),
        "RAY_agent_register_timeout_ms": _AGENT_START_MS,
        ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0",
        "RAY_TMPDIR": _folder_for_sockets(),
    }
    # Inherited by the workers. An environment of the session's own would leave those that Ray starts beforehand unused,
    # and make every other one start in two steps.
    with _environment(start | worker_environment(address)), _on_loopback(), _ended_with_its_start():
        ray.init(
            "local",
            num_cpus=num_cpus,
            object_store_memory=object_store_bytes,
            # Ray Train's cleaner asks it what is left behind.
            include_dashboard=True,
            log_to_driver=False,
            logging_level="warning",
        )
    return _cluster(ray.get_runtime_context().gcs_address, started=True)


def _folder_for_sockets() -> str:
    """Where Ray puts its sessions: where it would by itself, if a socket can be there."""
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or _SHORT_FOLDER
    if len(os.fsencode(folder)) <= _SOCKET_BYTES:
        return folder
    print(f"{folder}: too long a path for Ray's sockets; its session is in {_SHORT_FOLDER}", file=sys.stderr)
    return _SHORT_FOLDER


def _join(address: str) -> Cluster:
    given = _job_variables()
    known = "" if address == "auto" else address
    # In a job, the sources are those that were uploaded, wherever this process found them.
    wanted = {name: value for name, value in worker_environment(known).items() if value and name not in given}
    with _said_by_client() as said:
        try:
            ray.init(address, log_to_driver=False, logging_level="warning", runtime_env={"env_vars": wanted})
        except exceptions.AuthenticationError:
            raise InputError(f"no Ray at {shown(address)}: RAY_AUTH_MODE asks for a token. {_token_told()}") from None
        except (ConnectionError, ValueError, RuntimeError) as error:
            said.seek(0)
            if _WRONG_TOKEN in said.read():
                raise InputError(
                    f"the Ray at {shown(address)} lets nobody in without its token. {_token_told()}"
                ) from None
            reason = shown(str(error).splitlines()[0])
            raise InputError(f"no Ray at {shown(address)}: {reason} Start one there, or unset RAY_ADDRESS.") from None
    return _cluster(ray.get_runtime_context().gcs_address, started=False)


def _token_told() -> str:
    """Which token was shown, and where one is looked for; never the token."""
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if "RAY_AUTH_TOKEN" in os.environ:
        return "That of RAY_AUTH_TOKEN was shown: put the right one there."
    if file.is_file():
        return f"That in {file} was shown: put the right one there or in RAY_AUTH_TOKEN."
    return f"Put it in RAY_AUTH_TOKEN or {file}."


@contextmanager
def _said_by_client() -> Iterator[IO[bytes]]:
    """What Ray's client writes past Python meanwhile: a line a second as long as nothing lets it in. It is said after
    all where it got in."""
    with tempfile.TemporaryFile() as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        file.seek(0)
        os.write(2, file.read())


def _cluster(address: str, *, started: bool) -> Cluster:
    resources = ray.cluster_resources()
    computes_on_gpus = "GPU" in resources and any(name.startswith("accelerator_type:") for name in resources)
    return Cluster(address, resources.get("CPU", 0.0), resources.get("GPU", 0.0), started, computes_on_gpus)


def _job_variables() -> Mapping[str, str]:
    config = json.loads(os.environ.get(_JOB_CONFIG, "{}"))
    return (config.get("runtime_env") or {}).get("env_vars") or {}


def _source_folders() -> list[str]:
    """The folders that hold the packages ovlab and logoseg."""
    packages = (Path(__file__).parents[1], Path(str(logoseg.__file__)).parent)
    folders = [str(package.resolve().parent) for package in packages]
    return list(dict.fromkeys(folders))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _on_loopback() -> Iterator[None]:
    """A Ray that starts now listens on 127.0.0.1 alone. Its switch for that is meant for other systems, where a Ray has
    one node, and is read from the environment when Ray is imported: before anyone knows which Ray is wanted."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _ended_with_its_start() -> Iterator[None]:
    """A Ray that started in part leaves processes behind, which would disturb the next one."""
    before = set(psutil.Process().children(recursive=True))
    try:
        yield
    except BaseException:  # Ctrl-C among it
        ray.shutdown()
        for process in set(psutil.Process().children(recursive=True)) - before:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        raise


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the start of Ray at once, whatever they mean to the work: nothing is to be saved yet. And
    ray.init puts a handler of its own in the place of whatever SIGTERM meant before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
