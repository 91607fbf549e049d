"""Per-image sparse confusion counts as Parquet: one row an image, so that an image without a counted pixel stays one.

    id: string    gt, pred: list of uint16    count: list of int64

Row i, position k: `count` pixels of image `id` are of class `gt` and were predicted as `pred`.
"""

import io
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64, Integer, UInt16

from ovlab.files.columns import list_column, string_column
from ovlab.metrics.counting import SparseCounts
from ovlab.metrics.evaluation_counts import ImageCounts
from ovlab.store.record import DamagedError

_DTYPES: dict[str, type[np.generic]] = {"gt": np.uint16, "pred": np.uint16, "count": np.int64}


def pack_counts(images: Sequence[ImageCounts]) -> bytes:
    """The bytes of one file, with a checksum on every page."""
    lists = [list_column([getattr(image.counts, name) for image in images], dtype) for name, dtype in _DTYPES.items()]
    table = pa.table([string_column([image.id for image in images]), *lists], names=["id", *_DTYPES])
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", store_schema=False, write_page_checksum=True)
    return buffer.getvalue()


class CountColumns(NamedTuple):
    """The sparse counts of many images, one after the other: the first `lengths[0]` entries of `gt`, `pred` and `count`
    are those of image `ids[0]`, and so on."""

    ids: tuple[str, ...]
    lengths: Integer[np.ndarray, "I"]
    gt: UInt16[np.ndarray, "K"]
    pred: UInt16[np.ndarray, "K"]
    count: Int64[np.ndarray, "K"]  # type: ignore[assignment]  # hides tuple.count, which nobody needs here

    def images(self) -> list[ImageCounts]:
        """Image by image."""
        ends = np.cumsum(self.lengths)
        return [
            ImageCounts(name, SparseCounts(self.gt[start:end], self.pred[start:end], self.count[start:end]))
            for name, start, end in zip(self.ids, ends - self.lengths, ends, strict=True)
        ]


def unpack_counts(content: bytes, *, place: str) -> list[ImageCounts]:
    """The very arrays that were packed. Errors as `unpack_columns`."""
    return unpack_columns(content, place=place).images()


def unpack_columns(content: bytes, *, place: str) -> CountColumns:
    """The very numbers that were packed. Raises DamagedError, naming `place`, for other bytes."""
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        table = file.read(use_threads=False)  # a shard is small: threads cost more than they save
        _require_type(table, "id", pa.string())
        lists = {name: _lists(table, name, dtype) for name, dtype in _DTYPES.items()}
        lengths, *others = (np.diff(offsets) for offsets, _ in lists.values())
        if any((other != lengths).any() for other in others):
            raise ValueError("its lists are of different lengths")
        ids = tuple(table.column("id").to_pylist())
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedError(f"{place}: damaged, no counts can be read ({reason}).") from None
    return CountColumns(ids, lengths, *(values for _, values in lists.values()))


def concatenated(parts: Sequence[CountColumns]) -> CountColumns:
    """The columns of all parts as one."""
    empty = CountColumns((), np.empty(0, np.int32), *(np.empty(0, dtype) for dtype in _DTYPES.values()))
    ids, *columns = zip(empty, *parts, strict=True)
    return CountColumns(tuple(chain.from_iterable(ids)), *map(np.concatenate, columns))


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
