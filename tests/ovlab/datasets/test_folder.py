"""A folder of photographs: what is read, and what is refused in one line that names the file."""

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.folder import open_folder
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
CLASSES = ["sky", "road", "car"]
LABEL = np.array([[0, 1, 2, 255], [2, 2, 255, 0], [1, 0, 0, 1]], dtype=np.uint8)
COLOURS = np.arange(LABEL.size * 3, dtype=np.uint8).reshape(*LABEL.shape, 3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two pairs in `train`: a.png and b.png with LABEL and COLOURS."""
    for kind in ("images", "labels"):
        (tmp_path / "train" / kind).mkdir(parents=True)
    (tmp_path / "classes.json").write_text(json.dumps({"classes": CLASSES, "ignore_index": 255}))
    for stem in ("b", "a"):
        Image.fromarray(COLOURS).save(image_path(tmp_path, stem))
        Image.fromarray(LABEL).save(label_path(tmp_path, stem))
    return tmp_path


def image_path(root: Path, stem: str) -> Path:
    return root / "train" / "images" / f"{stem}.png"


def label_path(root: Path, stem: str) -> Path:
    return root / "train" / "labels" / f"{stem}.png"


def ids(stored: np.ndarray, ignored: int) -> np.ndarray:
    return np.array([[IGNORE_INDEX if value == ignored else value for value in row] for row in stored.tolist()])


def message(call: object, *arguments: object) -> str:
    with pytest.raises(InputError) as raised:
        call(*arguments)  # type: ignore[operator]
    text = str(raised.value)
    assert "\n" not in text
    return text


def test_folder_pairs_are_read_in_the_order_of_their_names(root: Path) -> None:
    dataset = open_folder(root, "train")

    assert len(dataset) == 2
    assert dataset.sample_ids == ("a", "b")
    assert dataset.class_names == tuple(CLASSES)
    assert dataset.name == root.name
    np.testing.assert_array_equal(dataset[1].image, COLOURS)
    np.testing.assert_array_equal(dataset[1].label, ids(LABEL, ignored=255))
    assert dataset[1].id == "b"
    assert dataset[1].label.dtype == np.uint16


def test_folder_sent_to_another_process_reads_the_same(root: Path) -> None:
    dataset = open_folder(root, "train")

    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dataset))[0].label, dataset[0].label)


def test_classes_as_plain_list_ignore_the_largest_value_of_each_file(root: Path) -> None:
    (root / "classes.json").write_text(json.dumps(CLASSES))
    wide = LABEL.astype(np.uint16)
    wide[LABEL == 255] = 65535
    Image.fromarray(wide).save(label_path(root, "b"))

    dataset = open_folder(root, "train")

    np.testing.assert_array_equal(dataset[0].label, ids(LABEL, ignored=255))
    np.testing.assert_array_equal(dataset[1].label, ids(LABEL, ignored=255))


def test_label_of_16_bits_holds_classes_above_255(root: Path) -> None:
    (root / "classes.json").write_text(json.dumps([f"class {index}" for index in range(847)]))
    wide = np.array([[846, 255, 65535, 256]] * 3, dtype=np.uint16)
    Image.fromarray(wide).save(label_path(root, "a"))

    np.testing.assert_array_equal(open_folder(root, "train")[0].label, wide)


def test_label_with_palette_gives_its_indices_not_its_colours(root: Path) -> None:
    picture = Image.fromarray(LABEL, mode="P")
    picture.putpalette(list(range(255, -1, -1)) * 3)
    picture.save(label_path(root, "a"))

    np.testing.assert_array_equal(open_folder(root, "train")[0].label, ids(LABEL, ignored=255))


def test_grey_photograph_becomes_three_equal_channels(root: Path) -> None:
    Image.fromarray(COLOURS[..., 0]).save(image_path(root, "a"))

    np.testing.assert_array_equal(open_folder(root, "train")[0].image, np.repeat(COLOURS[..., :1], 3, axis=2))


def test_orientation_is_applied_only_where_the_label_has_the_turned_size(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side: turn it clockwise to see it upright
    Image.fromarray(COLOURS).save(image_path(root, "a"), exif=exif)
    Image.fromarray(np.rot90(COLOURS)).save(image_path(root, "b"), exif=exif)

    dataset = open_folder(root, "train")

    np.testing.assert_array_equal(dataset[0].image, COLOURS)
    np.testing.assert_array_equal(dataset[1].image, COLOURS)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere") in message(open_folder, tmp_path / "nowhere", "train")


def test_missing_split_lists_the_splits_that_are_there(root: Path) -> None:
    shutil.copytree(root / "train", root / "val")

    text = message(open_folder, root, "test")

    assert "'test'" in text
    assert "train, val" in text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        ("{", "is not JSON"),
        ("{}", "no class names"),
        ("[]", "no class names"),
        ('["sky", ""]', "class 1"),
        ('["sky", 3]', "class 1"),
        (r'["sky", "gr\ud83d"]', r"class 1 has half of a surrogate pair in it, 'gr\ud83d'; mend the name"),
        ("[" * 100_000, "brackets within brackets"),
        ('["sky", "road", "sky"]', "'sky' is there 2 times"),
        ('{"classes": ["sky"], "ignore_index": "none"}', "ignore_index must be"),
        ('{"classes": ["sky"], "ignore_index": 65536}', "ignore_index must be"),
        ('{"classes": ["sky", "road"], "ignore_index": 1}', "is also class 1 of 2"),
    ],
)
def test_bad_class_list_is_refused(root: Path, content: str | None, says: str) -> None:
    path = root / "classes.json"
    path.unlink()
    if content is not None:
        path.write_text(content)

    text = message(open_folder, root, "train")

    assert text.startswith(f"{path}: ")
    assert says in text


def test_image_without_label_is_named(root: Path) -> None:
    label_path(root, "b").unlink()

    text = message(open_folder, root, "train")

    assert text.startswith(f"{image_path(root, 'b')}: ")
    assert str(label_path(root, "b")) in text


def test_label_without_image_is_named(root: Path) -> None:
    image_path(root, "a").unlink()

    assert message(open_folder, root, "train").startswith(f"{label_path(root, 'a')}: ")


@pytest.mark.parametrize(
    ("kind", "suffix", "says"),
    [("images", "webp", r"must be .jpg or .jpeg or .png; convert it."), ("labels", "jpg", "must be .png; convert it.")],
)
@pytest.mark.parametrize("has_partner", [True, False])
def test_picture_of_another_format_is_named_as_the_reason(
    root: Path, kind: str, suffix: str, says: str, has_partner: bool
) -> None:
    path = root / "train" / kind / "a.png"
    path.rename(path.with_suffix(f".{suffix}"))
    if not has_partner:  # such a pair would go unnoticed
        (root / "train" / {"images": "labels", "labels": "images"}[kind] / "a.png").unlink()

    assert message(open_folder, root, "train") == f"{path.with_suffix(f'.{suffix}')}: files in {kind}/ {says}"


def test_companions_of_macos_and_other_files_are_no_pictures(root: Path) -> None:
    for name in ("images/._a.png", "labels/._a.png", "images/notes.txt", "images/a.webp"):
        (root / "train" / name).touch()

    assert open_folder(root, "train").sample_ids == ("a", "b")


def test_what_lies_beside_the_pairs_is_counted_and_named_once(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "train" / "images" / "berlin").mkdir()
    for name in ("images/c.heic", "labels/a.npy", "labels/._a.png"):
        (root / "train" / name).touch()

    for _ in range(2):
        open_folder(root, "train")

    (said,) = caplog.messages
    assert said.endswith(
        "3 files are left out, neither photograph nor label of the split: images/berlin, images/c.heic, labels/a.npy"
    )


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_file_name_in_another_encoding_is_refused(root: Path, kind: str) -> None:
    name = os.fsdecode(b"caf\xe9.png")  # Latin-1
    try:
        (root / "train" / kind / name).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")

    says = message(open_folder, root, "train")

    assert says == rf"{root / 'train' / kind}: 'caf\udce9.png' is a file name in another encoding; rename it in UTF-8."
    assert says.isascii()


def test_two_images_of_one_stem_are_refused(root: Path) -> None:
    Image.fromarray(COLOURS).save(image_path(root, "a").with_suffix(".jpg"))

    text = message(open_folder, root, "train")

    assert "a.jpg" in text
    assert "a.png" in text


def test_empty_split_is_refused(root: Path) -> None:
    for stem in ("a", "b"):
        image_path(root, stem).unlink()
        label_path(root, stem).unlink()

    assert "is empty" in message(open_folder, root, "train")


def test_split_without_labels_folder_is_refused(root: Path) -> None:
    shutil.rmtree(root / "train" / "labels")

    assert message(open_folder, root, "train").startswith(f"{root / 'train' / 'labels'}: ")


def test_label_value_out_of_range_names_value_file_and_number_of_classes(root: Path) -> None:
    wrong = LABEL.copy()
    wrong[2, 1] = 7
    Image.fromarray(wrong).save(label_path(root, "a"))

    text = message(open_folder(root, "train").__getitem__, 0)

    assert text.startswith(f"{label_path(root, 'a')}: value 7 at row 2, column 1 ")
    assert "lists 3" in text


def test_mismatched_sizes_are_both_named(root: Path) -> None:
    Image.fromarray(COLOURS[:2]).save(image_path(root, "a"))

    text = message(open_folder(root, "train").__getitem__, 0)

    assert "4 x 2" in text
    assert "4 x 3" in text


def test_truncated_jpeg_is_named(root: Path) -> None:
    image_path(root, "a").unlink()
    path = image_path(root, "a").with_suffix(".jpg")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*LABEL.shape, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-40])

    assert message(open_folder(root, "train").__getitem__, 0).startswith(f"{path}: the photograph cannot be decoded")


@pytest.mark.parametrize("kind", [image_path, label_path])
def test_file_that_is_no_picture_is_named(root: Path, kind: object) -> None:
    path = kind(root, "a")  # type: ignore[operator]
    path.write_bytes(b"<html>not found</html>")

    text = message(open_folder(root, "train").__getitem__, 0)
    assert text.startswith(f"{path}: ")
    assert text.endswith(" cannot be decoded (not an image); replace the file.")


def test_truncated_label_is_named(root: Path) -> None:
    path = label_path(root, "a")
    Image.fromarray(np.random.default_rng(0).integers(0, 3, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:300])

    assert message(open_folder(root, "train").__getitem__, 0).startswith(f"{path}: the label cannot be decoded")


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (Image.fromarray(COLOURS), "3 channels"),
        (Image.fromarray(COLOURS).convert("LA"), "2 channels"),
        (Image.fromarray(LABEL > 0), "fewer than 8 bits"),
    ],
)
def test_label_that_is_no_index_map_is_refused(root: Path, picture: Image.Image, says: str) -> None:
    picture.save(label_path(root, "a"))

    text = message(open_folder(root, "train").__getitem__, 0)

    assert text.startswith(f"{label_path(root, 'a')}: ")
    assert says in text


def test_photograph_of_16_bits_is_refused(root: Path) -> None:
    Image.fromarray(LABEL.astype(np.uint16)).save(image_path(root, "a"))

    assert "8 bits a channel" in message(open_folder(root, "train").__getitem__, 0)


@pytest.mark.photographs
@pytest.mark.parametrize(("name", "num_pairs", "num_classes"), [("camvid", 233, 11), ("msrc", 273, 23)])
def test_real_folder_opens_and_reads(name: str, num_pairs: int, num_classes: int) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"no real photographs in {DATA / name}")

    dataset = open_folder(DATA / name, "test")
    sample = dataset[0]

    assert (len(dataset), len(dataset.class_names)) == (num_pairs, num_classes)
    assert sample.image.shape[:2] == sample.label.shape
    assert set(np.unique(sample.label)) <= {*range(num_classes), IGNORE_INDEX}


def test_one_pixel_of_a_label_changes_the_digest_though_no_size_does(root: Path) -> None:
    before, size = open_folder(root, "train").digest, label_path(root, "a").stat().st_size
    label = LABEL.copy()
    label[0, 0] = 1
    Image.fromarray(label).save(label_path(root, "a"))
    assert label_path(root, "a").stat().st_size == size

    after = open_folder(root, "train").digest
    Image.fromarray(LABEL).save(label_path(root, "a"))

    assert after != before
    assert open_folder(root, "train").digest == before


def test_digest_is_that_of_a_copy_elsewhere(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = shutil.copytree(root, tmp_path_factory.mktemp("elsewhere") / "copy")

    assert open_folder(copy, "train").digest == open_folder(root, "train").digest


def test_digest_of_a_file_that_has_disappeared_names_it(root: Path) -> None:
    dataset = open_folder(root, "train")
    image_path(root, "b").unlink()

    with pytest.raises(InputError, match=r"b\.png: cannot be read"):
        _ = dataset.digest
