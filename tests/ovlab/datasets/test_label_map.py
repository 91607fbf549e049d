import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.encoding import decode_label
from ovlab.datasets.label_map import (
    lookup_table,
    read_8_bit_map,
    read_colour_map,
    read_index_map,
    refuse_other_size,
    to_train_ids,
)
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError


def test_index_map_of_a_palette_png_is_its_indices(tmp_path: Path) -> None:
    indices = np.array([[0, 7], [255, 20]], dtype=np.uint8)
    image = Image.fromarray(indices)
    image.putpalette([value % 256 for value in range(7, 7 + 768)])
    image.save(tmp_path / "label.png")

    np.testing.assert_array_equal(read_index_map(tmp_path / "label.png"), indices)


def test_index_map_in_colour_is_refused_by_name(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "label.png")

    with pytest.raises(InputError, match=r"label\.png: the label has 3 channels"):
        read_index_map(tmp_path / "label.png")


def test_colour_map_in_grey_is_refused_by_name(tmp_path: Path) -> None:
    Image.new("L", (2, 2)).save(tmp_path / "label.png")

    with pytest.raises(InputError, match=r"label\.png: this label must be an RGB PNG"):
        read_colour_map(tmp_path / "label.png")


def grey_png(stored: np.ndarray, bits: int) -> bytes:
    """A grey PNG with `bits` a pixel, as Pillow does not write it."""
    height, width = stored.shape
    pixels = (stored[..., None] >> np.arange(bits)[::-1] & 1).astype(np.uint8).reshape(height, width * bits)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in pixels)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def read_shard_label(path: Path) -> np.ndarray:
    return decode_label(path.read_bytes(), str(path))


READERS = [read_index_map, read_8_bit_map, read_colour_map, read_shard_label]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_label_of_few_bits_is_refused_by_every_reader_since_pillow_stretches_it(
    tmp_path: Path, read: Callable[[Path], np.ndarray], bits: int
) -> None:
    path, stored = tmp_path / "label.png", np.array([[0, 1, 2**bits - 1]])
    path.write_bytes(grey_png(stored, bits))
    assert np.asarray(Image.open(path)).max() in (True, 255)  # not what is stored

    with pytest.raises(
        InputError, match=r"label\.png: the label has fewer than 8 bits a pixel; save it with 8 or 16\."
    ):
        read(path)


def test_label_of_8_bits_written_alike_is_its_indices(tmp_path: Path) -> None:
    path, stored = tmp_path / "label.png", np.array([[0, 1, 200]])
    path.write_bytes(grey_png(stored, 8))

    np.testing.assert_array_equal(read_index_map(path), stored)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_palette_label_of_few_bits_is_its_indices(tmp_path: Path, bits: int) -> None:
    indices = np.arange(2**bits, dtype=np.uint8).reshape(2, -1)
    picture = Image.fromarray(indices)
    picture.putpalette(list(range(255, -1, -1)) * 3)
    picture.save(tmp_path / "label.png", bits=bits)

    np.testing.assert_array_equal(read_index_map(tmp_path / "label.png"), indices)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kind", ["boolean", "float", "32 bits", "JPEG"])
def test_label_in_another_format_is_refused_by_every_reader(
    tmp_path: Path, read: Callable[[Path], np.ndarray], kind: str
) -> None:
    # A boolean TIFF of another program is its complement for Pillow; OpenCV casts what is wider than 32 bits.
    picture = {"boolean": Image.new("1", (3, 2), 1), "float": Image.new("F", (3, 2)), "32 bits": Image.new("I", (3, 2))}
    path = tmp_path / "label.png"
    picture.get(kind, Image.new("L", (3, 2))).save(path, format="JPEG" if kind == "JPEG" else "TIFF")

    with pytest.raises(InputError, match=r"label\.png: the label is a (JPEG|TIFF) file; labels must be PNG\."):
        read(path)


def test_label_of_16_bits_is_refused_where_the_publication_has_8(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 3), np.uint16)).save(tmp_path / "label.png")

    assert read_index_map(tmp_path / "label.png").dtype == np.uint16
    with pytest.raises(InputError, match=r"label\.png: the label has 16 bits a pixel; in the published set it has 8"):
        read_8_bit_map(tmp_path / "label.png")


def test_label_cut_short_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "label.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:400])

    with pytest.raises(InputError, match=r"label\.png: the label cannot be decoded"):
        read_index_map(path)


def test_missing_label_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lost\.png: no such label; its photograph has no partner"):
        read_index_map(tmp_path / "lost.png")


def test_table_turns_raw_values_into_train_ids() -> None:
    table = lookup_table((3, 1), num_values=6, ignored=(5,), background=0)
    raw = np.array([[3, 1, 5], [0, 0, 3]], dtype=np.uint8)

    label = to_train_ids(raw, table, "here")

    np.testing.assert_array_equal(label, [[0, 1, IGNORE_INDEX], [2, 2, 0]])
    assert label.dtype == np.uint16


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_values_that_the_table_does_not_know_are_named(dtype: type) -> None:
    table = lookup_table((1,), num_values=4, ignored=(0,))

    with pytest.raises(InputError, match=r"^here: label value\(s\) 2, 3, 200 are not in the published list"):
        to_train_ids(np.array([[1, 0, 200, 3, 2, 2]], dtype=dtype), table, "here")


def test_negative_values_are_not_read_from_the_end_of_the_table() -> None:
    with pytest.raises(InputError, match=r"label value\(s\) -1 are"):
        to_train_ids(np.array([[-1]]), lookup_table((0, 1), num_values=2, ignored=()), "here")


def test_label_of_another_size_is_refused_with_both_sizes() -> None:
    refuse_other_size((3, 4), "a.png", (3, 4), Path("a.jpg"))

    with pytest.raises(InputError, match=r"a\.png: the label is 4 x 3, its photograph a\.jpg is 3 x 4\."):
        refuse_other_size((3, 4), "a.png", (4, 3), Path("a.jpg"))
