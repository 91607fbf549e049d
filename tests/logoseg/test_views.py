import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from logoseg.config import PaddedImage, ShortestEdge, SlidingWindow, WholeImage
from logoseg.views import aspect_size, loaded_size, views, window_offsets


def stretched(image: Tensor, side: int) -> Tensor:
    return F.interpolate(image[None], (side, side), mode="bilinear", align_corners=False)[0]


def test_views_whole_image_is_stretched_to_a_square() -> None:
    image = torch.rand(3, 40, 55)

    whole = views(image, WholeImage(size=64))

    torch.testing.assert_close(whole, stretched(image, 64)[None])


def test_views_long_side_alone_above_the_size_is_stretched_directly() -> None:
    image = torch.rand(3, 30, 90)

    torch.testing.assert_close(views(image, WholeImage(size=32))[0], stretched(image, 32))


@pytest.mark.parametrize("inference", [WholeImage(size=32), SlidingWindow(size=32, kernel=16, stride=8, input_size=16)])
def test_views_fine_chequers_much_larger_than_the_size_become_grey(inference: WholeImage | SlidingWindow) -> None:
    # Black and white fields of 1 x 2 pixels: plain bilinear would read four pixels of the 25 or more that it should.
    image = (torch.arange(160)[:, None] + torch.arange(160) // 2).remainder(2).float().expand(3, -1, -1)

    whole = views(image, inference)[-1]

    inside = whole[:, 2:-2, 2:-2]  # the border has no outer neighbours to average
    assert (inside - 0.5).abs().max() < 0.1


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((480, 640), 384, (384, 512)),
        ((500, 375), 768, (1024, 768)),
        ((100, 317), 64, (64, 192)),  # 202.9 is 6.3 times 32
        ((64, 64), 100, (96, 96)),
        ((10, 3000), 8, (32, 2400)),  # never below 32
    ],
)
def test_aspect_size_short_side_given_both_multiples_of_32(
    size: tuple[int, int], short_side: int, expected: tuple[int, int]
) -> None:
    assert aspect_size(size, short_side) == expected
    assert aspect_size(size[::-1], short_side) == expected[::-1]


def test_views_keep_aspect_has_the_aspect_size() -> None:
    view = views(torch.rand(3, 40, 61), WholeImage(size=64, resize="keep_aspect"))

    assert view.shape == (1, 3, 64, 96)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (640, 384, 256, [0, 256]),
        (100, 40, 25, [0, 25, 50, 60]),  # the last one flush with the border
        (100, 40, 20, [0, 20, 40, 60]),
        (50, 50, 50, [0]),
        (51, 50, 50, [0, 1]),
    ],
)
def test_window_offsets_cover_the_side(size: int, kernel: int, stride: int, expected: list[int]) -> None:
    assert window_offsets(SlidingWindow(size=size, kernel=kernel, stride=stride)) == expected


@pytest.mark.parametrize(("size", "kernel", "stride"), [(100, 120, 50), (100, 40, 41), (100, 40, 0)])
def test_window_offsets_that_leave_gaps_are_refused(size: int, kernel: int, stride: int) -> None:
    with pytest.raises(ValueError, match="stride <= kernel <= size"):
        window_offsets(SlidingWindow(size=size, kernel=kernel, stride=stride))


def test_views_sliding_window_crops_in_reading_order_then_the_whole() -> None:
    image = torch.rand(3, 40, 30)

    crops = views(image, SlidingWindow(size=48, kernel=32, stride=12, input_size=32))

    square = stretched(image, 48)
    corners = [(y, x) for y in (0, 12, 16) for x in (0, 12, 16)]
    assert crops.shape == (10, 3, 32, 32)
    for crop, (y, x) in zip(crops, corners, strict=False):
        torch.testing.assert_close(crop, square[:, y : y + 32, x : x + 32])
    torch.testing.assert_close(crops[-1], stretched(image, 32))


def test_views_input_size_resizes_every_view() -> None:
    image = torch.rand(3, 40, 30)
    at_kernel = SlidingWindow(size=48, kernel=32, stride=16, input_size=32)
    resized = SlidingWindow(size=48, kernel=32, stride=16, input_size=28)

    expected = torch.stack([stretched(view, 28) for view in views(image, at_kernel)])

    torch.testing.assert_close(views(image, resized), expected)


def test_views_without_global_view_are_the_windows_alone() -> None:
    image = torch.rand(3, 40, 30)
    both = SlidingWindow(size=48, kernel=32, stride=16, input_size=32)
    windows = SlidingWindow(size=48, kernel=32, stride=16, input_size=32, global_view=False)

    assert torch.equal(views(image, windows), views(image, both)[:-1])


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1, 200), (384, 4096)), ((20000, 2), (4096, 384)), ((384, 4096), (384, 4096)), ((100, 1000), (384, 3840))],
)
def test_aspect_size_of_a_narrow_picture_is_bounded(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert aspect_size(size, 384) == expected


# The loader of detectron2, beside Pillow itself.


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((427, 640), (640, 959)),  # 959.25: enlarged
        ((480, 640), (640, 853)),  # 853.33
        ((683, 512), (854, 640)),  # 853.75
        ((1280, 1280), (640, 640)),
        ((100, 800), (320, 2560)),  # 640 x 5120 would be too long
    ],
)
def test_loaded_size_short_side_is_640_unless_the_long_one_would_be_above_2560(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert loaded_size(size, ShortestEdge()) == expected
    assert loaded_size(size[::-1], ShortestEdge()) == expected[::-1]


# Enlarged, reduced, and held back by the long side.
PHOTOGRAPHS = {(20, 31): (40, 62), (90, 70): (51, 40), (10, 90): (9, 80)}
LOADER = ShortestEdge(size=40, longest=80)


@pytest.fixture(params=PHOTOGRAPHS, ids=str)
def photograph(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    """A photograph in [0, 1], and as Pillow loads it."""
    height, width = request.param
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    loaded_height, loaded_width = PHOTOGRAPHS[request.param]
    loaded = np.asarray(Image.fromarray(pixels).resize((loaded_width, loaded_height), Image.Resampling.BILINEAR))
    in_unit, loaded_in_unit = (torch.tensor(each).permute(2, 0, 1).float() / 255 for each in (pixels, loaded))
    return in_unit, loaded_in_unit


def test_views_of_sed_are_what_pillow_loads_stretched(photograph: tuple[Tensor, Tensor]) -> None:
    image, loaded = photograph

    torch.testing.assert_close(views(image, WholeImage(size=48, loader=LOADER)), stretched(loaded, 48)[None])


def test_views_of_cat_seg_are_windows_and_the_whole_of_what_pillow_loads(photograph: tuple[Tensor, Tensor]) -> None:
    image, loaded = photograph
    made = views(image, SlidingWindow(size=40, kernel=24, stride=16, input_size=24, loader=LOADER))

    square = stretched(loaded, 40)
    for number, (y, x) in enumerate([(0, 0), (0, 16), (16, 0), (16, 16)]):
        torch.testing.assert_close(made[number], square[:, y : y + 24, x : x + 24])
    torch.testing.assert_close(made[4], stretched(loaded, 24))


def test_views_of_san_are_what_pillow_loads_with_the_mean_colour_of_clip_around(
    photograph: tuple[Tensor, Tensor],
) -> None:
    image, loaded = photograph
    (made,) = views(image, PaddedImage(loader=LOADER, multiple=32))
    height, width = loaded.shape[1:]

    # 40 to 64, 62 to 64, 51 to 64, 9 to 32, 80 to 96.
    assert made.shape[1:] == {(40, 62): (64, 64), (51, 40): (64, 64), (9, 80): (32, 96)}[height, width]
    assert torch.equal(made[:, :height, :width], loaded)
    mean = torch.tensor([122.7709383, 116.7460125, 104.09373615]) / 255
    for rest in (made[:, height:], made[:, :, width:]):
        torch.testing.assert_close(rest, mean[:, None, None].expand_as(rest))


def test_views_padded_of_whole_multiples_are_the_image_itself() -> None:
    image = torch.randint(0, 256, (3, 32, 64)).float() / 255

    torch.testing.assert_close(views(image, PaddedImage(loader=ShortestEdge(size=32)))[0], image)
