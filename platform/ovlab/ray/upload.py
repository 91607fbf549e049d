"""What a job is, before any cluster is asked: the command, the folder that is sent, and the environment it gets.

Only sources and tables are sent. Data, weights and results have places that every node reaches: buckets, or a shared
disk. The files of the package are laid out as in the repository, so that `PYTHONPATH=platform:model` imports what was
sent, whatever is installed on the nodes.
"""

import argparse
import hashlib
import os
import re
import shlex
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import logoseg
from ovlab.specs.errors import InputError
from ovlab.specs.wording import shown
from ovlab.tracking.provenance import ENVIRONMENT, git

STORE = "OVLAB_STORE"
# Ray keeps a package in the memory of the head for as long as a job uses it.
MAX_BYTES = 64 * 2**20
DEFAULT_ADDRESS = "http://127.0.0.1:8265"

_TABLES = "experiments"
_ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_CONNECT_SECONDS = 10
# Where no git says what belongs to the sources.
_SUFFIXES = (".py", ".txt", ".json", ".md", ".png", ".jpg", ".safetensors", ".ipynb")
_SECRET_NAMES = re.compile(r"\.env.*|\.netrc|\.npmrc|id_(rsa|dsa|ecdsa|ed25519)|credentials|.*\.(pem|key|p12|pfx|jks)")
_SECRETS = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(AKIA|ASIA)[A-Z0-9]{16}\b")


@dataclass(frozen=True, slots=True)
class Package:
    """What is sent: for each path in the job's folder, the file here."""

    files: Mapping[str, Path]

    @property
    def num_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files.values())

    @property
    def digest(self) -> str:
        """sha256 over the sources of the two packages: names and bytes."""
        digest = hashlib.sha256()
        for name in sorted(name for name in self.files if not name.startswith(f"{_TABLES}/")):
            digest.update(f"\0{name}\0".encode())
            digest.update(self.files[name].read_bytes())
        return digest.hexdigest()

    def require_small(self, max_bytes: int = MAX_BYTES) -> None:
        """Raise InputError naming the largest files if all of them are more than `max_bytes`."""
        if self.num_bytes <= max_bytes:
            return
        largest = sorted(self.files, key=lambda name: -self.files[name].stat().st_size)[:3]
        named = ", ".join(f"{name} ({_mebibytes(self.files[name].stat().st_size)})" for name in largest)
        raise InputError(
            f"the code to send is {_mebibytes(self.num_bytes)}, allowed are {_mebibytes(max_bytes)}; the largest: "
            f"{named}. Put data and weights into a bucket and name them by their address."
        )

    def require_no_secret(self) -> None:
        """Raise InputError naming the first file that has the name, or holds the beginning, of a key."""
        for name, file in self.files.items():
            if _SECRET_NAMES.fullmatch(file.name) or _SECRETS.search(file.read_bytes()):
                raise InputError(f"{name}: looks like a secret; nothing is sent. Move it out of the sources.")

    def listing(self) -> str:
        """A line a file with its bytes, and one for all of them."""
        lines = [f"{file.stat().st_size:>11,}  {name}" for name, file in self.files.items()]
        return "\n".join([*lines, f"{self.num_bytes:>11,}  bytes in {len(lines)} files"])

    def copy_to(self, folder: Path) -> None:
        for name, file in self.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def source_package() -> Package:
    """The sources of this very process, and the tables of experiments/ where it runs from a checkout: what git tracks
    of them, or without git what has the suffix of a source. No link that leads out of its folder is among them."""
    ovlab_folder = Path(__file__).resolve().parents[1]
    models = Path(str(logoseg.__file__)).resolve().parents[1]
    folders = {"platform/ovlab": ovlab_folder} | {f"model/{name}": models / name for name in ("logoseg", "rivals")}
    tables = ovlab_folder.parents[1] / _TABLES
    if tables.is_dir():
        folders[_TABLES] = tables
    found = [files_of(folder, prefix) for prefix, folder in folders.items()]
    return Package({name: file for files in found for name, file in files.items()})


def files_of(folder: Path, prefix: str) -> dict[str, Path]:
    """The files of `folder` that are sent, by their name below `prefix`."""
    tracked = git(folder, "ls-files", "-z")
    if tracked:
        found = [folder / name for name in sorted(tracked.decode().split("\0")) if name]
    else:
        found = [path for path in sorted(folder.rglob("*")) if path.suffix in _SUFFIXES]
    own = [path for path in found if path.is_file() and path.resolve().is_relative_to(folder.resolve())]
    return {f"{prefix}/{path.relative_to(folder).as_posix()}": path for path in own}


def cluster_address(given: str | None) -> str:
    """Where jobs are handed in: `given`, else $RAY_API_SERVER_ADDRESS, else $RAY_ADDRESS, else this machine.

    Raises InputError where nothing listens.
    """
    address = given or next((os.environ[name] for name in _ADDRESSES if os.environ.get(name)), DEFAULT_ADDRESS)
    try:
        require_listening(address)
    except InputError as error:
        raise InputError(
            f"{error} Start one: `ray up ray_cluster.yaml`, then `ray dashboard ray_cluster.yaml`, which keeps "
            f"{DEFAULT_ADDRESS} open; or give --address http://HOST:8265."
        ) from None
    return address


def require_listening(address: str) -> None:
    """Raise InputError where nothing listens, which Ray itself would find out only after minutes."""
    if address == "auto":
        return
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        if not parts.hostname:
            raise ValueError(address)
    except (ValueError, KeyError):
        raise InputError(f"no Ray at {shown(address)}: that is neither HOST:PORT nor http://HOST:PORT.") from None
    try:
        socket.create_connection((parts.hostname, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise InputError(f"no Ray at {shown(address)}: {error.strerror or error}.") from None


def job_command(command: Sequence[str], parsers: Mapping[str, argparse.ArgumentParser]) -> tuple[str, ...]:
    """`command`, the words after `ovlab`, with a store that outlives the job.

    `parsers` are those of the commands by name: a wrong call ends here, as it would without a cluster. A command that
    takes --store gets $OVLAB_STORE where none is given. Raises InputError for a store in the job's own folder.
    """
    name, *options = command
    if name not in parsers:
        raise InputError(f"ovlab {name}: no such command. There are {', '.join(parsers)}.")
    parser = parsers[name]
    arguments = parser.parse_args(options)
    if not hasattr(arguments, "store"):
        return tuple(command)
    if arguments.store != parser.get_default("store"):
        _require_lasting(arguments.store, "--store")
        return tuple(command)
    store = os.environ.get(STORE) or ""
    _require_lasting(store, STORE)
    # Once more: not every command takes it beside the options that it was given.
    parser.parse_args([*options, "--store", store])
    return (*command, "--store", store)


def entrypoint(command: Sequence[str]) -> str:
    """The shell command of the job."""
    return shlex.join(("python", "-m", "ovlab", *command))


def job_environment(stamp: str, given: Sequence[str] = ()) -> dict[str, str]:
    """The variables of every process of the job: the given NAME=VALUE, the stamp of provenance, and its sources.

    Raises InputError for a variable without a name.
    """
    variables = {}
    for option in given:
        name, equals, value = option.partition("=")
        if not (name and equals):
            raise InputError(
                f"--env {name or '=...'}: write NAME=VALUE, for example MLFLOW_TRACKING_URI=http://host:5000."
            )
        variables[name] = value
    return variables | {"PYTHONPATH": "platform:model", ENVIRONMENT: stamp}


def authentication(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """The setting by which Ray's client sends the token that there is; it sends none unless told to."""
    has_token = any(environment.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if "RAY_AUTH_MODE" in environment or not (has_token or (home / ".ray" / "auth_token").is_file()):
        return {}
    return {"RAY_AUTH_MODE": "token"}


def _require_lasting(store: str, name: str) -> None:
    if "://" in store or Path(store).is_absolute():
        return
    raise InputError(
        f"{name} {store or 'is not set'}: a job runs in a copy of the code that is deleted afterwards. Give --store "
        f"s3://bucket/prefix, or a folder that every node sees by its absolute path, or set {STORE} to either."
    )


def _mebibytes(num_bytes: int) -> str:
    return f"{num_bytes / 2**20:.1f} MiB"
