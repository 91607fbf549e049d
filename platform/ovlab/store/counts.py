"""Per-image sparse confusion counts as Parquet: one row an image, so that an image without a counted pixel stays one.

    id: string    gt, pred: list of uint16    count: list of int64

Row i, position k: `count` pixels of image `id` are of class `gt` and were predicted as `pred`. Of each other kind that
was counted (`ovlab.specs.scores.Kind`), such as boundary, there are four columns more:

    boundary_label: list of uint16    boundary_hits, boundary_gt, boundary_pred: list of int64

Row i, position k: so many pixels of class `boundary_label` are right, in the ground truth, in the prediction.

Beside them stands the sha256 of the numbers themselves: the checksums of pages know nothing of what lies between. In a
store the evaluation that they are of stands there too, since those of another on the same images look alike.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64, Integer, UInt16

from ovlab.files.columns import list_column, string_column
from ovlab.metrics.counting import ClassCounts, SparseCounts
from ovlab.metrics.evaluation_counts import ImageCounts
from ovlab.specs.scores import Kind
from ovlab.store.record import DamagedError

_Dtypes = Mapping[str, type[np.generic]]
_DIGEST, _EVALUATION = "sha256", "evaluation"
_DTYPES: _Dtypes = {"gt": np.uint16, "pred": np.uint16, "count": np.int64}
_KINDS: tuple[Kind, ...] = get_args(Kind)


def pack_counts(images: Sequence[ImageCounts], evaluation: str | None = None) -> bytes:
    """The bytes of one file, with a checksum on every page, `counts_digest`, and the fingerprint of the evaluation."""
    columns = {"id": string_column([image.id for image in images])}
    for name, dtype in _DTYPES.items():
        columns[name] = list_column([getattr(image.counts, name) for image in images], dtype)
    for kind in _KINDS:
        beside = [image.counts.beside[kind] for image in images if kind in image.counts.beside]
        if beside:
            for (name, dtype), lists in zip(_class_dtypes(kind).items(), zip(*beside, strict=True), strict=True):
                columns[name] = list_column(lists, dtype)
    table = pa.table(columns)
    buffer = io.BytesIO()
    with pq.ParquetWriter(
        buffer, table.schema, compression="zstd", store_schema=False, write_page_checksum=True
    ) as writer:
        writer.write_table(table)
        named = {} if evaluation is None else {_EVALUATION: evaluation}
        writer.add_key_value_metadata({_DIGEST: counts_digest(_counts_in(table)), **named})
    return buffer.getvalue()


class ClassColumns(NamedTuple):
    """The class counts of many images, one after the other, as in CountColumns."""

    lengths: Integer[np.ndarray, "I"]
    counts: ClassCounts

    def images(self) -> list[ClassCounts]:
        return [ClassCounts(*(column[part] for column in self.counts)) for part in _parts(self.lengths)]


_NOTHING: Mapping[Kind, ClassColumns] = {}


class CountColumns(NamedTuple):
    """The sparse counts of many images, one after the other: the first `lengths[0]` entries of `gt`, `pred` and `count`
    are those of image `ids[0]`, and so on. `beside`: what else was counted of all of them."""

    ids: tuple[str, ...]
    lengths: Integer[np.ndarray, "I"]
    gt: UInt16[np.ndarray, "K"]
    pred: UInt16[np.ndarray, "K"]
    count: Int64[np.ndarray, "K"]  # type: ignore[assignment]  # hides tuple.count, which nobody needs here
    beside: Mapping[Kind, ClassColumns] = _NOTHING

    def images(self) -> list[ImageCounts]:
        """Image by image."""
        beside = {kind: columns.images() for kind, columns in self.beside.items()}
        return [
            ImageCounts(
                name,
                SparseCounts(
                    self.gt[part],
                    self.pred[part],
                    self.count[part],
                    {kind: counts[row] for kind, counts in beside.items()},
                ),
            )
            for row, (name, part) in enumerate(zip(self.ids, _parts(self.lengths), strict=True))
        ]


def unpack_counts(content: bytes, *, place: str) -> list[ImageCounts]:
    """The very arrays that were packed. Errors as `unpack_columns`."""
    return unpack_columns(content, place=place).images()


def unpack_columns(content: bytes, *, place: str, evaluation: str | None = None) -> CountColumns:
    """The very numbers that were packed. Raises DamagedError, naming `place`, for other bytes, and for the counts of
    another evaluation than is asked for."""
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        counts = _counts_in(file.read(use_threads=False))  # a shard is small: threads cost more than they save
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedError(f"{place}: damaged, no counts can be read ({reason}).") from None
    # Files of before have neither.
    said = file.metadata.metadata or {}
    digest, named = said.get(_DIGEST.encode()), said.get(_EVALUATION.encode())
    if digest is not None and digest != counts_digest(counts).encode():
        raise DamagedError(f"{place}: damaged (its sha256 is not that of its counts).")
    if None not in (evaluation, named) and named != str(evaluation).encode():
        raise DamagedError(f"{place}: holds the counts of another evaluation.")
    return counts


def counts_digest(counts: CountColumns) -> str:
    """sha256 over ids and numbers, as 64 hexadecimal digits: equal for equal counts, however they are packed."""
    digest = hashlib.sha256(json.dumps(counts.ids).encode())
    parts: list[tuple[str, Sequence[np.ndarray]]] = [("", (counts.lengths, counts.gt, counts.pred, counts.count))]
    # Boundaries bear no name: there was no other kind when the first of them were written.
    parts += [
        ("" if kind == "boundary" else kind, (counts.beside[kind].lengths, *counts.beside[kind].counts))
        for kind in _KINDS
        if kind in counts.beside
    ]
    for name, columns in parts:
        digest.update(name.encode())
        for column in columns:
            digest.update(f"{len(column)} ".encode())
            digest.update(np.ascontiguousarray(column, np.int64).data)
    return digest.hexdigest()


def concatenated(parts: Sequence[CountColumns]) -> CountColumns:
    """The columns of all parts as one."""
    empty = CountColumns(
        (), np.empty(0, np.int32), np.empty(0, np.uint16), np.empty(0, np.uint16), np.empty(0, np.int64)
    )
    ids, *columns, beside = zip(empty, *parts, strict=True)
    lengths, gt, pred, count = map(np.concatenate, columns)
    known = {
        kind: _concatenated_classes([part[kind] for part in beside[1:]])
        for kind in _KINDS
        if parts and all(kind in part for part in beside[1:])
    }
    return CountColumns(tuple(chain.from_iterable(ids)), lengths, gt, pred, count, known)


def _concatenated_classes(parts: Sequence[ClassColumns]) -> ClassColumns:
    columns = zip(*(part.counts for part in parts), strict=True)
    lengths = np.concatenate([part.lengths for part in parts])
    return ClassColumns(lengths, ClassCounts(*map(np.concatenate, columns)))


def _class_dtypes(kind: Kind) -> _Dtypes:
    return {f"{kind}_{name}": np.uint16 if name == "label" else np.int64 for name in ClassCounts._fields}


def _parts(lengths: Integer[np.ndarray, "I"]) -> Iterator[slice]:
    """Where each image is."""
    ends = np.cumsum(lengths)
    return map(slice, ends - lengths, ends)


def _counts_in(table: pa.Table) -> CountColumns:
    _require_type(table, "id", pa.string())
    lengths, (gt, pred, count) = _columns(table, _DTYPES)
    beside: dict[Kind, ClassColumns] = {}
    for kind in _KINDS:
        if f"{kind}_label" in table.column_names:
            class_lengths, columns = _columns(table, _class_dtypes(kind))
            beside[kind] = ClassColumns(class_lengths, ClassCounts(*columns))
    return CountColumns(tuple(table.column("id").to_pylist()), lengths, gt, pred, count, beside)


def _columns(table: pa.Table, dtypes: _Dtypes) -> tuple[Integer[np.ndarray, "I"], list[np.ndarray]]:
    """How long each list is, in all columns alike, and the values of each column."""
    lists = [_lists(table, name, dtype) for name, dtype in dtypes.items()]
    lengths, *others = (np.diff(offsets) for offsets, _ in lists)
    if any((other != lengths).any() for other in others):
        raise ValueError("its lists are of different lengths")
    return lengths, [values for _, values in lists]


def _lists(table: pa.Table, name: str, dtype: type[np.generic]) -> tuple[np.ndarray, np.ndarray]:
    """Offsets, and the values of all lists of a column."""
    _require_type(table, name, pa.list_(pa.from_numpy_dtype(dtype)))
    column = table.column(name).combine_chunks()
    offsets = _numbers(column.offsets, np.int32)
    return offsets, _numbers(column.values, dtype)[offsets[0] : offsets[-1]]


def _numbers(array: pa.Array, dtype: type[np.generic]) -> np.ndarray:
    """Like to_numpy, which imports pandas: seconds and some 60 MB for every process."""
    if not len(array):
        return np.empty(0, dtype)
    start = array.offset * np.dtype(dtype).itemsize
    return np.frombuffer(array.buffers()[1], dtype, count=len(array), offset=start)


def _require_type(table: pa.Table, name: str, kind: pa.DataType) -> None:
    found = table.column(name).type
    # By text, because the name of a list's item differs between writers.
    if str(found).replace("element:", "item:") != str(kind).replace("element:", "item:"):
        raise TypeError(f"the column {name} is {found}, not {kind}")
