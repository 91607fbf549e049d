"""Per-image sparse confusion counts as Parquet: one row an image, so that an image without a counted pixel stays one.

    id: string    gt, pred: list of uint16    count: list of int64

Row i, position k: `count` pixels of image `id` are of class `gt` and were predicted as `pred`.
"""

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ovlab.columns import list_column, string_column
from ovlab.metrics.counting import SparseCounts
from ovlab.metrics.evaluation_counts import ImageCounts
from ovlab.results.record import DamagedError

_DTYPES: dict[str, type[np.generic]] = {"gt": np.uint16, "pred": np.uint16, "count": np.int64}


def pack_counts(images: Sequence[ImageCounts]) -> bytes:
    """The bytes of one file, with a checksum on every page."""
    lists = [list_column([getattr(image.counts, name) for image in images], dtype) for name, dtype in _DTYPES.items()]
    table = pa.table([string_column([image.id for image in images]), *lists], names=["id", *_DTYPES])
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", store_schema=False, write_page_checksum=True)
    return buffer.getvalue()


def unpack_counts(content: bytes, *, place: str) -> list[ImageCounts]:
    """The very arrays that were packed. Raises DamagedError, naming `place`, for other bytes."""
    try:
        table = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True).read()
        _require_type(table, "id", pa.string())
        columns = [_arrays(table, name, dtype) for name, dtype in _DTYPES.items()]
        ids = table.column("id").to_pylist()
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedError(f"{place}: damaged, no counts can be read ({reason}).") from None
    return [ImageCounts(name, SparseCounts(*arrays)) for name, *arrays in zip(ids, *columns, strict=True)]


def _arrays(table: pa.Table, name: str, dtype: type[np.generic]) -> list[np.ndarray]:
    _require_type(table, name, pa.list_(pa.from_numpy_dtype(dtype)))
    column = table.column(name).combine_chunks()
    values, offsets = _numbers(column.values, dtype), _numbers(column.offsets, np.int32)
    return [values[start:stop] for start, stop in pairwise(offsets)]


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
