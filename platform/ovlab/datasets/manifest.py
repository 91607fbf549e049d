"""What a prepared split says of itself: manifest.json, and index.parquet with one line a sample.

The manifest is written last, so that where it stands, everything it names stands too.
"""

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ovlab.files.columns import int32_column, string_column
from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError

MANIFEST = "manifest.json"
INDEX = "index.parquet"
BAD_SAMPLES = "bad.jsonl"

# Raised when the same download would be packed into other samples or another layout.
PREPARATION_VERSION = 1

_SHARD_FILE = re.compile(r"shards/[0-9]+\.parquet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What is being prepared. Two preparations may share a folder only if all of this agrees.

    `source` is the kind of reader. The digests are sha256 of one name a line.
    """

    name: str
    split: str
    source: str
    preparation_version: int
    num_source_samples: int
    num_expected_samples: int
    num_samples_per_shard: int
    class_names: tuple[str, ...]
    class_names_digest: str
    sample_ids_digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardEntry:
    """One shard file: its sha256, its size, and how many samples it holds. Raises InputError for a name that
    `shard_name` does not give."""

    file: str
    sha256: str
    num_samples: int
    num_bytes: int

    def __post_init__(self) -> None:
        if not _SHARD_FILE.fullmatch(self.file):
            raise InputError(f"a shard must be named shards/<number>.parquet, got {self.file!r}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """`class_pixels` counts the pixels of each class, `num_ignored_pixels` the others. `content_digest` is over ids,
    photographs and label pixels: it stays when only the packing changes, and is what a result names as its data.
    `num_bad_samples` were left out with --skip-bad; bad.jsonl names them."""

    identity: Identity
    num_samples: int
    num_bad_samples: int
    class_pixels: tuple[int, ...]
    num_ignored_pixels: int
    content_digest: str
    index_sha256: str
    shards: tuple[ShardEntry, ...]


class IndexEntry(NamedTuple):
    """A sample without its pixels: sizes in pixels, and `encoding.sample_digest`."""

    id: str
    height: int
    width: int
    digest: str


def names_digest(names: Sequence[str]) -> str:
    """sha256 over the names, each followed by a line feed."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + b"\n")
    return digest.hexdigest()


def content_digest(entries: Sequence[IndexEntry]) -> str:
    """sha256 over ids and sample digests, in order."""
    return names_digest([f"{entry.id}\t{entry.digest}" for entry in entries])


def pack_manifest(manifest: Manifest) -> bytes:
    """The bytes of manifest.json: the manifest, and the sha256 of itself, so that a changed byte is noticed."""
    content = to_json(manifest)
    sealed = {"manifest": json.loads(content), "sha256": hashlib.sha256(content).hexdigest()}
    return (json.dumps(sealed, indent=1, sort_keys=True) + "\n").encode()


def to_json(value: Any) -> bytes:
    """A dataclass as indented JSON: stable bytes, readable by a person."""
    return (json.dumps(asdict(value), indent=1, sort_keys=True) + "\n").encode()


def identity_from_json(value: dict[str, Any]) -> Identity:
    return Identity(**{**value, "class_names": tuple(value["class_names"])})


def load_manifest(folder: Folder) -> Manifest:
    """The manifest of a prepared split. Raises InputError where there is none, or one of another layout."""
    place = folder.locate(MANIFEST)
    if MANIFEST not in folder.sizes():
        raise InputError(f"{folder}: no prepared data here (no {MANIFEST}). `ovlab data prepare` makes it.")
    content = folder.read(MANIFEST)
    with _refuse_foreign(place):
        value = json.loads(content)["manifest"]
        version = value["identity"]["preparation_version"]
    if version != PREPARATION_VERSION:
        raise InputError(f"{place}: preparation version {version}, not {PREPARATION_VERSION}. Prepare the data again.")
    with _refuse_foreign(place):
        manifest = _manifest_from_json(value)
    if pack_manifest(manifest) != content:
        raise InputError(f"{place}: damaged (its sha256 is not that of its content). Prepare the data again.")
    return manifest


@contextlib.contextmanager
def _refuse_foreign(place: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{place}: not a manifest of prepared data ({error!r}). Prepare the data again.") from None


def _manifest_from_json(value: dict[str, Any]) -> Manifest:
    identity = identity_from_json(value["identity"])
    shards = tuple(ShardEntry(**shard) for shard in value["shards"])
    return Manifest(**{**value, "identity": identity, "class_pixels": tuple(value["class_pixels"]), "shards": shards})


def pack_index(entries: Sequence[IndexEntry]) -> bytes:
    """The bytes of index.parquet."""
    columns = [
        string_column([entry.id for entry in entries]),
        int32_column([entry.height for entry in entries]),
        int32_column([entry.width for entry in entries]),
        string_column([entry.digest for entry in entries]),
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, names=list(IndexEntry._fields)), buffer, compression="zstd", store_schema=False)
    return buffer.getvalue()


def load_index(folder: Folder, manifest: Manifest) -> list[IndexEntry]:
    """One entry a sample, in the order of the shards. Raises InputError if the file is not the manifest's."""
    content = folder.read(INDEX)
    if hashlib.sha256(content).hexdigest() != manifest.index_sha256:
        raise InputError(f"{folder.locate(INDEX)}: damaged (its sha256 is not the manifest's). Prepare the data again.")
    table = pq.ParquetFile(pa.BufferReader(content)).read()
    return [IndexEntry(*row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)]
