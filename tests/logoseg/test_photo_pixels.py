"""A photograph given in any way: the pixels that the laboratory's reader gives, or one line that names it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from logoseg.model_error import ModelError
from logoseg.photo_pixels import pixels_of
from ovlab.datasets.photograph import read_photograph

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


@pytest.mark.parametrize("orientation", range(10))
def test_pixels_are_upright_as_the_laboratory_reads_them(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLOURS).save(tmp_path / "photo.png", exif=exif)

    found = pixels_of(tmp_path / "photo.png")

    np.testing.assert_array_equal(found, read_photograph(tmp_path / "photo.png", "upright").pixels)
    assert (found.shape == COLOURS.shape) == (orientation not in (5, 6, 7, 8))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_pixels_of_other_modes_are_those_of_the_laboratory(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("photo.tiff" if mode == "CMYK" else "photo.png")
    Image.fromarray(COLOURS).convert(mode).save(path)

    expected = read_photograph(path, "upright").pixels
    np.testing.assert_array_equal(pixels_of(path), expected)
    np.testing.assert_array_equal(pixels_of(path.read_bytes()), expected)
    with Image.open(path) as image:
        np.testing.assert_array_equal(pixels_of(image), expected)


def test_pixels_of_a_grey_array_are_repeated() -> None:
    np.testing.assert_array_equal(pixels_of(COLOURS[:, :, 0]), np.stack([COLOURS[:, :, 0]] * 3, axis=2))


@pytest.mark.parametrize(
    "array", [COLOURS / 255, COLOURS.astype(int), COLOURS[..., :2], COLOURS[None], COLOURS[:0], np.uint8(3)[None]]
)
def test_arrays_that_are_no_photograph_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ModelError, match="An array must be H x W x 3 or H x W of uint8, got"):
        pixels_of(array)


def test_files_that_are_no_photograph_are_refused_by_name(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:90])
    (tmp_path / "page.jpg").write_text("<html>")
    Image.fromarray(COLOURS[:, :, 0].astype(np.uint16) * 256).save(tmp_path / "deep.png")

    for name, message in (
        ("cut.png", "the photograph cannot be decoded"),
        ("page.jpg", "not an image"),
        ("deep.png", "has 8 bits a channel"),
        ("nothing.png", "no such file"),
        (".", "not a file"),
    ):
        with pytest.raises(ModelError, match=message) as refused:
            pixels_of(tmp_path / name)
        assert str(refused.value).startswith(str(tmp_path / name))
        assert len(str(refused.value).splitlines()) == 1
