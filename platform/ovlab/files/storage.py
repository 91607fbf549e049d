"""A folder of files on this machine or in an S3 bucket, where a file is there whole or not at all."""

import contextlib
import errno
import io
import logging
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from ovlab.files.inside import inside, require_inside
from ovlab.files.lock import locked
from ovlab.files.sealed import DamagedError
from ovlab.files.whole_file import PARTIAL, create, remove_partials, writing
from ovlab.specs.errors import InputError, StoreError
from ovlab.specs.wording import disk_fault, one_line, shown

# There while a process holds the folder, or was killed in it; no name in the folder otherwise.
LOCK = ".lock"
# Damage of one file, where others may be read.
_OF_ONE_FILE = (errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EACCES)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Folder:
    """`uri` is a path, file:///path or s3://bucket/prefix. Every name below is relative to it, with forward slashes.

    A missing file or bucket and refused access raise InputError naming the place, a name that leads out of the folder,
    by itself or by a link, DamagedError, and a disk or a server that does not do what it is there for StoreError.
    `ovlab.files.bucket` says for how long a server is asked.
    """

    uri: str
    # The file system and the path in it, by process: connections and event loops survive neither pickling nor a fork.
    _roots: dict[int, tuple[fsspec.AbstractFileSystem, str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    # Of the folder on this machine, once it was there.
    _inode: list[int] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        scheme, separator, rest = self.uri.partition("://")
        is_known = not separator or scheme in ("file", "s3")
        if not self.uri or not is_known or (scheme == "s3" and rest.partition("/")[0] == ""):
            raise InputError(f"{shown(self.uri)!r}: not a place for data. Give a folder, or s3://bucket/prefix.")
        if scheme == "s3" and "@" in rest.partition("/")[0]:
            raise InputError(
                f"{shown(self.uri)}: was given with a name or a password, which would be stored and shown with every "
                "result. Give them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            )

    def __reduce__(self) -> tuple[type["Folder"], tuple[str]]:
        # The same place in a process with another current folder.
        return Folder, (self.uri if "://" in self.uri else os.path.realpath(self.uri),)

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
        names = list(names)
        found = self.read_existing(names)
        for name in names:
            if name not in found:
                raise InputError(f"{self.locate(name)}: not found.")
        return [found[name] for name in names]

    def read_existing(self, names: Iterable[str]) -> dict[str, bytes]:
        """Those of the files that are there, by name; from a bucket, several at a time.

        One whose name leads out of the folder, and one that cannot be read because of what it is, as a folder or a link
        in a circle, is left out with a warning.
        """
        paths = {}
        for name in names:
            try:
                paths[self._path(name)] = name
            except DamagedError as error:
                _log.warning("%s", error)
        if not paths:
            return {}
        with self._input_errors(""):
            answers = self._fs.cat(list(paths), on_error="return")
        found = {}
        for path, answer in answers.items():
            if isinstance(answer, bytes):
                found[paths[path]] = answer
            elif isinstance(answer, OSError) and answer.errno in _OF_ONE_FILE and self.is_local:
                _log.warning("%s: %s. It is left out.", self.locate(paths[path]), answer.strerror)
            elif not isinstance(answer, FileNotFoundError):
                with self._input_errors(paths[path]):
                    raise answer
        return found

    def open(self, name: str, num_bytes: int) -> io.IOBase | pa.NativeFile:
        """A seekable file of known size, read in exactly the ranges that are asked for."""
        with self._input_errors(name):
            if self.is_local:
                return pa.OSFile(self._path(name), "rb")
            self._path(name)
        return _Ranges(self, name, num_bytes)

    def write(self, name: str, content: bytes) -> None:
        """Put the whole file there at once, over one of the same name."""
        with self._input_errors(name):
            if self.is_local:
                self.make()
                with writing(Path(self._path(name))) as partial:
                    partial.write_bytes(content)
            else:
                self._fs.pipe_file(self._path(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """Put the whole file there unless one of that name exists. Says whether this call did.

        Of several writers at once, one gets True. A bucket decides by the header If-None-Match, as S3 knows it since
        2024; a store that passes over it lets the last writer win, so read back what is there. After an answer that
        was lost it is False.
        """
        with self._input_errors(name):
            if self.is_local:
                self.make()
                return create(Path(self._path(name)), content)
            return _put_new(self._fs, self._path(name), content)

    def upload(self, source: Path, name: str) -> None:
        """Copy a file of this machine to there at once, over one of the same name; it need not fit into memory."""
        with self._input_errors(name):
            if self.is_local:
                self.make()
                with writing(Path(self._path(name))) as partial:
                    shutil.copyfile(source, partial)
            else:
                self._fs.put_file(str(source), self._path(name))

    def download(self, name: str, target: Path) -> None:
        """Copy a file to `target` on this machine. What is at `target` meanwhile, or after an error, is not whole."""
        with self._input_errors(name):
            self._fs.get_file(self._path(name), str(target))

    def make(self) -> None:
        """Make the folder on this machine, unless it is there or was: from now on it is missed. Writing does it."""
        with self._input_errors(""):
            if self.is_local and not self._inode:
                Path(self._path("")).mkdir(parents=True, exist_ok=True)
            self._path("")

    def remove(self, name: str) -> None:
        """Remove a file; nothing if it is not there."""
        with self._input_errors(name), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Bytes of each file of `folder` itself, by name relative to it; partial files and locks are left out."""
        with self._input_errors(folder):
            try:
                entries = self._fs.ls(self._path(folder), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return {}
        # A key that ends in "/" is how consoles and Ray mark a folder in a bucket; it is no file.
        files = {entry["name"].rsplit("/", 1)[-1]: entry["size"] for entry in entries if _is_file(entry)}
        return {name: size for name, size in files.items() if name != LOCK and not name.endswith(PARTIAL)}

    def folders(self, folder: str = "") -> list[str]:
        """The names of the folders in `folder`, sorted."""
        with self._input_errors(folder):
            try:
                entries = self._fs.ls(self._path(folder), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in entries if entry["type"] == "directory")

    def is_empty(self) -> bool:
        """Whether no file is here or in a folder of this folder."""
        # `find` of fsspec passes over what it cannot list.
        with self._input_errors(""):
            try:
                entries = self._fs.ls(self._path(""), detail=True)
            except FileNotFoundError:
                return True
        if any(_is_file(entry) and entry["name"] != self._path(LOCK) for entry in entries):
            return False
        return not any(self.sizes(folder) for folder in self.folders())

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
        with locked(inside(path, LOCK), self.uri):
            remove_partials(path)
            try:
                yield
            finally:
                (path / LOCK).unlink(missing_ok=True)

    def _read_range(self, name: str, start: int, end: int) -> bytes:
        with self._input_errors(name):
            return self._fs.cat_file(self._path(name), start=start, end=end)

    @property
    def _fs(self) -> fsspec.AbstractFileSystem:
        return self._open_root()[0]

    def _path(self, name: str) -> str:
        root = self._open_root()[1]
        if self.is_local:
            inside(Path(root), name)
        else:
            require_inside(root, name)
        return f"{root.rstrip('/')}/{name}".rstrip("/")

    def _open_root(self) -> tuple[fsspec.AbstractFileSystem, str]:
        process = os.getpid()
        if process not in self._roots:
            self._roots[process] = fsspec.core.url_to_fs(self.uri) if self.is_local else self._bucket_root()
        file_system, path = self._roots[process]
        if self.is_local:
            self._require_same(path)
        return file_system, path

    def _require_same(self, path: str) -> None:
        """Where a folder was unmounted or removed, its files would be missing without a word, and a new one of its name
        would take what nobody finds again."""
        try:
            status = os.stat(path)
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        except FileNotFoundError:
            found = []
        except NotADirectoryError as error:
            # Listings pass over what is no folder: it would be an empty one.
            raise InputError(disk_fault(error, self.uri)) from None
        else:
            found = [status.st_ino]
        if self._inode not in ([], found):
            raise StoreError(
                f"{self.uri}: is gone, or another folder is there since this command began. See whether it is mounted; "
                f"the same command continues."
            )
        self._inode[:] = found

    def _bucket_root(self) -> tuple[fsspec.AbstractFileSystem, str]:
        # Half a second, which a store on this machine does not ask for.
        from ovlab.files.bucket import open_bucket

        return open_bucket(self.uri)

    @contextlib.contextmanager
    def _input_errors(self, name: str) -> Iterator[None]:
        place = self.locate(name) if name else self.uri
        try:
            yield
        except FileNotFoundError:
            self._open_root()  # where the whole folder is gone, that is what is wrong
            raise InputError(f"{place}: not found.") from None
        except (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError) as error:
            raise InputError(disk_fault(error, place)) from None
        except (BotoCoreError, ClientError) as error:
            raise InputError(
                f"{place}: the store answers: {one_line(error)} Check credentials and AWS_ENDPOINT_URL."
            ) from None
        except StoreError:
            raise
        except OSError as error:
            if self.is_local:
                raise StoreError(disk_fault(error, place)) from error
            reason = one_line(error.__cause__ or error)
            raise StoreError(f"{place}: the store answers: {reason}. Check it; the same command continues.") from error


class _Ranges(io.RawIOBase):
    """A file in a bucket, whose every read is one request. That of fsspec lets the errors of each library through."""

    def __init__(self, folder: Folder, name: str, num_bytes: int) -> None:
        self._folder, self._name, self._num_bytes, self._position = folder, name, num_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._num_bytes}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._num_bytes)
        if end <= self._position:
            return 0
        content = self._folder._read_range(self._name, self._position, end)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def _is_file(entry: Mapping[str, Any]) -> bool:
    return entry["type"] == "file" and not entry["name"].endswith("/")


def _put_new(file_system: fsspec.AbstractFileSystem, path: str, content: bytes) -> bool:
    try:
        file_system.pipe_file(path, content, mode="create")
    except FileExistsError:
        return False
    except OSError as error:
        # A server that knows no If-None-Match says so, or passes over it.
        if error.errno != errno.ENOSYS:
            raise
        if file_system.exists(path):
            return False
        file_system.pipe_file(path, content)
    return True
