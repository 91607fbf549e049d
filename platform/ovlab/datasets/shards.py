"""One shard: some samples of a split in one Parquet file.

Columns: id, image (the photograph's bytes), label (PNG, see encoding.py), height, width. Every sample is a row group
of its own, so that one sample is read without its neighbours, and every page carries a checksum, so that a byte
changed on disk is an error and never a slightly different training set. The bytes of a shard depend on its samples
and on the versions of pyarrow and Pillow, on nothing else.
"""

import contextlib
import io
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ovlab.datasets.encoding import decode_label
from ovlab.datasets.photograph import decode_photograph
from ovlab.datasets.sample import Sample
from ovlab.files.columns import binary_column, int32_column, string_column
from ovlab.specs.errors import InputError, StoreError
from ovlab.specs.wording import one_line

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("image", pa.binary(), nullable=False),
        pa.field("label", pa.binary(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
    ]
)


class Row(NamedTuple):
    """A sample as it is stored. height and width are those of the label, in pixels."""

    id: str
    image: bytes
    label: bytes
    height: int
    width: int

    def decode(self) -> Sample:
        """The sample itself. Raises InputError naming it when image and label are not of one size."""
        image = decode_photograph(self.image, self.id, "stored").pixels
        label = decode_label(self.label, self.id)
        if image.shape[:2] != label.shape:
            raise InputError(f"{self.id}: the image is {image.shape[:2]}, its label {label.shape}; they must be equal.")
        return Sample(id=self.id, image=image, label=label)


def shard_name(index: int) -> str:
    return f"shards/{index:05d}.parquet"


def pack_shard(rows: Iterable[Row]) -> bytes:
    """The bytes of a shard with these rows, in this order; `rows` is consumed one at a time."""
    buffer = io.BytesIO()
    # Photographs and PNGs are compressed already, and minima and maxima of image bytes serve nobody.
    with pq.ParquetWriter(
        buffer,
        SCHEMA,
        version="2.6",
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        store_schema=False,
        write_page_checksum=True,
    ) as writer:
        for row in rows:
            columns = [
                string_column([row.id]),
                binary_column([row.image]),
                binary_column([row.label]),
                int32_column([row.height]),
                int32_column([row.width]),
            ]
            writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
    return buffer.getvalue()


class Shard:
    """An open shard. Reading a row is safe from several threads."""

    def __init__(self, source: io.IOBase | pa.NativeFile, place: str) -> None:
        """`source` is seekable, `place` its address for messages. Raises InputError if damaged."""
        self._place = place
        self._lock = threading.Lock()
        with _readable(place):
            self._file = pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=True)
            if self._file.schema_arrow.names != SCHEMA.names:
                raise InputError(f"{place}: columns {self._file.schema_arrow.names}; a shard has {SCHEMA.names}.")

    def __len__(self) -> int:
        return self._file.num_row_groups

    def row(self, index: int) -> Row:
        """Row `index`. Raises InputError naming the shard and the row if a checksum does not hold."""
        with _readable(f"{self._place}, row {index}"), self._lock:
            table = self._file.read_row_group(index, use_threads=False)
            return Row(*(column[0].as_py() for column in table.columns))


@contextlib.contextmanager
def _readable(place: str) -> Iterator[None]:
    """Turn what pyarrow raises on broken bytes into one line that names the place."""
    try:
        yield
    except StoreError:  # which says nothing of the bytes
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError, IndexError) as error:
        raise InputError(
            f"{place}: cannot be read ({one_line(error)}). `ovlab data verify` says what is damaged."
        ) from None
