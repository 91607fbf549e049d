"""ovlab.datasets.shards: what is packed comes back, always in the same bytes, and a changed byte is an error."""

import io
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ovlab.datasets.encoding import encode_label
from ovlab.datasets.shards import SCHEMA, Row, Shard, pack_shard
from ovlab.specs.errors import InputError

ROWS = [Row(f"sample {i}", bytes([i]) * 1000, bytes([255 - i]) * 50, 10 + i, 20 + i) for i in range(5)]


def open_shard(content: bytes) -> Shard:
    return Shard(pa.BufferReader(content), "shards/00007.parquet")


def test_shard_packed_rows_come_back_in_any_order() -> None:
    shard = open_shard(pack_shard(iter(ROWS)))

    assert len(shard) == 5
    assert [shard.row(i) for i in (3, 0, 4, 1, 2)] == [ROWS[i] for i in (3, 0, 4, 1, 2)]


def test_shard_is_plain_parquet_for_any_other_reader() -> None:
    table = pq.read_table(io.BytesIO(pack_shard(ROWS)))

    assert table.schema.names == ["id", "image", "label", "height", "width"]
    assert table.column("id").to_pylist() == [row.id for row in ROWS]


def test_pack_shard_twice_is_equal_to_the_byte() -> None:
    assert pack_shard(ROWS) == pack_shard(ROWS)


def test_shard_without_rows_has_length_zero() -> None:
    assert len(open_shard(pack_shard([]))) == 0


@pytest.mark.parametrize("column", ["id", "image", "label"])
def test_shard_flipped_byte_is_refused_in_its_row_only(column: str) -> None:
    content = bytearray(pack_shard(ROWS))
    value = getattr(ROWS[3], column)
    position = bytes(content).index(value if isinstance(value, bytes) else value.encode())
    content[position] ^= 1

    shard = open_shard(bytes(content))

    assert [shard.row(i) for i in (0, 1, 2, 4)] == [ROWS[i] for i in (0, 1, 2, 4)]
    with pytest.raises(InputError, match=r"00007.parquet, row 3: cannot be read .*CRC") as error:
        shard.row(3)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", pack_shard(ROWS)[:-10], pack_shard(ROWS)[:-200]])
def test_shard_truncated_file_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=r"00007.parquet: cannot be read"):
        open_shard(content)


def test_shard_other_parquet_file_is_refused() -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), buffer)

    with pytest.raises(InputError, match=r"columns \['a'\]"):
        open_shard(buffer.getvalue())


def test_row_with_unequal_sizes_does_not_decode() -> None:
    label = encode_label(np.zeros((4, 6), dtype=np.uint16), 3)
    image = encode_label(np.zeros((4, 5), dtype=np.uint16), 3)

    with pytest.raises(InputError, match=r"^x: .*\(4, 5\).*\(4, 6\)"):
        Row("x", image, label, 4, 6).decode()


def test_row_and_schema_name_the_same_columns() -> None:
    assert tuple(SCHEMA.names) == Row._fields
    assert pickle.loads(pickle.dumps(ROWS[0])) == ROWS[0]


def png(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()


def test_row_is_decoded_as_stored_whatever_its_exif_orientation() -> None:
    """Labels of published data sets are drawn on the stored pixels."""
    pixels, exif = np.arange(18, dtype=np.uint8).reshape(2, 3, 3), Image.Exif()
    exif[0x0112] = 3
    label = np.zeros((2, 3), np.uint16)

    sample = Row("one", png(pixels, exif=exif), encode_label(label, 2), 2, 3).decode()

    np.testing.assert_array_equal(sample.image, pixels)


def test_row_with_grey_of_16_bits_is_refused_and_not_read_as_white() -> None:
    grey = np.full((2, 3), 30_000, np.uint16)

    with pytest.raises(InputError, match=r"^one: photographs must have 8 bits a channel"):
        Row("one", png(grey), encode_label(np.zeros((2, 3), np.uint16), 2), 2, 3).decode()
