import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.label_map import lookup_table
from ovlab.datasets.original import FolderSplit, OriginalSplit, find_file, find_folder, list_pairs, stems
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError


@pytest.fixture
def split(tmp_path: Path) -> FolderSplit:
    """One pair of two rows and three columns, whose label is 1, 2, 0 / 0, 0, 2."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    Image.new("RGB", (3, 2), (9, 8, 7)).save(tmp_path / "images" / "one.jpg")
    Image.fromarray(np.array([[1, 2, 0], [0, 0, 2]], dtype=np.uint8)).save(tmp_path / "labels" / "one.png")
    return FolderSplit(
        name="pets",
        split="val",
        class_names=("cat", "dog"),
        sample_ids=("one",),
        expected_count=1,
        image_folder=tmp_path / "images",
        label_folder=tmp_path / "labels",
        table=lookup_table((1, 2), num_values=256, ignored=(0,)),
    )


def test_read_gives_the_bytes_and_the_train_ids(split: FolderSplit) -> None:
    pair = split.read("one")

    assert isinstance(split, OriginalSplit)
    assert pair.image_bytes == (split.image_folder / "one.jpg").read_bytes()
    np.testing.assert_array_equal(pair.label, [[0, 1, IGNORE_INDEX], [IGNORE_INDEX, IGNORE_INDEX, 1]])
    assert pair.label.dtype == np.uint16


def test_split_sent_to_another_process_reads_the_same(split: FolderSplit) -> None:
    copy = pickle.loads(pickle.dumps(split))

    np.testing.assert_array_equal(copy.read("one").label, split.read("one").label)
    assert (copy.sample_ids, copy.class_names) == (split.sample_ids, split.class_names)


def test_photograph_without_label_is_refused_by_name(split: FolderSplit) -> None:
    (split.label_folder / "one.png").unlink()

    with pytest.raises(InputError, match=r"labels/one\.png: no such label; its photograph has no partner\.$"):
        split.read("one")


def test_label_without_photograph_is_refused_by_name(split: FolderSplit) -> None:
    (split.image_folder / "one.jpg").unlink()

    with pytest.raises(InputError, match=r"images/one\.jpg: no such photograph; its label has no partner\.$"):
        split.read("one")


def test_label_turned_by_a_quarter_is_refused_by_name(split: FolderSplit) -> None:
    Image.new("L", (2, 3)).save(split.label_folder / "one.png")

    with pytest.raises(InputError, match=r"labels/one\.png: the label is 2 x 3, its photograph one\.jpg is 3 x 2\.$"):
        split.read("one")


def test_label_with_an_unknown_id_is_refused_by_name(split: FolderSplit) -> None:
    Image.new("L", (3, 2), 3).save(split.label_folder / "one.png")

    with pytest.raises(InputError, match=r"labels/one\.png: label value\(s\) 3 are not in the published list"):
        split.read("one")


def test_find_folder_takes_the_first_that_holds_such_a_file(tmp_path: Path) -> None:
    for name, file in (("a", "x.png"), ("b", "x.jpg"), ("c", "x.jpg")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).touch()

    assert find_folder(tmp_path, ("none", "a", "b", "c"), "photographs", ".jpg") == tmp_path / "b"


def test_find_folder_in_another_layout_says_what_was_expected_and_found(tmp_path: Path) -> None:
    for name in "hgfedcba":
        (tmp_path / name).mkdir()

    with pytest.raises(InputError) as error:
        find_folder(tmp_path, ("images", "photographs"), "the photographs", ".jpg")

    assert str(error.value) == (
        f"{tmp_path}: expected the photographs in images/ or photographs/, found a/, b/, c/, d/, e/, f/ and 2 more."
    )


def test_find_file_below_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: expected the list at val\.txt, found no such folder\.$"):
        find_file(tmp_path / "nowhere", ("val.txt",), "the list")


def test_stems_are_the_names_without_the_suffix(tmp_path: Path) -> None:
    for name in ("a_seg.png", "b.jpg", "c.d_seg.png", "._a_seg.png"):
        (tmp_path / name).touch()

    assert stems(tmp_path, "_seg.png") == {"a", "c.d"}


def test_find_folder_takes_companions_of_macos_for_no_photographs(tmp_path: Path) -> None:
    for name in ("here/._a.jpg", "there/a.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()

    assert find_folder(tmp_path, ("here", "there"), "photographs", ".jpg") == tmp_path / "there"


def test_list_pairs_in_one_folder_leaves_out_neither_kind(tmp_path: Path) -> None:
    for name in ("2.jpg", "2.png", "1.png"):
        (tmp_path / name).touch()

    assert list_pairs(tmp_path, tmp_path) == (("1", "2"), ())


def test_list_pairs_names_a_photograph_among_the_labels(tmp_path: Path) -> None:
    for name in ("images/1.jpg", "labels/1.jpg", "labels/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    ids, (note,) = list_pairs(tmp_path / "images", tmp_path / "labels")

    assert ids == ("1",)
    assert note.endswith("1 file is left out, neither photograph nor label of the split: labels/1.jpg")


def test_list_pairs_with_a_file_name_in_another_encoding_is_refused(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.jpg")).touch()  # Latin-1
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")

    with pytest.raises(InputError, match=r"'caf\\udce9' is a file name in another encoding; rename it in UTF-8"):
        list_pairs(tmp_path, tmp_path)
