"""ovlab.datasets.encoding: label maps survive their PNG, and digests see every change."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.encoding import count_labels, decode_label, encode_label, image_size, sample_digest
from ovlab.datasets.photograph import decode_photograph
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError


def jpeg(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 50).convert(mode).save(buffer, "JPEG")
    return buffer.getvalue()


PNG = encode_label(np.random.default_rng(0).integers(200, size=(50, 50)).astype(np.uint16), 200)


@pytest.mark.parametrize(("num_classes", "mode"), [(1, "L"), (254, "L"), (255, "L"), (256, "I;16"), (847, "I;16")])
def test_label_every_class_and_ignore_round_trips(num_classes: int, mode: str) -> None:
    values = np.array([*range(num_classes), IGNORE_INDEX], dtype=np.uint16)
    label = np.tile(values, 3).reshape(3, -1)

    content = encode_label(label, num_classes)

    np.testing.assert_array_equal(decode_label(content, "x"), label)
    assert decode_label(content, "x").dtype == np.uint16
    assert Image.open(io.BytesIO(content)).mode == mode


def test_label_class_255_of_many_is_not_ignored() -> None:
    label = np.array([[255, IGNORE_INDEX]], dtype=np.uint16)

    assert decode_label(encode_label(label, 459), "x").tolist() == [[255, IGNORE_INDEX]]


def test_image_size_is_height_and_width_of_the_header() -> None:
    assert image_size(jpeg(), "x") == (30, 40)


def decode_stored(content: bytes, name: str) -> object:
    return decode_photograph(content, name, "stored")


@pytest.mark.parametrize("decode", [decode_stored, decode_label])
@pytest.mark.parametrize("content", [b"", b"no image at all", jpeg()[:600], PNG[: len(PNG) // 2]])
def test_decode_damaged_file_is_refused_with_its_name(decode: Callable[[bytes, str], object], content: bytes) -> None:
    with pytest.raises(InputError, match=r"^ade 17: the (photograph|label) cannot be decoded") as error:
        decode(content, "ade 17")

    assert "\n" not in str(error.value)


def test_decode_label_that_is_no_map_is_refused() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3)).save(buffer, "PNG")

    with pytest.raises(InputError, match=r"^x: the label is a JPEG file; labels must be PNG"):
        decode_label(jpeg(), "x")
    with pytest.raises(InputError, match=r"^x: the label has 3 channels"):
        decode_label(buffer.getvalue(), "x")


def test_count_labels_hand_counted_map() -> None:
    counts = count_labels(np.array([[0, 2, 2], [IGNORE_INDEX, 2, 0]], dtype=np.uint16))

    assert (counts[0], counts[1], counts[2], counts[IGNORE_INDEX]) == (2, 0, 3, 1)
    assert counts.sum() == 6


def test_sample_digest_any_change_differs() -> None:
    label = np.arange(6, dtype=np.uint16).reshape(2, 3)
    other = label.copy()
    other[1, 1] = 9

    digests = {
        sample_digest(b"image", label),
        sample_digest(b"imagE", label),
        sample_digest(b"image", other),
        sample_digest(b"image", label.reshape(3, 2)),
    }

    assert len(digests) == 4
    assert sample_digest(b"image", np.asfortranarray(label)) == sample_digest(b"image", label)
