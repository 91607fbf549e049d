"""A folder of files on this machine or in an S3 bucket, where a file is there whole or not at all."""

import contextlib
import fcntl
import io
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import fsspec
import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from ovlab.specs.errors import InputError

# Local files appear under their name only by a rename; until then they carry this ending.
PARTIAL = ".partial"


@dataclass(frozen=True)
class Folder:
    """`uri` is a path, file:///path or s3://bucket/prefix. Every name below is relative to it, with forward slashes.

    A missing file or bucket, refused access and an unreachable store raise InputError naming the place.
    """

    uri: str
    # The file system and the path in it, by process: connections and event loops survive neither pickling nor a fork.
    _roots: dict[int, tuple[fsspec.AbstractFileSystem, str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        scheme, separator, _ = self.uri.partition("://")
        if not self.uri or (separator and scheme not in ("file", "s3")):
            raise InputError(f"{self.uri!r}: not a place for data. Give a folder, or s3://bucket/prefix.")

    def __reduce__(self) -> tuple[type["Folder"], tuple[str]]:
        return Folder, (self.uri,)

    def __str__(self) -> str:
        return self.uri

    @property
    def is_local(self) -> bool:
        return not self.uri.startswith("s3://")

    def locate(self, name: str) -> str:
        """The full address of a file, for messages."""
        return f"{self.uri.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes:
        with self._input_errors(name):
            return self._fs.cat_file(self._path(name))

    def read_many(self, names: Iterable[str]) -> list[bytes]:
        """The files in the order of `names`; from a bucket, several at a time."""
        paths = [self._path(name) for name in names]
        if not paths:
            return []
        with self._input_errors(""):
            found = self._fs.cat(paths)
        return [found[path] for path in paths] if isinstance(found, dict) else [found]

    def open(self, name: str, num_bytes: int) -> io.IOBase | pa.NativeFile:
        """A seekable file of known size, read in exactly the ranges that are asked for."""
        with self._input_errors(name):
            if self.is_local:
                return pa.OSFile(self._path(name), "rb")
            return self._fs.open(self._path(name), "rb", cache_type="none", size=num_bytes)

    def write(self, name: str, content: bytes) -> None:
        """Put the whole file there at once, over one of the same name."""
        with self._input_errors(name):
            if self.is_local:
                _write_and_rename(Path(self._path(name)), content)
            else:
                self._fs.pipe_file(self._path(name), content)

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Bytes of each file of `folder` itself, by name relative to it; partial files are left out."""
        with self._input_errors(folder):
            try:
                entries = self._fs.ls(self._path(folder), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return {}
        files = {entry["name"].rsplit("/", 1)[-1]: entry["size"] for entry in entries if entry["type"] == "file"}
        return {name: size for name, size in files.items() if not name.endswith(PARTIAL)}

    def folders(self) -> list[str]:
        """The names of the folders in this folder, sorted."""
        with self._input_errors(""):
            try:
                entries = self._fs.ls(self._path(""), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in entries if entry["type"] == "directory")

    def is_empty(self) -> bool:
        """Whether no file is here or in a folder of this folder."""
        with self._input_errors(""):
            return not self._fs.find(self._path(""), maxdepth=2)

    def remove_folder(self, folder: str) -> None:
        """Remove `folder` and all in it; nothing if it is not there."""
        with self._input_errors(folder), contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._path(folder), recursive=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against a second writer, and sweep what a killed one left half written.

        Only on this machine: in a bucket a file is put whole, so that two writers of equal files do no harm.
        """
        if not self.is_local:
            yield
            return
        path = Path(self._path(""))
        with self._input_errors(""):
            path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{self.uri}: another process is writing here; wait for it, or end it.") from None
            for partial in path.rglob(f"*{PARTIAL}"):
                partial.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)

    @property
    def _fs(self) -> fsspec.AbstractFileSystem:
        return self._open_root()[0]

    def _path(self, name: str) -> str:
        return f"{self._open_root()[1].rstrip('/')}/{name}".rstrip("/")

    def _open_root(self) -> tuple[fsspec.AbstractFileSystem, str]:
        process = os.getpid()
        if process not in self._roots:
            # fsspec's own cache of file systems knows nothing of a changed AWS_ENDPOINT_URL; listings change under our
            # hands, by the workers of this very preparation.
            options = {} if self.is_local else {"use_listings_cache": False, "skip_instance_cache": True}
            self._roots[process] = fsspec.core.url_to_fs(self.uri, **options)
        return self._roots[process]

    @contextlib.contextmanager
    def _input_errors(self, name: str) -> Iterator[None]:
        place = self.locate(name) if name else self.uri
        try:
            yield
        except FileNotFoundError:
            raise InputError(f"{place}: not found.") from None
        except (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError) as error:
            raise InputError(f"{place}: {error.strerror or error}.") from None
        except (BotoCoreError, ClientError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{place}: the store answers: {reason} Check credentials and AWS_ENDPOINT_URL.") from None


def _write_and_rename(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
