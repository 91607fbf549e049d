"""Is everything there that the work needs? One function a check; each says what it found and how to mend it.

The checks that need a running Ray are in ovlab.ray.node_checks.
"""

import importlib.util
import os
import shlex
import stat
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from packaging.requirements import Requirement

from logoseg.clip.bridge_facts import BRIDGES, EXTRA, INSTALL
from ovlab.checks.torch_probe import TorchProbe
from ovlab.datasets.catalog import DATASETS
from ovlab.datasets.places import VARIABLE, open_named
from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError
from ovlab.specs.wording import one_line, shown
from ovlab.tracking.destination import destination

# What ovlab.ray.cluster asks for Ray's objects, and as much again for the workers of data loaders.
SHARED_MEMORY_BYTES = 512 * 2**20
SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `mend` is empty when there is nothing to mend."""

    check: str
    status: Literal["ok", "warning", "failed"]
    found: str
    mend: str = ""


def declared_requirements() -> list[str]:
    """What the installed package asks for; nothing where the sources are used without being installed."""
    try:
        return [line for line in requires("logoseg") or () if "extra ==" not in line]
    except PackageNotFoundError:
        return []


def packages(requirements: Iterable[str]) -> Finding:
    """Every required package is there, in a version that is allowed."""
    installed, wrong = [], []
    for requirement in map(Requirement, requirements):
        try:
            number = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        installed.append(f"{requirement.name} {number}")
        if not requirement.specifier.contains(number, prereleases=True):
            wrong.append(f"{requirement.name} {number} is not {requirement.specifier}")
    if wrong:
        mend = "uv pip install --constraint constraints.txt --editable . in the checkout."
        return Finding("packages", "failed", "; ".join(wrong), mend)
    return Finding("packages", "ok", ", ".join(installed) or "the sources are not installed; nothing is declared")


def photographs() -> Finding:
    """The bridges have their weights."""
    missing = sorted({package for facts in BRIDGES.values() for package in facts.missing})
    if importlib.util.find_spec("tokenizers") is None:
        missing.append("tokenizers")
    if missing:
        found = f"not installed: {', '.join(missing)}; needed by the suite `photographs` alone"
        return Finding(EXTRA, "ok", found, f"{INSTALL} in the checkout.")
    return Finding(EXTRA, "ok", f"the weights of {', '.join(BRIDGES)} are here")


def torch_pair(probe: TorchProbe) -> Finding:
    """torch and torchvision are of one build."""
    if probe.torchvision is not None and probe.error is None:
        build = f"for CUDA {probe.cuda}" if probe.cuda else "without CUDA"
        return Finding("torch", "ok", f"torch {probe.torch} {build}, torchvision {probe.torchvision}")
    mend = (
        "Install both from one place: uv pip install --reinstall --constraint constraints.txt torch torchvision. A "
        "torch for the CPU alone and a torchvision for CUDA do not fit."
    )
    return Finding("torch", "failed", f"torch {probe.torch or 'missing'}: {probe.error}", mend)


def gpu(probe: TorchProbe, driver_gpus: tuple[str, ...]) -> Finding:
    """torch can use the GPUs that the driver of this machine shows."""
    if probe.gpus:
        return Finding("gpu", "ok", ", ".join(probe.gpus))
    if not driver_gpus:
        return Finding("gpu", "ok", "none; work runs on the processor, for which the suite `shapes` is made")
    built = f"built for CUDA {probe.cuda}" if probe.cuda else "built without CUDA"
    mend = "Install a torch whose CUDA the driver supports (nvidia-smi names the newest), with its torchvision."
    return Finding("gpu", "failed", f"{', '.join(driver_gpus)}, but torch, {built}, cannot use it", mend)


def mamba(probe: TorchProbe) -> Finding:
    """The selective scan has its kernel where there is a GPU to run it."""
    if probe.mamba == "works":
        return Finding("mamba-ssm", "ok", "its kernel scans on the GPU")
    mend = "On a machine with nvcc: uv pip install --no-build-isolation --reinstall mamba-ssm."
    if probe.mamba != "absent":
        return Finding("mamba-ssm", "warning", f"installed, but the plain scan is used: {probe.mamba}", mend)
    if probe.gpus:
        return Finding("mamba-ssm", "warning", "not installed; the scan in plain torch is used", mend)
    return Finding("mamba-ssm", "ok", "not installed, and not needed without a GPU")


def shared_memory(folder: Path = SHARED_MEMORY, needed: int = SHARED_MEMORY_BYTES) -> Finding:
    """There is room for Ray's objects, which otherwise go to the disk."""
    if not folder.is_dir():
        return Finding("shared memory", "ok", f"no {folder} on this system; Ray has another way")
    state = os.statvfs(folder)
    free = state.f_bavail * state.f_frsize
    found = f"{free / 2**20:.0f} MiB free in {folder}"
    if free < needed:
        mend = f"Needed are {needed / 2**20:.0f} MiB: in a container, start it with --shm-size=1g."
        return Finding("shared memory", "warning", found, mend)
    return Finding("shared memory", "ok", found)


def token(environment: Mapping[str, str], home: Path) -> Finding:
    """There is a token, so that a Ray that others can reach does not run what they like."""
    mend = "ray get-auth-token --generate makes one; a cluster and its users need the same."
    if environment.get("RAY_AUTH_MODE", "token").lower() != "token":
        found = f"RAY_AUTH_MODE={environment['RAY_AUTH_MODE']}: a Ray started here asks nobody for one"
        return Finding("ray token", "warning", found, "Unset RAY_AUTH_MODE.")
    if environment.get("RAY_AUTH_TOKEN"):
        return Finding("ray token", "ok", "in RAY_AUTH_TOKEN")
    file = Path(environment.get("RAY_AUTH_TOKEN_PATH") or home / ".ray" / "auth_token")
    if not file.is_file() or not file.read_text().strip():
        return Finding("ray token", "warning", f"none in {file}", mend)
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mend = f"chmod 600 {shlex.quote(str(file))}"
        return Finding("ray token", "warning", f"{file} can be read or written by others", mend)
    return Finding("ray token", "ok", f"in {file}")


def probe_store(uri: str) -> str | None:
    """Write a file to the store, read it back and remove it. Why that does not work, or None."""
    name, content = f"doctor-{uuid.uuid4().hex}", uuid.uuid4().bytes
    folder = Folder(uri)
    try:
        folder.write(name, content)
        back = folder.read(name)
        folder.remove(name)
    except (InputError, OSError) as error:
        return one_line(error)
    return None if back == content else f"{folder.locate(name)}: other bytes came back than were written"


def store(uri: str, where: str = "this process") -> Finding:
    """Results can be written, read and removed."""
    return store_finding(uri, where, probe_store(uri))


def store_finding(uri: str, where: str, problem: str | None) -> Finding:
    if problem is None:
        return Finding("store", "ok", f"{uri}: written, read and removed by {where}")
    mend = "Give a --store that this machine may write to; for a bucket, check the role or the credentials."
    return Finding("store", "failed", f"{where}: {problem}", mend)


def mlflow(store_uri: str) -> Finding:
    """Runs can be tracked: the server or database answers, and its tables are those of this MLflow."""
    uri = destination(store_uri).uri
    if uri is None:
        found = "a store in a bucket holds no MLflow database; what runs tell stays in their journals"
        return Finding("mlflow", "warning", found, "Set MLFLOW_TRACKING_URI, then `ovlab runs publish`.")
    parts = urlsplit(uri)
    place = shown(uri)
    if parts.scheme == "sqlite" and not Path(parts.path.removeprefix("/")).is_file():
        return Finding("mlflow", "ok", f"{place}: made with the first run")
    from ovlab.tracking.mlflow_client import Unavailable, prepare_schema

    try:
        prepare_schema(uri)
    except Unavailable as error:
        reason = str(error)
        return Finding("mlflow", "failed", f"{place}: {reason}", _mend_mlflow(reason, place))
    return Finding("mlflow", "ok", f"{place} answers")


def _mend_mlflow(reason: str, uri: str) -> str:
    if "Invalid Host header" in reason:
        return f"Start the server with --allowed-hosts {urlsplit(uri).netloc}"
    if "schema" in reason:
        return f"Save a copy, then: mlflow db upgrade {uri}"
    return "Start the server, or correct MLFLOW_TRACKING_URI. Until then what runs tell waits in the store."


def data(places: Mapping[str, str], environment: Mapping[str, str]) -> list[Finding]:
    """The data sets that were named, or those below $OVLAB_DATA, are there."""
    root = environment.get(VARIABLE)
    if not places and root is None:
        found = f"the suite `shapes` needs none; for `paper` and `photographs`, {VARIABLE} is not set"
        return [Finding("data", "ok", found)]
    names = list(places) or list(DATASETS)
    return [_dataset(name, places, "failed" if name in places else "warning") for name in names]


def _dataset(name: str, places: Mapping[str, str], status: Literal["warning", "failed"]) -> Finding:
    found, problems = [], []
    for split in ("train", "val"):
        try:
            found.append(f"{split} with {len(open_named(name, split, places))} images")
        except (InputError, OSError) as error:
            problems.append(str(error))
    if found:
        return Finding(f"data {name}", "ok", ", ".join(found))
    mend = f"ovlab data prepare {name} --source DIR --out URI; `ovlab data list {name}` says how to obtain it."
    return Finding(f"data {name}", status, problems[-1], mend)
