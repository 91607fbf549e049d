import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ovlab.datasets.photograph import encode_jpeg, limited_shape, read_photograph, resize_bilinear, resize_nearest
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
    photograph = read_photograph(jpeg)

    assert photograph.data == jpeg.read_bytes()
    assert photograph.shape == (37, 53)


def test_photograph_in_grey_is_read_as_colour(tmp_path: Path) -> None:
    Image.new("L", (4, 3), 77).save(tmp_path / "grey.png")

    np.testing.assert_array_equal(read_photograph(tmp_path / "grey.png").pixels, np.full((3, 4, 3), 77))


@pytest.mark.parametrize("num_missing", [2, 100, 1500])
def test_truncated_photograph_is_refused_by_name(jpeg: Path, num_missing: int) -> None:
    jpeg.write_bytes(jpeg.read_bytes()[:-num_missing])

    with pytest.raises(InputError, match=r"photograph\.jpg: the photograph cannot be decoded \((?i:.*truncated)"):
        read_photograph(jpeg)


def test_photograph_that_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html>404</html>")

    with pytest.raises(InputError, match=r"page\.jpg: the photograph cannot be decoded \(not an image\)"):
        read_photograph(tmp_path / "page.jpg")


def test_missing_photograph_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lost\.jpg: no such photograph"):
        read_photograph(tmp_path / "lost.jpg")


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
