from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.label_map import lookup_table, read_colour_map, read_index_map, refuse_other_size, to_train_ids
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

    with pytest.raises(InputError, match=r"label\.png: a label must be an 8-bit grey or palette PNG, got mode RGB"):
        read_index_map(tmp_path / "label.png")


def test_colour_map_in_grey_is_refused_by_name(tmp_path: Path) -> None:
    Image.new("L", (2, 2)).save(tmp_path / "label.png")

    with pytest.raises(InputError, match=r"label\.png: this label must be an RGB PNG, got mode L"):
        read_colour_map(tmp_path / "label.png")


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
