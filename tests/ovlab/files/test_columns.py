"""ovlab.files.columns: the same columns as pyarrow's own constructor, without pandas."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from ovlab.files.columns import binary_column, int32_column, list_column, number_column, string_column


@pytest.mark.parametrize("count", [0, 1, 5])
def test_columns_any_length_equal_those_of_pyarrow(count: int) -> None:
    texts = [f"é{'x' * i}" for i in range(count)]

    assert binary_column([t.encode() for t in texts]) == pa.array([t.encode() for t in texts], pa.binary())
    assert string_column(texts) == pa.array(texts, pa.string())
    assert int32_column(range(count)) == pa.array(range(count), pa.int32())
    for column in (binary_column([b""] * count), string_column(texts), int32_column(np.arange(count).tolist())):
        column.validate(full=True)


@pytest.mark.parametrize("dtype", [np.uint16, np.int64])
def test_list_column_with_empty_lists_equals_that_of_pyarrow(dtype: type[np.generic]) -> None:
    kind = pa.from_numpy_dtype(dtype)
    for lists in ([], [[]], [[1, 2], [], [65535]]):
        column = list_column([np.array(values, dtype) for values in lists], dtype)
        column.validate(full=True)
        assert column == pa.array(lists, pa.list_(kind))
    assert number_column(np.array([3, 1], dtype)) == pa.array([3, 1], kind)


def test_packing_and_reading_a_shard_imports_no_pandas() -> None:
    program = (
        "import sys, pyarrow\n"
        "from ovlab.datasets.shards import *\n"
        "content = pack_shard([Row('a', b'image', b'label', 1, 2)])\n"
        "print(Shard(pyarrow.BufferReader(content), 'x').row(0).image, 'pandas' in sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert found.split() == ["b'image'", "False"]
