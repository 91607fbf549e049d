import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from ovlab.datasets.context_regions import load_merged_regions, paint
from ovlab.specs.errors import InputError

# pycocotools 2.0.11 predates the copy argument of NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def compressed(mask: np.ndarray) -> dict[str, Any]:
    """COCO run lengths as the JSON holds them."""
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def counted(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths as numbers, column by column, the first run being of zeros."""
    flat = mask.ravel(order="F").astype(int)
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": counts if flat[0] == 0 else [0, *counts]}


@pytest.fixture
def mask() -> np.ndarray:
    return np.random.default_rng(0).random((7, 9)) < 0.5


@pytest.mark.parametrize("encode", [compressed, counted])
def test_paint_of_run_lengths_is_the_mask(mask: np.ndarray, encode: Callable[[np.ndarray], Any]) -> None:
    np.testing.assert_array_equal(paint(((9, encode(mask)),), (7, 9), "here"), 9 * mask)


def test_paint_of_polygons_is_their_union() -> None:
    # two rectangles, x then y: columns 1-2 of rows 0-3, and columns 5-6 of rows 2-3
    polygons = [[1, 0, 3, 0, 3, 4, 1, 4], [5, 2, 7, 2, 7, 4, 5, 4]]
    expected = np.zeros((6, 8), dtype=int)
    expected[0:4, 1:3] = expected[2:4, 5:7] = 23

    np.testing.assert_array_equal(paint(((23, polygons),), (6, 8), "here"), expected)


def test_paint_lets_a_later_region_cover_an_earlier_one() -> None:
    left, all_ = np.zeros((2, 4), dtype=bool), np.ones((2, 4), dtype=bool)
    left[:, :2] = True

    np.testing.assert_array_equal(
        paint(((5, compressed(all_)), (7, compressed(left))), (2, 4), "here"), [[7, 7, 5, 5]] * 2
    )
    np.testing.assert_array_equal(paint(((7, compressed(left)), (5, compressed(all_))), (2, 4), "here"), [[5] * 4] * 2)


def test_paint_of_another_size_is_refused(mask: np.ndarray) -> None:
    for encode in (compressed, counted):
        with pytest.raises(InputError, match=r"^here: a region of category 9 is 9 x 7, its image 7 x 9\.$"):
            paint(((9, encode(mask)),), (9, 7), "here")


def packed(runs: list[int], size: list[int]) -> dict[str, Any]:
    """Run lengths compressed by pycocotools, which asks nothing of them."""
    encoded = coco_mask.frPyObjects({"size": size, "counts": runs}, *size)
    return {"size": size, "counts": encoded["counts"].decode()}


@pytest.mark.parametrize("runs", [[2, 3], [2, 9], [0, 6, 1], [], [6, 0, 0, 1], [3, 2, 2**31]])
@pytest.mark.parametrize("encode", [packed, lambda runs, size: {"size": size, "counts": runs}])
def test_paint_of_run_lengths_that_do_not_cover_the_image_exactly_is_refused(
    runs: list[int], encode: Callable[[list[int], list[int]], Any]
) -> None:
    with pytest.raises(InputError, match=r"^here: a region of category 9 has run lengths that do not cover its image"):
        paint(((9, encode(runs, [2, 3])),), (2, 3), "here")


@pytest.mark.parametrize("runs", [[2, 3, 1], [0, 6], [6], [0, 1, 2, 0, 3], [1, 1, 1, 1, 1, 1]])
@pytest.mark.parametrize("encode", [packed, lambda runs, size: {"size": size, "counts": runs}])
def test_paint_of_run_lengths_that_cover_it_is_what_they_say(
    runs: list[int], encode: Callable[[list[int], list[int]], Any]
) -> None:
    flat = np.repeat(np.arange(len(runs)) % 2, runs)  # by columns

    np.testing.assert_array_equal(paint(((9, encode(runs, [2, 3])),), (2, 3), "here"), 9 * flat.reshape(3, 2).T)


@pytest.mark.parametrize("runs", [[7, -1], [-1, 7], [2.0, 4], [True, 5], ["6"]])
def test_paint_of_run_lengths_that_are_no_lengths_is_refused(runs: list[Any]) -> None:
    with pytest.raises(InputError, match=r"^here: a region of category 9 "):
        paint(((9, {"size": [2, 3], "counts": runs}),), (2, 3), "here")


@pytest.mark.parametrize("corner", [1e9, float("nan"), float("inf")])
def test_paint_of_polygons_far_outside_of_the_image_is_refused(corner: float) -> None:
    with pytest.raises(InputError, match=r"^here: a region of category 9 has corners far outside"):
        paint(((9, [[0, 0, corner, 0, 0, 2]]),), (2, 3), "here")


@pytest.mark.parametrize("counts", ["\u00e9", "06 ", "P", "pppp"])
def test_paint_of_characters_that_are_no_run_lengths_is_refused(counts: str) -> None:
    with pytest.raises(InputError, match=r"^here: a region of category 9 "):
        paint(((9, {"size": [2, 3], "counts": counts}),), (2, 3), "here")


@pytest.mark.parametrize("segmentation", ["text", {"size": [2, 2]}, [[1, 2]], None])
def test_paint_of_something_else_is_refused(segmentation: Any) -> None:
    with pytest.raises(InputError, match=r"^here: a region of category 9 cannot be decoded"):
        paint(((9, segmentation),), (2, 2), "here")


def test_regions_of_one_phase_are_kept_in_their_order(tmp_path: Path, mask: np.ndarray) -> None:
    segmentation = compressed(mask)
    path = tmp_path / "trainval_merged.json"
    path.write_text(
        json.dumps(
            {
                "images": [
                    {
                        "file_name": f"2008_{n:06}.jpg",
                        "image_id": 2008000000 + n,
                        "phase": phase,
                        "height": 7,
                        "width": 9,
                    }
                    for n, phase in ((1, "train"), (2, "val"), (3, "val"), (4, "test"))
                ],
                "annos_segmentation": [
                    {"image_id": 2008000000 + n, "category_id": category_id, "segmentation": segmentation}
                    for n, category_id in ((3, 9), (1, 2), (3, 2), (7, 2))
                ],
                "categories": [{"category_id": 2, "name": "aeroplane"}, {"category_id": 9, "name": "bag"}],
            }
        )
    )

    merged = load_merged_regions(path, "val")

    assert merged.shapes == {"2008_000002": (7, 9), "2008_000003": (7, 9)}
    assert merged.regions == {"2008_000002": (), "2008_000003": ((9, segmentation), (2, segmentation))}
    assert merged.category_ids == {2, 9}
    assert merged.notes == (
        f"{path}: 1 image(s) of a phase that is none of train, val left out: test",
        f"{path}: 1 region(s) of images that are not listed left out: 2008000007",
    )


def test_image_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    image = {"file_name": "2008_000001.jpg", "phase": "val", "height": 7, "width": 9}
    content = {"images": [{**image, "image_id": n} for n in (1, 2)], "annos_segmentation": [], "categories": []}
    (tmp_path / "merged.json").write_text(json.dumps(content))

    with pytest.raises(InputError, match=r"merged\.json: 2 images of val, of which 1 differ; keep one of each"):
        load_merged_regions(tmp_path / "merged.json", "val")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": [{"id": 1}], "annotations": []}', '{"images": [], "x'])
def test_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text)

    with pytest.raises(InputError, match=r"other\.json: not the JSON of PASCAL-Context \(\w+: .*\)\.$"):
        load_merged_regions(tmp_path / "other.json", "val")
