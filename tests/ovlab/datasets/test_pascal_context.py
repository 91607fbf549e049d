import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from PIL import Image
from pycocotools import mask as coco_mask

from ovlab.datasets.pascal_context import open_pascal_context_59, open_pascal_context_459
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.datasets.vocabulary import load_raw_ids, load_vocabulary
from ovlab.specs.errors import InputError

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "samples" / "pascal_context_rgb"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"{SAMPLES} is missing")

ID = "2008_000002"

# pycocotools 2.0.11 predates the copy argument of NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """VOCdevkit/VOC2010 with one photograph of 3 rows and 4 columns, and its folder for the .mat files."""
    root = tmp_path / "VOCdevkit" / "VOC2010"
    (root / "JPEGImages").mkdir(parents=True)
    (root / "trainval").mkdir()
    Image.new("RGB", (4, 3)).save(root / "JPEGImages" / f"{ID}.jpg")
    (root / "pascalcontext_val.txt").write_text(f"{ID}\n")
    names = load_vocabulary("pc-459").entries
    (root / "labels.txt").write_text("".join(f"{number}: {name}\n" for number, name in enumerate(names, start=1)))
    return root


def merged_json(raw_maps: dict[str, np.ndarray], phase: str = "val", with_regions: bool = True) -> dict[str, Any]:
    """trainval_merged.json of label maps of category ids, in the format of the Detail API: one region an id."""
    regions = []
    for stem, raw in raw_maps.items():
        for category_id in np.unique(raw[raw > 0]).tolist() if with_regions else ():
            encoded = coco_mask.encode(np.asfortranarray((raw == category_id).astype(np.uint8)))
            regions.append(
                {
                    "id": len(regions),
                    "image_id": int(stem.replace("_", "")),
                    "category_id": category_id,
                    "iscrowd": 0,
                    "parts": [],
                    "segmentation": {"size": encoded["size"], "counts": encoded["counts"].decode()},
                }
            )
    return {
        "info": {"description": "PASCAL-Context"},
        "images": [
            {
                "file_name": f"{stem}.jpg",
                "image_id": int(stem.replace("_", "")),
                "phase": phase,
                "height": raw.shape[0],
                "width": raw.shape[1],
            }
            for stem, raw in raw_maps.items()
        ],
        "annos_segmentation": regions,
        "categories": [
            {"category_id": number, "name": name}
            for number, name in enumerate(load_vocabulary("pc-459").entries, start=1)
        ],
    }


def write_merged(voc: Path, data: dict[str, Any]) -> Path:
    (voc / "trainval_merged.json").write_text(json.dumps(data))
    return voc.parent.parent


def test_pc_59_ids_are_remapped_and_the_others_ignored(voc: Path) -> None:
    # aeroplane 2, accordion 1 (not of the 59), table 397, wood 458, nothing 0
    raw = np.array([[2, 2, 1, 0], [397, 397, 1, 0], [458, 458, 458, 458]])

    split = open_pascal_context_59(write_merged(voc, merged_json({ID: raw})), "val")

    ignore = IGNORE_INDEX
    np.testing.assert_array_equal(
        split.read(ID).label, [[0, 0, ignore, ignore], [49, 49, ignore, ignore], [58, 58, 58, 58]]
    )
    assert (split.class_names[0], split.class_names[49], split.class_names[58]) == ("aeroplane", "diningtable", "wood")
    assert split.expected_count == 5104


def test_pc_59_every_published_id_becomes_its_position(voc: Path) -> None:
    raw = np.array([load_raw_ids("pc-59")])
    Image.new("RGB", (59, 1)).save(voc / "JPEGImages" / f"{ID}.jpg")

    split = open_pascal_context_59(write_merged(voc, merged_json({ID: raw})), "val")

    np.testing.assert_array_equal(split.read(ID).label, [np.arange(59)])


def test_pc_59_phases_are_its_splits(voc: Path) -> None:
    source = write_merged(voc, merged_json({ID: np.full((3, 4), 2)}, phase="train"))

    split = open_pascal_context_59(source, "train")

    assert (split.sample_ids, split.expected_count) == ((ID,), 4996)
    assert open_pascal_context_59(source, "val").sample_ids == ()


def test_pc_59_sent_to_another_process_reads_the_same(voc: Path) -> None:
    split = open_pascal_context_59(write_merged(voc, merged_json({ID: np.full((3, 4), 2)})), "val")

    np.testing.assert_array_equal(pickle.loads(pickle.dumps(split)).read(ID).label, np.zeros((3, 4)))


def test_pc_59_category_that_the_file_does_not_list_is_refused_by_name(voc: Path) -> None:
    split = open_pascal_context_59(write_merged(voc, merged_json({ID: np.full((3, 4), 460)})), "val")

    with pytest.raises(InputError, match=rf"trainval_merged\.json, image {ID}: label value\(s\) 460 are not"):
        split.read(ID)


def test_regions_of_an_image_that_is_not_listed_are_noted(voc: Path) -> None:
    data = merged_json({ID: np.full((3, 4), 2)})
    data["annos_segmentation"].append({**data["annos_segmentation"][0], "image_id": 7})

    (note,) = open_pascal_context_59(write_merged(voc, data), "val").notes

    assert "1 region(s) of images that are not listed left out: 7" in note


def test_pc_59_image_without_regions_is_refused_by_name(voc: Path) -> None:
    data = merged_json({ID: np.full((3, 4), 2)}, with_regions=False)

    with pytest.raises(InputError, match=rf"trainval_merged\.json, image {ID}: no region is annotated"):
        open_pascal_context_59(write_merged(voc, data), "val").read(ID)


def test_pc_59_photograph_of_another_size_is_refused_by_name(voc: Path) -> None:
    split = open_pascal_context_59(write_merged(voc, merged_json({ID: np.full((4, 3), 2)})), "val")

    with pytest.raises(InputError, match=rf"image {ID}: the label is 3 x 4, its photograph {ID}\.jpg is 4 x 3\."):
        split.read(ID)


def test_pc_59_missing_photograph_is_refused_by_name(voc: Path) -> None:
    raw = np.full((3, 4), 2)
    split = open_pascal_context_59(write_merged(voc, merged_json({ID: raw, "2008_000003": raw})), "val")

    with pytest.raises(InputError, match=r"2008_000003\.jpg: no such photograph"):
        split.read("2008_000003")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.uint64])
def test_pc_459_labels_are_one_less(voc: Path, dtype: type) -> None:
    last = min(459, np.iinfo(dtype).max)
    raw = np.array([[1, 2, 3, 4], [last] * 4, [1] * 4], dtype=dtype)
    scipy.io.savemat(voc / "trainval" / f"{ID}.mat", {"LabelMap": raw})

    split = open_pascal_context_459(voc.parent.parent, "val")
    pair = split.read(ID)

    np.testing.assert_array_equal(pair.label, [[0, 1, 2, 3], [last - 1] * 4, [0] * 4])
    assert pair.label.dtype == np.uint16
    assert (split.sample_ids, split.expected_count, split.notes) == ((ID,), 5104, ())
    assert (split.class_names[0], split.class_names[430]) == ("accordion", "unknown")


@pytest.mark.parametrize(("value", "found"), [(0, r"0 \.\. 5"), (460, r"5 \.\. 460")])
def test_pc_459_value_out_of_range_is_refused_by_name(voc: Path, value: int, found: str) -> None:
    raw = np.full((3, 4), 5, dtype=np.uint16)
    raw[1, 1] = value
    scipy.io.savemat(voc / "trainval" / f"{ID}.mat", {"LabelMap": raw})

    with pytest.raises(InputError, match=rf"{ID}\.mat: LabelMap holds {found}, allowed are 1 \.\. 459\."):
        open_pascal_context_459(voc.parent.parent, "val").read(ID)


@pytest.mark.parametrize("content", [b"not MATLAB", b"", bytes(200)])
def test_pc_459_file_that_is_not_matlab_is_refused_by_name(voc: Path, content: bytes) -> None:
    (voc / "trainval" / f"{ID}.mat").write_bytes(content)

    with pytest.raises(InputError, match=rf"{ID}\.mat: not a MATLAB file with a LabelMap \(\w+: ?.*\)\.$"):
        open_pascal_context_459(voc.parent.parent, "val").read(ID)


@pytest.mark.parametrize(
    ("matrices", "reason"),
    [({"Other": np.ones((3, 4))}, "not a MATLAB file with a LabelMap"), ({"LabelMap": np.ones((3, 4))}, "float64")],
)
def test_pc_459_file_with_another_matrix_is_refused_by_name(voc: Path, matrices: dict[str, Any], reason: str) -> None:
    scipy.io.savemat(voc / "trainval" / f"{ID}.mat", matrices)

    with pytest.raises(InputError, match=rf"{ID}\.mat: .*{reason}"):
        open_pascal_context_459(voc.parent.parent, "val").read(ID)


def test_pc_459_label_missing_is_refused_by_name(voc: Path) -> None:
    scipy.io.savemat(voc / "trainval" / "2008_000009.mat", {"LabelMap": np.ones((3, 4), dtype=np.uint16)})

    with pytest.raises(InputError, match=rf"{ID}\.mat: no such label; its photograph has no partner"):
        open_pascal_context_459(voc.parent.parent, "val").read(ID)


@pytest.fixture
def labelled(voc: Path) -> Path:
    scipy.io.savemat(voc / "trainval" / f"{ID}.mat", {"LabelMap": np.ones((3, 4), dtype=np.uint16)})
    return voc


def test_pc_459_without_its_list_goes_by_the_phases_of_the_json(labelled: Path) -> None:
    (labelled / "pascalcontext_val.txt").unlink()
    source = write_merged(labelled, merged_json({ID: np.ones((3, 4), dtype=int)}))

    assert open_pascal_context_459(source, "val").sample_ids == (ID,)


def test_pc_459_without_any_list_says_which_files_would_do(labelled: Path) -> None:
    (labelled / "pascalcontext_val.txt").unlink()

    with pytest.raises(InputError, match=r"images at pascalcontext_val\.txt or trainval_merged\.json, found"):
        open_pascal_context_459(labelled, "val")


@pytest.mark.parametrize("name", ["pascalcontext_val.txt", "labels.txt"])
def test_pc_459_text_in_another_encoding_is_refused(labelled: Path, name: str) -> None:
    (labelled / name).write_bytes(b"1: caf\xe9")

    with pytest.raises(InputError, match=rf"{name}: no text in UTF-8"):
        open_pascal_context_459(labelled, "val")


@pytest.mark.parametrize("change", [lambda text: text.replace("7: atrium", "7: hall"), lambda text: text[:300]])
def test_pc_459_with_the_names_of_another_set_is_refused(labelled: Path, change: Callable[[str], str]) -> None:
    text = (labelled / "labels.txt").read_text()
    (labelled / "labels.txt").write_text(change(text))

    with pytest.raises(InputError, match=r"labels\.txt: found .*of PASCAL-Context\.$"):
        open_pascal_context_459(labelled, "val")


def test_pc_459_without_its_names_says_so(labelled: Path) -> None:
    (labelled / "labels.txt").unlink()

    (note,) = open_pascal_context_459(labelled, "val").notes

    assert "labels.txt is not there" in note


@needs_samples
@pytest.mark.photographs
def test_samples_written_in_the_published_format_read_back_equal(tmp_path: Path) -> None:
    # the colour files of the samples name the 59 classes in the order of pas-20b, 0 is none of them
    names = load_vocabulary("pas-20b").entries
    class_names = load_vocabulary("pc-59").entries
    raw_ids = dict(zip(class_names, load_raw_ids("pc-59"), strict=True))
    to_raw = np.array([0, *(raw_ids[name] for name in names)])
    derived = {path.stem: np.asarray(Image.open(path)) for path in sorted((SAMPLES / "index_DERIVED").glob("*.png"))}
    root = tmp_path / "VOC2010"
    root.mkdir()
    (root / "JPEGImages").symlink_to(SAMPLES)
    (root / "trainval_merged.json").write_text(json.dumps(merged_json({k: to_raw[v] for k, v in derived.items()})))

    split = open_pascal_context_59(tmp_path, "val")

    assert len(split.sample_ids) == 4
    for sample_id in split.sample_ids:
        label = split.read(sample_id).label
        expected = [None if index == 0 else names[index - 1] for index in np.unique(derived[sample_id])]
        back = np.array([names.index(name) + 1 for name in class_names] + [0])
        np.testing.assert_array_equal(back[np.where(label == IGNORE_INDEX, 59, label)], derived[sample_id])
        assert {class_names[i] if i != IGNORE_INDEX else None for i in np.unique(label)} == set(expected)
