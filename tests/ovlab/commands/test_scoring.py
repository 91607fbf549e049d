"""What `ovlab evaluate` says of the labels that its scores are of."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.cli import main
from ovlab.store.store import open_store

# Words that the small CLIP knows.
CLASSES = ["sky", "stone"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))


def folder(root: Path, classes: object, lower: int, upper: int = 0, width: int = 40) -> Path:
    """Two pairs whose labels are `upper` above and `lower` below."""
    for kind in ("images", "labels"):
        (root / "val" / kind).mkdir(parents=True)
    for number in range(2):
        label = np.full((32, width), upper, np.uint8)
        label[16:] = lower
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (32, width, 3), np.uint8)).save(
            root / "val" / "images" / f"{number}.png"
        )
        Image.fromarray(label).save(root / "val" / "labels" / f"{number}.png")
    (root / "classes.json").write_text(json.dumps(classes))
    return root


def evaluate(root: Path, *options: str) -> int:
    return main(["evaluate", "clip:shapes-vit-s", "--data", str(root), "--store", str(root.parent / "store"), *options])


@pytest.mark.parametrize("options", [(), ("--limit", "1")])
def test_evaluate_masks_of_0_and_255_is_refused_before_anything_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    assert evaluate(folder(tmp_path / "mine", CLASSES, lower=255), *options) == 2

    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ovlab: ")]
    assert "50.0 % of the pixels hold the largest value" in said
    assert "no pixel is 'stone'" in said
    assert list(open_store(str(tmp_path / "store")).evaluations()) == []
    assert not list((tmp_path / "store").glob("**/*.parquet"))


@pytest.mark.parametrize("options", [(), ("--limit", "1")])
def test_evaluate_says_which_classes_never_occur_and_how_much_is_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    mine = folder(tmp_path / "mine", {"classes": CLASSES, "ignore_index": 255}, lower=255)

    assert evaluate(mine, *options) == 0

    assert "mine: 1 of 2 classes occur (never 'stone'); 50.00 % of the pixels are ignored" in capsys.readouterr().out


def test_evaluate_of_painted_scenes_says_so_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "clip:shapes-vit-s", "--data", "shapes-a-150", "--limit", "2", "--store", str(tmp_path)]

    assert main(command) == 0

    (said,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("shapes-a-150: ")]
    assert "classes occur (never " in said
    assert said.endswith(" more); 0.00 % of the pixels are ignored")


def test_evaluate_flags_the_classes_whose_mean_is_miou(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Over all classes with an IoU, of which those that are only predicted have 0, the mean is legacy_miou."""
    classes = {"classes": ["sky", "stone", "grass", "brick", "hedge"], "ignore_index": 255}

    assert evaluate(folder(tmp_path / "mine", classes, lower=1), "--json") == 0

    found = json.loads(capsys.readouterr().out)
    flags = {entry["name"]: entry["in_ground_truth"] for entry in found["classes"]}
    assert [name for name, is_there in flags.items() if is_there] == ["sky", "stone"]
    present = [entry["iou"] for entry in found["classes"] if entry["in_ground_truth"]]
    known = [entry["iou"] for entry in found["classes"] if entry["iou"] is not None]
    assert len(known) > len(present)
    assert found["miou"] == pytest.approx(np.mean(present))
    assert found["legacy_miou"] == pytest.approx(np.mean(known))


def test_evaluate_where_everything_is_ignored_has_no_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = folder(tmp_path / "mine", {"classes": CLASSES, "ignore_index": 255}, lower=255, upper=255)

    assert evaluate(mine, "--json") == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["fwiou"], found["miou"], found["pixel_accuracy"]) == (None, None, None)
    assert (found["num_pixels"], found["num_ignored_pixels"]) == (0, 2 * 32 * 40)


@pytest.mark.parametrize(("width", "bound"), [(1300, None), (1400, 4096)])
def test_evaluate_says_where_narrow_pictures_are_squeezed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], width: int, bound: int | None
) -> None:
    """At 96 a side, 32 x 1300 pixels become 96 x 3904, and 32 x 1400 would become 96 x 4192."""
    mine = folder(tmp_path / "mine", CLASSES, lower=1, width=width)

    assert evaluate(mine, "--limit", "1") == 0
    said = capsys.readouterr().out
    assert evaluate(mine, "--limit", "1", "--json") == 0

    assert ("mine: its narrowest pictures are squeezed to a long side of 4096 pixels" in said) == (bound is not None)
    assert json.loads(capsys.readouterr().out)["longest_side"] == bound


def test_evaluate_rejection_of_a_model_without_auxiliary_heads_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = folder(tmp_path / "mine", CLASSES, lower=1)

    assert evaluate(mine, "--early-rejection", "4", "2") == 2

    assert "clip:shapes-vit-s has no auxiliary heads" in capsys.readouterr().err
