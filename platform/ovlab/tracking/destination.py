"""Where runs are shown: an MLflow server, else a database in the store."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from ovlab.files.cache import cache_folder
from ovlab.files.inside import inside
from ovlab.specs.errors import InputError


@dataclass(frozen=True, slots=True)
class Destination:
    """`uri` is MLflow's tracking URI. `artifacts` is where artifacts go when no server decides that; else None.
    `folder` of this machine is for the log and the lock of whoever publishes."""

    folder: Path
    uri: str | None
    artifacts: Path | None

    def require_uri(self) -> str:
        """The URI. Raises InputError for a store in a bucket without a server."""
        if self.uri is None:
            raise InputError("a store in a bucket holds no MLflow database; set MLFLOW_TRACKING_URI to a server.")
        return self.uri


def destination(store: str) -> Destination:
    """Of `store`, a folder or s3://bucket/prefix; $MLFLOW_TRACKING_URI overrides the database in it. Raises
    DamagedError for a folder in which a link leads elsewhere."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or None
    if "://" in store and not store.startswith("file://"):
        name = hashlib.sha256(store.rstrip("/").encode()).hexdigest()[:16]
        return Destination(cache_folder() / "tracking" / name, uri, None)
    folder = inside(Path(os.path.realpath(store.removeprefix("file://"))), "tracking")
    if uri is not None:
        return Destination(folder, uri, None)
    return Destination(folder, f"sqlite:///{inside(folder, 'mlflow.db')}", inside(folder, "artifacts"))


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite database; None for any other address."""
    parts = urlsplit(uri)
    return Path(parts.path.removeprefix("/")) if parts.scheme == "sqlite" else None


@contextmanager
def sole_creator(uri: str) -> Iterator[Path | None]:
    """Hold off other processes of this machine that would make the tables of the same SQLite database; yields its file
    where that is still to be made.

    For any other URI nothing is held: a server makes its own tables, before it answers anyone.
    """
    database = sqlite_file(uri)
    if database is None:
        yield None
        return
    with FileLock(f"{database}.lock", fallback_to_soft=False):
        yield None if database.exists() else database
