import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.ade20k import NUM_OBJECTS, open_ade20k_150, open_ade20k_847
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.datasets.vocabulary import load_raw_ids, load_vocabulary
from ovlab.specs.errors import InputError

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "samples"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"{SAMPLES} is missing")

SCENE = "images/ADE/validation/urban/street"
WriteFull = Callable[..., Path]


def colours(objects: np.ndarray) -> np.ndarray:
    """The published encoding of object ids: R holds id // 256 in its tens, G the rest, B the instance."""
    return np.stack([objects // 256 * 10 + 7, objects % 256, np.arange(objects.size).reshape(objects.shape) % 256], -1)


@pytest.fixture
def write_full(tmp_path: Path) -> WriteFull:
    """Writes one validation pair of the full ADE20K with the given object ids; returns the folder above."""

    def pair(objects: np.ndarray, stem: str = "ADE_val_00000001", scene: str = SCENE) -> Path:
        folder = tmp_path / "ADE20K_2021_17_01" / scene
        (folder / stem).mkdir(parents=True, exist_ok=True)
        gradient = np.linspace(0, 255, objects.size).reshape(objects.shape).astype(np.uint8)
        Image.fromarray(np.stack([gradient] * 3, -1)).save(folder / f"{stem}.jpg")
        Image.fromarray(colours(objects).astype(np.uint8)).save(folder / f"{stem}_seg.png")
        Image.new("RGB", (2, 2)).save(folder / f"{stem}_parts_1.png")
        Image.new("L", (2, 2)).save(folder / stem / f"instance_000_{stem}.png")
        (folder / f"{stem}.json").write_text("{}")
        return tmp_path

    return pair


def published_index(names: dict[int, str]) -> dict[str, object]:
    """index_ade20k.pkl in small: its keys and types, for one image; `names` by object id."""
    objectnames = [names.get(position, f"object {position}") for position in range(1, NUM_OBJECTS + 1)]
    return {
        "filename": ["ADE_val_00000001.jpg"],
        "folder": [f"ADE20K_2021_17_01/{SCENE}"],
        "scene": ["/street"],
        "objectIsPart": np.zeros((NUM_OBJECTS, 1)),
        "objectPresence": np.ones((NUM_OBJECTS, 1)),
        "objectcounts": np.ones(NUM_OBJECTS),
        "objectnames": objectnames,
        "proportionClassIsPart": np.zeros(NUM_OBJECTS),
        "wordnet_found": np.ones(NUM_OBJECTS),
        "description": {"objectnames": "array of length C with the object class names."},
    }


def published_names() -> dict[int, str]:
    return dict(zip(load_raw_ids("a-847"), load_vocabulary("a-847").entries, strict=True))


def test_a_150_labels_are_one_less_and_zero_is_ignored(tmp_path: Path) -> None:
    raw = np.array([[0, 1], [150, 8]], dtype=np.uint8)
    for folder in ("images/training", "annotations/training"):
        (tmp_path / "ADEChallengeData2016" / folder).mkdir(parents=True)
    Image.new("RGB", (2, 2)).save(tmp_path / "ADEChallengeData2016/images/training/ADE_train_00000001.jpg")
    Image.fromarray(raw).save(tmp_path / "ADEChallengeData2016/annotations/training/ADE_train_00000001.png")

    split = open_ade20k_150(tmp_path, "train")

    np.testing.assert_array_equal(split.read("ADE_train_00000001").label, [[IGNORE_INDEX, 0], [149, 7]])
    assert (split.class_names[0], split.class_names[7], split.class_names[149]) == ("wall", "bed", "flag")
    assert split.expected_count == 20210
    assert open_ade20k_150(tmp_path / "ADEChallengeData2016", "train").sample_ids == split.sample_ids


def test_a_150_companions_of_macos_and_other_formats_are_left_out_and_named(tmp_path: Path) -> None:
    for folder, name in (("images", "ADE_val_00000001.jpg"), ("annotations", "ADE_val_00000001.png")):
        (tmp_path / folder / "validation").mkdir(parents=True)
        Image.new("L", (2, 2), 1).save(tmp_path / folder / "validation" / name)
        (tmp_path / folder / "validation" / f"._{name}").write_bytes(b"\0\5\x16\7")
    (tmp_path / "images" / "validation" / "ADE_val_00000002.JPG").touch()

    split = open_ade20k_150(tmp_path, "val")

    assert split.sample_ids == ("ADE_val_00000001",)
    (note,) = split.notes
    assert "3 files are left out" in note
    assert "validation/._ADE_val_00000001.jpg, validation/._ADE_val_00000001.png, validation/ADE_val_00000002" in note


def test_a_150_label_beyond_the_150_is_refused_by_name(tmp_path: Path) -> None:
    for folder, name in (("images", "ADE_val_00000001.jpg"), ("annotations", "ADE_val_00000001.png")):
        (tmp_path / folder / "validation").mkdir(parents=True)
        Image.new("L", (2, 2), 151).save(tmp_path / folder / "validation" / name)

    with pytest.raises(InputError, match=r"ADE_val_00000001\.png: label value\(s\) 151 are not"):
        open_ade20k_150(tmp_path, "val").read("ADE_val_00000001")


def test_a_847_object_ids_become_train_ids_and_the_others_are_ignored(write_full: WriteFull) -> None:
    # wall and car are classes 0 and 34 of the vocabulary; 0 is unlabelled, 1 an object outside the 847
    objects = np.array([[2978, 401, 0], [1, 2978, NUM_OBJECTS]])
    source = write_full(objects)

    split = open_ade20k_847(source, "val")
    label = split.read("ADE_val_00000001").label

    car = split.class_names.index("car, auto, automobile, machine, motorcar")
    np.testing.assert_array_equal(label, [[0, car, IGNORE_INDEX], [IGNORE_INDEX, 0, IGNORE_INDEX]])
    assert (split.sample_ids, split.expected_count) == (("ADE_val_00000001",), 2000)
    assert open_ade20k_847(source / "ADE20K_2021_17_01", "val").sample_ids == split.sample_ids


def test_a_847_every_published_id_becomes_its_position(write_full: WriteFull) -> None:
    split = open_ade20k_847(write_full(np.array([load_raw_ids("a-847")])), "val")

    np.testing.assert_array_equal(split.read("ADE_val_00000001").label, [np.arange(847)])


def test_a_847_id_beyond_the_published_objects_is_refused_by_name(write_full: WriteFull) -> None:
    split = open_ade20k_847(write_full(np.array([[2978, NUM_OBJECTS + 1]])), "val")

    with pytest.raises(InputError, match=r"ADE_val_00000001_seg\.png: label value\(s\) 3689 are not"):
        split.read("ADE_val_00000001")


def test_a_847_small_photograph_is_left_as_downloaded(write_full: WriteFull) -> None:
    source = write_full(np.full((512, 600), 2978))

    pair = open_ade20k_847(source, "val").read("ADE_val_00000001")

    assert pair.image_bytes == (source / "ADE20K_2021_17_01" / SCENE / "ADE_val_00000001.jpg").read_bytes()
    assert pair.label.shape == (512, 600)


def test_a_847_large_pair_is_resized_to_a_short_side_of_512(write_full: WriteFull) -> None:
    # 1024 x 1536 is halved: the pixel kept is the upper left one of four
    objects = np.zeros((1024, 1536), dtype=int)
    objects[::2, ::2] = 2978

    pair = open_ade20k_847(write_full(objects), "val").read("ADE_val_00000001")

    with Image.open(io.BytesIO(pair.image_bytes)) as image:
        assert (image.format, image.size) == ("JPEG", (768, 512))
    np.testing.assert_array_equal(pair.label, np.zeros((512, 768)))


def test_a_847_splits_are_told_apart_by_their_folder_whatever_the_files_are_called(write_full: WriteFull) -> None:
    source = write_full(np.array([[2978]]))
    for stem in ("ADE_train_00000009", "ADE_frame_00000071"):
        write_full(np.array([[2978]]), stem, "images/ADE/training/home/bedroom")
    write_full(np.array([[2978]]), "ADE_frame_00000082")

    train, val = (open_ade20k_847(source, split) for split in ("train", "val"))

    assert train.sample_ids == ("ADE_frame_00000071", "ADE_train_00000009")
    assert val.sample_ids == ("ADE_frame_00000082", "ADE_val_00000001")
    np.testing.assert_array_equal(train.read("ADE_frame_00000071").label, [[0]])


def test_a_847_files_that_are_left_out_are_counted_and_named(write_full: WriteFull) -> None:
    source = write_full(np.array([[2978]]))
    for name in ("._ADE_val_00000001.jpg", "._ADE_val_00000001.json", "ADE_val_00000002.webp"):
        (source / "ADE20K_2021_17_01" / SCENE / name).touch()

    split = open_ade20k_847(source, "val")

    assert split.sample_ids == ("ADE_val_00000001",)
    folder = "urban/street"
    named = f"{folder}/._ADE_val_00000001.jpg, {folder}/._ADE_val_00000001.json, {folder}/ADE_val_00000002.webp"
    assert split.notes[1].endswith(
        f"validation: 3 files are left out, neither photograph nor label of the split: {named}"
    )


def test_a_847_image_that_is_in_two_scenes_is_refused(write_full: WriteFull) -> None:
    source = write_full(np.array([[2978]]))
    write_full(np.array([[401]]), scene="images/ADE/validation/urban/alley")

    with pytest.raises(InputError, match=r"ADE_val_00000001 is in urban/\w+ and in urban/\w+; keep one"):
        open_ade20k_847(source, "val")


def test_a_847_missing_partner_has_an_id_and_is_named_when_read(write_full: WriteFull) -> None:
    source = write_full(np.array([[2978]]))
    (source / "ADE20K_2021_17_01" / SCENE / "ADE_val_00000001.jpg").unlink()

    with pytest.raises(InputError, match=r"street/ADE_val_00000001\.jpg: no such photograph"):
        open_ade20k_847(source, "val").read("ADE_val_00000001")


def test_a_847_with_its_index_is_checked_and_without_it_says_so(write_full: WriteFull) -> None:
    source = write_full(np.array([[2978]]))
    (note,) = open_ade20k_847(source, "val").notes
    assert "index_ade20k.pkl is not there" in note

    (source / "ADE20K_2021_17_01" / "index_ade20k.pkl").write_bytes(pickle.dumps(published_index(published_names())))

    assert open_ade20k_847(source, "val").notes == ()


def test_a_847_with_the_index_of_another_release_is_refused(write_full: WriteFull) -> None:
    source = write_full(np.array([[2978]]))
    shifted = {raw_id + 1: name for raw_id, name in published_names().items()}
    (source / "ADE20K_2021_17_01" / "index_ade20k.pkl").write_bytes(pickle.dumps(published_index(shifted)))

    with pytest.raises(InputError, match=r"index_ade20k\.pkl: object 2978 is '.*', expected 'wall'"):
        open_ade20k_847(source, "val")


def test_a_847_folder_without_pairs_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "images/ADE/validation/urban").mkdir(parents=True)

    with pytest.raises(InputError, match=r"expected GROUP/SCENE/ADE_val_\*\.jpg with \*_seg\.png"):
        open_ade20k_847(tmp_path, "val")


@needs_samples
@pytest.mark.photographs
@pytest.mark.parametrize(("split_name", "folder", "num_pairs"), [("train", "training", 3), ("val", "validation", 5)])
def test_a_150_samples_read_back_equal_to_the_files(split_name: str, folder: str, num_pairs: int) -> None:
    split = open_ade20k_150(SAMPLES, split_name)
    root = SAMPLES / "ADEChallengeData2016"

    assert len(split.sample_ids) == num_pairs
    for sample_id in split.sample_ids:
        pair = split.read(sample_id)
        original = np.array(Image.open(root / "annotations" / folder / f"{sample_id}.png"))
        np.testing.assert_array_equal(np.where(pair.label == IGNORE_INDEX, 0, pair.label + 1), original)
        assert pair.image_bytes == (root / "images" / folder / f"{sample_id}.jpg").read_bytes()


@needs_samples
@pytest.mark.photographs
def test_a_150_names_are_the_first_synonyms_of_the_download() -> None:
    lines = (SAMPLES / "ADEChallengeData2016" / "objectInfo150.txt").read_text().splitlines()[1:]
    first = [line.split("\t")[4].split(",")[0].strip() for line in lines]

    differing = {
        (line, name) for line, name in zip(first, load_vocabulary("a-150").entries, strict=True) if line != name
    }
    assert differing == {("television", "television receiver")}


@needs_samples
@pytest.mark.photographs
@pytest.mark.parametrize("stem", ["ADE_train_00016869", "ADE_train_00016900"])
def test_a_847_samples_hold_the_objects_that_their_annotation_names(stem: str) -> None:
    folder = SAMPLES / "ADE20K_2021_17_01/images/ADE/training/urban/street"
    split = open_ade20k_847(SAMPLES, "train")
    annotation = json.loads((folder / f"{stem}.json").read_text(encoding="latin1"))["annotation"]
    pixels = np.asarray(Image.open(folder / f"{stem}_seg.png")).astype(int)
    height, width = pixels.shape[:2]

    label = split.read(stem).label

    # both are larger than 512 x 683, which they become
    assert label.shape == (512, 683)
    rows, columns = np.arange(512) * height // 512, (np.arange(683) * (width / 683)).astype(int)
    picked = pixels[np.ix_(rows, columns)]
    objects = picked[..., 0] // 10 * 256 + picked[..., 1]
    named = {entry["name_ndx"]: entry["name"] for entry in annotation["object"]}
    for object_id in np.unique(objects):
        indices = np.unique(label[objects == object_id])
        expected = named[object_id] if object_id else None
        assert [split.class_names[index] if index != IGNORE_INDEX else None for index in indices] == [expected]
