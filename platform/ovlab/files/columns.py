"""Arrow columns made from their buffers.

`pyarrow.array` imports pandas, which costs every worker process seconds and some 60 MB before its first image.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def binary_column(values: Sequence[bytes]) -> pa.Array:
    """A column of bytes; all of them together below 2 GiB."""
    return _variable_length(pa.binary(), values)


def string_column(values: Sequence[str]) -> pa.Array:
    return _variable_length(pa.string(), [value.encode() for value in values])


def int32_column(values: Sequence[int]) -> pa.Array:
    return pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(np.asarray(values, dtype=np.int32))])


def number_column(values: np.ndarray) -> pa.Array:
    """A column of the array's own type."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def list_column(lists: Sequence[np.ndarray], dtype: type[np.generic]) -> pa.Array:
    """A column whose every cell is a list of numbers of one type; all of them together below 2 ** 31."""
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int32)
    values = number_column(np.concatenate([np.empty(0, dtype), *lists]).astype(dtype, casting="no"))
    return pa.Array.from_buffers(pa.list_(values.type), len(lists), [None, pa.py_buffer(offsets)], children=[values])


def _variable_length(kind: pa.DataType, values: Sequence[bytes]) -> pa.Array:
    offsets = np.cumsum([0, *map(len, values)])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"a column holds at most 2 GiB, got {offsets[-1]} bytes")
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)
