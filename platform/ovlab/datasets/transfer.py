"""A published file to this machine: begun again where it broke off, held against its checksum, whole or not at all.

NAME.part         what came so far, and in NAME.part.json of which version of the file it is
NAME              the file, once its checksum is right
NAME.sha256       written last: the sha256 that it had, in the form of sha256sum; a file that has it is done with

The receipt alone says that a file is done with, so that an archive may be removed when it is unpacked.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import requests

from ovlab.datasets.published_file import PublishedFile
from ovlab.files.whole_file import write_text
from ovlab.specs.errors import WorkError
from ovlab.specs.wording import one_line

# Seconds without a byte after which a connection counts as broken.
_SILENCE = 30.0
# How often a transfer that breaks off is taken up again, as long as something came in between.
_TRIES = 20
_CHUNK = 1 << 20


class Got(NamedTuple):
    """A file that is done with. `was_there`: before this call."""

    sha256: str
    was_there: bool


def get(file: PublishedFile, folder: Path, progress: Callable[[int, int], object]) -> Got:
    """Fetch `file` into `folder`, unpack it where it is an archive, and write the receipt. What an earlier call has of
    it is not fetched again. `progress` is told the bytes that are there, and how many there will be, 0 if not known.

    Raises WorkError for a server that cannot be reached or does not answer with the file, and for another checksum.
    """
    path = (folder if file.is_archive else folder / file.into) / file.name
    receipt = path.with_name(f"{path.name}.sha256")
    if receipt.exists():
        return Got(receipt.read_text(encoding="utf-8").split()[0], True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        part = path.with_name(f"{path.name}.part")
        _fetch(file, part, progress)
        _require_sound(file, part)
        part.replace(path)
        _version_of(part).unlink(missing_ok=True)
    sha256 = _digest("sha256", path)
    if file.is_archive:
        unpack(path, folder / file.into)
    write_text(receipt, f"{sha256}  {path.name}\n")
    return Got(sha256, False)


def unpack(archive: Path, folder: Path) -> None:
    """Into `folder`, and nowhere else. Raises WorkError for what is no archive."""
    folder.mkdir(parents=True, exist_ok=True)
    # Of a zip file, the names that lead out of the folder are passed over by itself.
    try:
        shutil.unpack_archive(archive, folder, filter="data" if archive.suffix == ".tar" else None)
    except (shutil.ReadError, tarfile.TarError, EOFError, ValueError) as error:
        raise WorkError(
            f"{archive}: cannot be unpacked ({one_line(error)}); remove it, and it is fetched anew."
        ) from None


def _fetch(file: PublishedFile, part: Path, progress: Callable[[int, int], object]) -> None:
    """Until `part` has all bytes."""
    for number in range(1, _TRIES + 1):
        before = _size(part)
        try:
            if _go_on(file, part, progress):
                return
            reason = "the server closed the connection"
        except requests.RequestException as error:
            reason = _reason(error)
        if number == _TRIES or _size(part) == before:
            there = f"{_size(part) / 1e6:,.1f} MB of it are in {part}"
            raise WorkError(f"{file.url}: {reason}. {there}; the same command goes on there.")


def _reason(error: requests.RequestException) -> str:
    match error:
        case requests.HTTPError(response=requests.Response() as answer):
            return f"the server answers {answer.status_code} {answer.reason}"
        case requests.Timeout():
            return f"the server says nothing for {_SILENCE:.0f} s"
        case requests.ConnectionError() | requests.exceptions.ChunkedEncodingError():
            return "the server cannot be reached, or closed the connection"
    return one_line(error)


def _go_on(file: PublishedFile, part: Path, progress: Callable[[int, int], object]) -> bool:
    """Ask for what is missing, and append it; whether all is there. Another version of the file begins anew."""
    done = _size(part)
    headers = {"Accept-Encoding": "identity"}
    version = _read_version(part)
    if done and version:
        headers |= {"Range": f"bytes={done}-", "If-Range": version}
    with requests.get(file.url, headers=headers, stream=True, timeout=_SILENCE) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return answer.headers.get("Content-Range") == f"bytes */{done}"
        answer.raise_for_status()
        goes_on = answer.status_code == requests.codes.partial_content
        done = done if goes_on else 0
        left = answer.headers.get("Content-Length")
        total = 0 if left is None else done + int(left)
        tag = answer.headers.get("ETag", "")
        # A weak one says that the meaning is the same, not that the bytes are.
        version = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
        write_text(_version_of(part), json.dumps({"url": file.url, "version": version}) + "\n")
        answer.raw.enforce_content_length = False  # otherwise what came of a chunk is lost with the connection
        with part.open("ab" if goes_on else "wb") as out:
            progress(done, total)
            for chunk in answer.iter_content(_CHUNK):
                out.write(chunk)
                done += len(chunk)
                progress(done, total)
            out.flush()
            os.fsync(out.fileno())
    return done >= total


def _require_sound(file: PublishedFile, part: Path) -> None:
    """Raises WorkError where it is not what was published, and removes it."""
    problem = None
    if file.num_bytes is not None and _size(part) != file.num_bytes:
        problem = f"has {_size(part):,} bytes, published are {file.num_bytes:,}"
    elif file.checksum is not None:
        kind, _, published = file.checksum.partition(":")
        found = _digest(kind, part)
        problem = None if found == published else f"the {kind} is {found}, published is {published}"
    if problem is not None:
        part.unlink()
        raise WorkError(f"{file.url}: {problem}. What came is removed; the same command fetches it anew.")


def _digest(kind: str, path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, kind).hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _version_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_version(part: Path) -> str:
    """By what the server knows the version that `part` is of; "" where that is not known."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(_version_of(part).read_text(encoding="utf-8"))["version"])
    return ""
