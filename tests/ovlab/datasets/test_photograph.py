import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from ovlab.datasets.photograph import (
    decode_photograph,
    encode_jpeg,
    limited_shape,
    read_photograph,
    resize_bilinear,
    resize_nearest,
)
from ovlab.specs.errors import InputError


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


@pytest.fixture
def jpeg(pixels: np.ndarray, tmp_path: Path) -> Path:
    path = tmp_path / "photograph.jpg"
    Image.fromarray(pixels).save(path)
    return path


def test_photograph_is_the_bytes_of_the_file(jpeg: Path) -> None:
    photograph = read_photograph(jpeg, "stored")

    assert photograph.data == jpeg.read_bytes()
    assert photograph.shape == (37, 53)


def test_photograph_in_grey_is_read_as_colour(tmp_path: Path) -> None:
    Image.new("L", (4, 3), 77).save(tmp_path / "grey.png")

    np.testing.assert_array_equal(read_photograph(tmp_path / "grey.png", "stored").pixels, np.full((3, 4, 3), 77))


@pytest.mark.parametrize("num_missing", [2, 100, 1500])
def test_truncated_photograph_is_refused_by_name(jpeg: Path, num_missing: int) -> None:
    jpeg.write_bytes(jpeg.read_bytes()[:-num_missing])

    with pytest.raises(InputError, match=r"photograph\.jpg: the photograph cannot be decoded \((?i:.*truncated)"):
        read_photograph(jpeg, "stored")


def test_photograph_that_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html>404</html>")

    with pytest.raises(InputError, match=r"page\.jpg: the photograph cannot be decoded \(not an image\)"):
        read_photograph(tmp_path / "page.jpg", "stored")


def test_missing_photograph_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lost\.jpg: no such photograph"):
        read_photograph(tmp_path / "lost.jpg", "stored")


@pytest.mark.parametrize(
    ("shape", "limited"),
    [
        ((512, 683), (512, 683)),
        ((300, 4000), (300, 4000)),
        ((513, 513), (512, 512)),
        ((1024, 1536), (512, 768)),
        ((1536, 1024), (768, 512)),
        # 2200 / 1650 * 512 = 682.67
        ((1650, 2200), (512, 683)),
    ],
)
def test_limited_shape_has_the_short_side_and_the_aspect(shape: tuple[int, int], limited: tuple[int, int]) -> None:
    assert limited_shape(shape, 512) == limited


@pytest.mark.parametrize("shape", [(37, 53), (12, 17), (36, 20), (80, 99)])
def test_bilinear_resize_is_that_of_torch_without_antialias(pixels: np.ndarray, shape: tuple[int, int]) -> None:
    reference = torch.nn.functional.interpolate(
        torch.from_numpy(pixels).permute(2, 0, 1)[None].double(), shape, mode="bilinear", align_corners=False
    )
    difference = resize_bilinear(pixels, shape) - reference[0].permute(1, 2, 0).numpy()

    # half a grey level is the rounding
    assert np.abs(difference).max() <= 0.501


def test_nearest_resize_takes_the_pixel_at_the_floor() -> None:
    label = np.arange(35, dtype=np.uint16).reshape(5, 7)

    resized = resize_nearest(label, (2, 3))

    # rows floor(i * 2.5) = 0, 2; columns floor(j * 7 / 3) = 0, 2, 4
    np.testing.assert_array_equal(resized, [[0, 2, 4], [14, 16, 18]])
    assert resized.dtype == np.uint16


def test_encoded_photograph_decodes_to_nearly_the_same_pixels() -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 64, dtype=np.uint8)[:, None, None], (64, 48, 3)).copy()

    with Image.open(io.BytesIO(encode_jpeg(smooth))) as image:
        assert image.format == "JPEG"
        assert np.abs(np.asarray(image).astype(int) - smooth).max() <= 8


# Three columns of other colours above black, so that each way of turning it looks different.
MARKED = np.zeros((2, 3, 3), np.uint8)
MARKED[0] = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
# How the pixels of a photograph with this tag are to be shown (Exif 2.3, 4.6.4 A: where row 0 and column 0 lie).
SHOWN = {
    1: MARKED,
    2: MARKED[:, ::-1],
    3: MARKED[::-1, ::-1],
    4: MARKED[::-1],
    5: MARKED.transpose(1, 0, 2),
    6: np.rot90(MARKED, -1),
    7: MARKED[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(MARKED),
}


def tagged(pixels: np.ndarray, orientation: int | str) -> bytes:
    """A PNG with that EXIF orientation: a number, or a text of three letters, which Pillow itself does not write."""
    number = isinstance(orientation, int)
    value = (
        struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
        if number
        else (struct.pack("<HHI", 0x0112, 2, 4) + f"{orientation}\0".encode())
    )
    file = io.BytesIO()
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + value + bytes(4)
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("tag", SHOWN)
def test_photograph_is_turned_by_its_exif_orientation_only_where_the_rule_says_so(tag: int) -> None:
    """Protocol: detectron2's read_image turns each photograph and none of the labels; here the labels decide."""
    content, shown = tagged(MARKED, tag), SHOWN[tag]

    def pixels(orientation: object) -> np.ndarray:
        return decode_photograph(content, "x", orientation).pixels  # type: ignore[arg-type]

    np.testing.assert_array_equal(pixels("stored"), MARKED)
    np.testing.assert_array_equal(pixels("upright"), shown)
    np.testing.assert_array_equal(pixels((2, 3)), MARKED)
    np.testing.assert_array_equal(pixels((3, 2)), shown if tag >= 5 else MARKED)


def test_square_photograph_with_a_label_is_read_as_stored() -> None:
    np.testing.assert_array_equal(decode_photograph(tagged(MARKED[:, :2], 6), "x", (2, 2)).pixels, MARKED[:, :2])


@pytest.mark.parametrize("tag", [0, 9, 65535])
def test_exif_orientation_out_of_range_is_none(tag: int) -> None:
    np.testing.assert_array_equal(decode_photograph(tagged(MARKED, tag), "x", "upright").pixels, MARKED)


def test_exif_orientation_that_is_no_number_is_refused_where_it_is_asked_for() -> None:
    content = tagged(MARKED, "six")

    assert decode_photograph(content, "x", "stored").shape == (2, 3)
    for rule in ("upright", (3, 2)):
        with pytest.raises(InputError, match=r"^x: its EXIF orientation is 'six', no number; save"):
            decode_photograph(content, "x", rule)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_photograph_of_every_mode_is_its_colours(mode: str) -> None:
    red = Image.new("RGB", (4, 3), (255, 0, 0)).convert(mode)
    file = io.BytesIO()
    red.save(file, "TIFF")

    # red has a luminance of 76, which is black where there is but one bit
    grey = {"1": 0, "L": 76, "LA": 76}.get(mode)
    colour = (255, 0, 0) if grey is None else (grey,) * 3
    found = decode_photograph(file.getvalue(), "x", "stored").pixels
    if mode == "1":  # dithered
        assert set(found.ravel().tolist()) <= {0, 255}
    else:
        assert np.abs(found.astype(int) - colour).max() <= 1


@pytest.mark.parametrize(
    ("suffix", "dtype"), [("PNG", np.uint16), ("TIFF", np.uint16), ("TIFF", np.int32), ("TIFF", np.float32)]
)
def test_photograph_of_more_than_8_bits_of_grey_is_refused_under_every_rule(suffix: str, dtype: type) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((2, 3), 30_000, dtype)).save(file, suffix)

    for rule in ("stored", "upright", (2, 3)):
        with pytest.raises(InputError, match=r"^x: photographs must have 8 bits a channel, this one is of mode [IF]"):
            decode_photograph(file.getvalue(), "x", rule)  # type: ignore[arg-type]


def test_photograph_that_is_a_bomb_or_a_pipe_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("L", (20, 11)).save(tmp_path / "bomb.png")
    Image.new("L", (15, 11)).save(tmp_path / "large.png")
    os.mkfifo(tmp_path / "pipe.jpg")

    assert read_photograph(tmp_path / "large.png", "stored").shape == (11, 15)
    with pytest.raises(
        InputError, match=r"bomb\.png: the photograph cannot be decoded \(Image size \(220 pixels\) exc"
    ):
        read_photograph(tmp_path / "bomb.png", "stored")
    for path in (tmp_path / "pipe.jpg", tmp_path):
        with pytest.raises(InputError, match=r": a folder, a pipe or a device, where a file must be"):
            read_photograph(path, "stored")


def test_photograph_with_a_text_that_unpacks_beyond_measure_is_refused_by_name() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("comment", " " * (PngImagePlugin.MAX_TEXT_CHUNK + 1), zip=True)
    file = io.BytesIO()
    Image.new("RGB", (4, 3)).save(file, "PNG", pnginfo=texts)

    with pytest.raises(InputError, match=r"^x: the photograph cannot be decoded \(Decompressed data too large"):
        decode_photograph(file.getvalue(), "x", "stored")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_photograph_with_one_changed_byte_is_a_picture_or_one_line(kind: str, pixels: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    content, rng = file.getvalue(), np.random.default_rng(0)

    for position in [*range(min(400, len(content))), *rng.integers(len(content), size=200)]:
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        try:
            says = f"x: {decode_photograph(bytes(damaged), 'x', 'upright').pixels.dtype}"
        except InputError as error:
            says = str(error)
        assert says.startswith("x: ")
        assert "\n" not in says
