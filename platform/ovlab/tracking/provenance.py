"""What a result was made with: the code and what was changed in it, the packages, the command, the machine.

On a cluster there is no git: whoever submits stamps what git says into $OVLAB_PROVENANCE, and the workers read it
there. Host, devices and packages are those of the process that asks.
"""

import dataclasses
import hashlib
import json
import os
import platform
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ovlab.specs.errors import InputError
from ovlab.specs.wording import shown
from ovlab.store.gpus import gpu_names

ENVIRONMENT = "OVLAB_PROVENANCE"
PACKAGES = ("logoseg", "torch", "torchvision", "open_clip_torch", "timm", "numpy", "numba", "pyarrow", "ray", "mlflow")
UNKNOWN = "unknown"
# As argparse takes it.
_ENV = ("--env", "--en", "--e")
_PACKAGE = Path(__file__).parents[1]
_SOURCES = ("model", "platform", "experiments", "constraints.txt", "pyproject.toml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The code. `diff_digest` is the sha256 of what differs from `commit`, new files of the sources included; it is
    empty when nothing does. `lock_digest` is that of constraints.txt. "unknown" where neither git nor stamp is."""

    commit: str = UNKNOWN
    dirty: bool | None = None
    diff_digest: str = UNKNOWN
    lock_digest: str = UNKNOWN
    command: str = UNKNOWN


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """`command` is what a person typed; on a cluster that of the submitter."""

    source: Source
    packages: Mapping[str, str]
    python: str
    host: str
    system: str
    devices: tuple[str, ...]

    def tags(self) -> dict[str, str]:
        """As tags of a tracked run."""
        source = self.source
        return {
            "ovlab.commit": source.commit,
            "ovlab.dirty": UNKNOWN if source.dirty is None else str(source.dirty).lower(),
            "ovlab.diff_digest": source.diff_digest,
            "ovlab.lock_digest": source.lock_digest,
            "ovlab.command": source.command,
            "ovlab.packages": ", ".join(f"{name} {number}" for name, number in self.packages.items()),
            "ovlab.python": self.python,
            "ovlab.host": self.host,
            "ovlab.system": self.system,
            "ovlab.devices": ", ".join(self.devices),
        }


def provenance(source: Source | None = None) -> Provenance:
    """Of this process, with the `source` of the one that sent it here, if there is one.

    Raises InputError when $OVLAB_PROVENANCE is no stamp.
    """
    return Provenance(
        source=source or _source(),
        packages=installed_versions(PACKAGES),
        python=platform.python_version(),
        host=socket.gethostname(),
        system=platform.platform(),
        devices=devices(),
    )


def _source() -> Source:
    stamp = os.environ.get(ENVIRONMENT)
    return source_of(_PACKAGE.parents[1]) if stamp is None else read_stamp(stamp)


def stamp(source: Source) -> str:
    """The value of $OVLAB_PROVENANCE for a machine without git."""
    return json.dumps(dataclasses.asdict(source), sort_keys=True)


def read_stamp(text: str) -> Source:
    """What `stamp` wrote. Raises InputError for anything else."""
    try:
        return Source(**json.loads(text))
    except (ValueError, TypeError):
        raise InputError(f"{ENVIRONMENT} must be the JSON that `ovlab submit` writes, got {text[:80]!r}.") from None


def source_of(root: Path) -> Source:
    """The code in `root`, if that is the top of a git checkout from which this package is imported."""
    program = Path(sys.argv[0])
    # `python -m ovlab` runs ovlab/__main__.py.
    name = program.parent.name if program.name == "__main__.py" else program.name
    command = shlex.join([name, *_without_secrets(sys.argv[1:])])
    lock = root / "constraints.txt"
    lock_digest = hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else UNKNOWN
    top = git(root, "rev-parse", "--show-toplevel")
    # An installed package may lie in a virtual environment within somebody else's repository.
    if top is None or Path(top.decode().strip()).resolve() != root.resolve():
        return Source(lock_digest=lock_digest, command=command)
    commit = git(root, "rev-parse", "HEAD")
    changed = git(root, "diff", "HEAD", "--binary")
    new = git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *_SOURCES)
    if commit is None or changed is None or new is None:
        return Source(lock_digest=lock_digest, command=command)
    names = sorted(name for name in new.decode().split("\0") if name)
    dirty = bool(changed or names)
    return Source(
        commit=commit.decode().strip(),
        dirty=dirty,
        diff_digest=_diff_digest(root, changed, names) if dirty else "",
        lock_digest=lock_digest,
        command=command,
    )


def _without_secrets(arguments: Sequence[str]) -> list[str]:
    """Addresses as they are shown, and the variables of `ovlab submit --env` without their values."""
    found = []
    for before, argument in zip(("", *arguments), arguments, strict=False):
        if before in _ENV:
            argument = f"{argument.partition('=')[0]}=..."
        elif argument.startswith(tuple(f"{option}=" for option in _ENV)):
            argument = f"{'='.join(argument.split('=')[:2])}=..."
        found.append(shown(argument))
    return found


def devices() -> tuple[str, ...]:
    """The GPUs by name, and the processor."""
    processor = f"{_processor()} x {os.cpu_count()}"
    return (*gpu_names(), processor)


def _diff_digest(root: Path, changed: bytes, new: list[str]) -> str:
    digest = hashlib.sha256(changed)
    for name in new:
        digest.update(f"\0{name}\0".encode())
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def git(root: Path, *arguments: str) -> bytes | None:
    """What git prints in the folder `root`; None where it fails, or is not there."""
    try:
        result = subprocess.run(["git", "-C", root, *arguments], capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def installed_versions(names: Sequence[str]) -> dict[str, str]:
    """Those of `names` that are installed, with their versions."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
