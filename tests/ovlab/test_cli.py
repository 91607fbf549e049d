"""The commands as a person calls them: a whole run, and one clear line for every wrong call."""

import json
import os
import shlex
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from logoseg.clip import known_files
from logoseg.clip.shipped import shipped_clip
from logoseg.presets import PRESETS
from ovlab.cli import build_parser, main
from ovlab.commands.demo import next_commands
from ovlab.store.store import open_store

# A network of a second, on images of 64 px.
MICRO = [
    *("--set", "model.clip.image_size=64", "--set", "augmentation.crop_size=64"),
    *("--set", "model.guidance_dim=16", "--set", "model.attention_heads=2", "--set", "model.region_grid=2"),
    *("--set", "model.fusion_depth=1", "--set", "model.decoder_dims=[16,16]", "--set", "model.stripe_width=2"),
    *("--set", "model.state_dim=4", "--loader-workers", "0"),
]
CLASSES = ("road", "tree", "sky")


def write_pair(root: Path, split: str, stem: str, label: np.ndarray) -> None:
    for part in ("images", "labels"):
        (root / split / part).mkdir(parents=True, exist_ok=True)
    colours = np.array([(90, 90, 90), (30, 160, 30), (120, 180, 250)], np.uint8)
    Image.fromarray(colours[label % 3]).save(root / split / "images" / f"{stem}.jpg")
    Image.fromarray(label.astype(np.uint8)).save(root / split / "labels" / f"{stem}.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six photographs of three stripes each."""
    root = tmp_path / "photographs"
    for index in range(6):
        label = np.zeros((64, 80), np.int64)
        label[: 20 + 3 * index], label[:, 60:] = 2, 1
        write_pair(root, "train" if index < 4 else "val", f"{index}", label)
    (root / "classes.json").write_text(json.dumps({"classes": CLASSES, "ignore_index": 255}))
    return root


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))


def train(folder: Path, out: Path, *options: str) -> list[str]:
    return ["train", "--data", str(folder), "--out", str(out), "--steps", "2", "--batch-size", "2", *MICRO, *options]


@pytest.mark.parametrize(
    ("line", "words"),
    [("ovlab ev", {"evaluate"}), ("ovlab run --su", {"--suite"}), ("ovlab run table4 --suite sh", {"shapes"})],
)
def test_shell_asking_how_a_line_may_go_on_is_told(tmp_path: Path, line: str, words: set[str]) -> None:
    told = tmp_path / "told"
    asking = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(told), "_ARGCOMPLETE_IFS": "\n"}
    asking |= {"COMP_LINE": line, "COMP_POINT": str(len(line))}

    subprocess.run([sys.executable, "-m", "ovlab"], env=os.environ | asking, check=True, capture_output=True)

    assert {word.strip() for word in told.read_text().splitlines()} == words


def test_train_evaluate_predict_from_folder_to_overlay(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"

    assert main(train(folder, run, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "finished"
    assert main(train(folder, run, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "already_finished"

    assert main(["evaluate", str(run), "--data", str(folder), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["num_images"] == 2
    assert [entry["name"] for entry in figures["classes"]] == list(CLASSES)
    assert 0 <= figures["miou"] <= 1
    assert json.loads((run / "evaluation-photographs-val.json").read_text()) == figures

    photo = folder / "val" / "images" / "4.jpg"
    words = "road, something new, a red car"
    assert main(["predict", str(photo), "--weights", str(run), "--classes", words, "--out", str(tmp_path)]) == 0
    labels = np.asarray(Image.open(tmp_path / "4-labels.png"))
    assert labels.shape == (64, 80)
    assert labels.max() < 3
    with Image.open(tmp_path / "4-overlay.png") as overlay:
        assert overlay.height > 64  # the legend is below the photograph


def test_train_validated_and_tracked_leaves_scores_in_mlflow_and_the_best_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = tmp_path / "run"

    assert main(train(folder, run, "--validate-every", "1", "--track", "--json")) == 0

    told = capsys.readouterr()
    outcome = json.loads(told.out)
    assert f"curves: mlflow ui --backend-store-uri sqlite:///{run}/tracking/mlflow.db" in told.err
    assert outcome["best"]["split"] == "val"
    assert outcome["best"]["weights"] == str(run / "best.safetensors")
    assert main(["evaluate", outcome["best"]["weights"], "--data", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["miou"] == outcome["best"]["figures"]["miou"]
    with closing(sqlite3.connect(run / "tracking" / "mlflow.db")) as database:
        points = database.execute("select key, step from metrics where key in ('validation/miou', 'train/loss')")
        assert sorted(points) == [("train/loss", 1), ("train/loss", 2), ("validation/miou", 1), ("validation/miou", 2)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--validate-split", "train"], "--validate-split train: the training is on train, which has images of it"),
        (["--validate-split", "train-held-out"], "the training is on train, which has images of it"),
        (["--split", "val"], "--validate-split val: the training is on val"),
        (["--split", "train-fit", "--validate-split", "train-held-out"], "200 images are held out"),
        (["--validate-images", "0"], "--validate-images must be at least 1, got 0."),
    ],
)
def test_train_validated_on_what_it_is_trained_on_or_on_nothing_is_refused(
    options: list[str], reason: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(train(folder, tmp_path / "run", "--validate-every", "1", *options)) == 2

    assert reason in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_train_names_the_classes_without_a_pixel(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "classes.json").write_text(json.dumps({"classes": [*CLASSES, "boat"], "ignore_index": 255}))

    assert main(train(folder, tmp_path / "run")) == 0

    assert "photographs: no pixel of the training data is 'boat'" in caplog.text


def test_train_that_diverges_in_its_last_update_is_work_that_failed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diverging = train(folder, tmp_path / "run", "--steps", "1", "--set", "schedule.learning_rate=1e308")

    assert main(diverging) == 1

    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ovlab: ")]
    assert "step 1: " in said
    assert "holds NaN or infinity" in said
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    assert list(open_store(str(tmp_path / "run")).trainings()) == []


def test_train_again_after_a_label_has_changed_does_not_take_the_weights_for_those_of_the_new_data(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names and sizes are as they were; one pixel is not."""
    run = tmp_path / "run"
    assert main(train(folder, run)) == 0
    changed = np.zeros((64, 80), np.int64)
    changed[0, 0] = 1
    write_pair(folder, "train", "0", changed)
    capsys.readouterr()

    assert main(train(folder, run)) == 2

    assert "the samples of photographs train have changed since this run began" in capsys.readouterr().err
    (record,) = open_store(str(run)).trainings()
    assert record.num_steps == 2


def test_train_into_a_store_leaves_a_record_and_is_not_done_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = train(folder, tmp_path / "work", "--store", str(tmp_path / "store"), "--json")

    assert main(command) == 0
    printed = json.loads(capsys.readouterr().out)
    assert main([*command, "--workers", "2"]) == 0  # done, so no Ray is started

    assert json.loads(capsys.readouterr().out) == printed
    (record,) = open_store(str(tmp_path / "store")).trainings()
    assert (record.fingerprint, record.num_steps) == (printed["fingerprint"], 2)
    assert Path(printed["weights"]).is_file()
    assert (tmp_path / "work" / record.fingerprint / "weights.safetensors").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--out RUN, or --store STORE"),
        (("--store", "store", "--workers", "3"), "batch_size = 4 images equally"),
    ],
)
def test_train_with_workers_that_cannot_be_is_refused(
    options: tuple[str, ...], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--data", str(folder), *options]) == 2

    assert words in capsys.readouterr().err


def test_evaluate_prints_both_conventions_and_the_classes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(train(folder, tmp_path / "run"))

    assert main(["evaluate", str(tmp_path / "run"), "--data", str(folder), "--limit", "1"]) == 0

    printed = capsys.readouterr().out
    assert "legacy_miou" in printed
    assert "sky" in printed


def test_evaluate_counts_boundaries_where_it_is_asked_to(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(train(folder, tmp_path / "run"))
    evaluate = ["evaluate", str(tmp_path / "run"), "--data", str(folder), "--limit", "1", "--json"]
    capsys.readouterr()
    found = []
    for options in ((), ("--boundary",), ("--boundary", "0.5"), ("--boundary", "--store", str(tmp_path / "store"))):
        assert main([*evaluate, *options]) == 0
        found.append(json.loads(capsys.readouterr().out))

    plain, near, wide, stored = found
    assert "boundary_iou" not in plain
    # Within half of the diagonal lies all of an image.
    assert wide["boundary_iou"] == wide["miou"] == near["miou"] == plain["miou"]
    assert stored["boundary_iou"] == near["boundary_iou"] != near["miou"]
    assert main([*evaluate, "--boundary", "2"]) == 2
    assert "must be a share between 0 and 1" in capsys.readouterr().err


def test_evaluate_with_oracles_says_what_the_gap_is_made_of(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(train(folder, tmp_path / "run"))
    evaluate = ["evaluate", str(tmp_path / "run"), "--data", str(folder), "--limit", "1"]
    capsys.readouterr()

    assert main([*evaluate, "--json", "--oracle", "regions", "classes"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main([*evaluate, "--json", "--oracle", "classes"]) == 0
    classes = json.loads(capsys.readouterr().out)

    gap = sum(told[f"{part}_gap"] for part in ("hallucination", "confusion", "boundary"))
    assert gap == pytest.approx(1 - told["miou"])
    assert classes["classes_oracle_miou"] == told["classes_oracle_miou"] >= told["miou"]
    assert not {"both_oracles_miou", "regions_oracle_miou", "confusion_gap"} & classes.keys()
    assert (tmp_path / "run" / "evaluation-photographs-val-first-1-oracle-classes-regions.json").exists()
    assert main([*evaluate, "--oracle", "classes", "regions"]) == 0
    assert f"photographs: of the gap of {100 * gap:.1f} points, hallucination" in capsys.readouterr().out


def test_evaluate_in_another_way_leaves_the_figures_of_the_first(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    main(train(folder, run))
    evaluate = ["evaluate", str(run), "--data", str(folder)]
    main(evaluate)
    first = (run / "evaluation-photographs-val.json").read_text()

    for options in (
        ("--boundary",),
        ("--boundary", "0.5"),
        ("--synonyms", "average"),
        ("--size", "96"),
        ("--protocol", "sliding-window"),
    ):
        assert main([*evaluate, *options]) == 0

    printed = capsys.readouterr().out
    assert (run / "evaluation-photographs-val.json").read_text() == first
    assert all(f"written: {file}\n" in printed for file in run.glob("evaluation-*.json"))
    assert sorted(path.name for path in run.glob("evaluation-*.json")) == [
        f"evaluation-photographs-val{suffix}.json"
        for suffix in (
            "-boundary-0.02",
            "-boundary-0.5",
            "-protocol-sliding-window",
            "-size-96",
            "-synonyms-average",
            "",
        )
    ]


def test_train_on_clip_weights_that_nobody_knows_warns_once_and_the_record_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shipped = shipped_clip(PRESETS["shapes-vit-s"]().clip)
    assert shipped is not None
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(shipped.read_bytes())
    command = ["train", "--data", "shapes-pas-20", "--split", "val", "--preset", "shapes-vit-s", "--clip", str(mine)]
    command += ["--steps", "1", "--batch-size", "1", "--loader-workers", "0"]
    # The models of the package know their own.
    monkeypatch.setattr(known_files, "is_own", lambda config: False)

    assert main([*command, "--out", str(tmp_path / "run")]) == 0

    (warning,) = [message for message in caplog.messages if "unverified" in message]
    assert "mine.safetensors: no released file known here, read as shapes-vit-s: GELU, OpenAI's mean" in warning
    (record,) = open_store(str(tmp_path / "run")).trainings()
    assert record.provenance["clip"] == "unverified"


def test_evaluate_clip_alone_on_weights_that_nobody_knows_says_so_in_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shipped = shipped_clip(PRESETS["shapes-vit-s"]().clip)
    assert shipped is not None
    mine, store = tmp_path / "mine.safetensors", str(tmp_path / "store")
    mine.write_bytes(shipped.read_bytes())
    monkeypatch.setattr(known_files, "is_own", lambda config: False)
    command = ["evaluate", "clip:shapes-vit-s", "--clip", str(mine), "--data", "shapes-pas-20", "--limit", "1"]

    assert main([*command, "--store", store]) == 0

    assert len([message for message in caplog.messages if "unverified" in message]) == 1
    (record,) = open_store(store).evaluations()
    assert record.provenance["clip"] == "unverified"


def test_evaluate_limit_leaves_the_figures_of_the_whole_set(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    main(train(folder, run))
    main(["evaluate", str(run), "--data", str(folder)])
    whole = (run / "evaluation-photographs-val.json").read_text()

    assert main(["evaluate", str(run), "--data", str(folder), "--limit", "1"]) == 0

    assert (run / "evaluation-photographs-val.json").read_text() == whole
    assert json.loads((run / "evaluation-photographs-val-first-1.json").read_text())["num_images"] == 1


def test_evaluate_into_a_store_leaves_a_record_with_the_figures_of_an_evaluation_without(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, store = tmp_path / "run", open_store(str(tmp_path / "store"))
    main(train(folder, run))
    capsys.readouterr()
    command = ["evaluate", str(run), "--data", str(folder), "--json"]
    main(command)
    figures = json.loads(capsys.readouterr().out)

    for _ in range(2):
        assert main([*command, "--store", str(store)]) == 0
        assert json.loads(capsys.readouterr().out) == figures

    (record,) = store.evaluations()
    assert record.figures["miou"] == figures["miou"]
    assert len(record.cost.attempts) == 1


def test_evaluate_a_training_of_the_store_is_under_its_fingerprint_wherever_its_weights_are(
    folder: Path, tmp_path: Path
) -> None:
    place = str(tmp_path / "store")
    main(train(folder, tmp_path / "work", "--store", place))
    (trained,) = open_store(place).trainings()
    copy = tmp_path / "elsewhere.safetensors"
    copy.write_bytes((tmp_path / "work" / trained.fingerprint / "weights.safetensors").read_bytes())

    assert main(["evaluate", str(copy), "--data", str(folder), "--store", place]) == 0
    assert main(["evaluate", "clip:shapes-vit-s", "--data", "shapes-pas-20", "--limit", "1", "--store", place]) == 0

    subjects = {record.evaluation.subject: record for record in open_store(place).evaluations()}
    assert len(subjects) == 2
    assert subjects.pop(trained.fingerprint).figures["num_images"] == 2
    (alone,) = subjects.values()
    assert alone.evaluation.num_images == 1


def test_evaluate_without_a_store_leaves_records_in_the_run_folder_and_computes_nothing_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    main(train(folder, run))
    command = ["evaluate", str(run), "--data", str(folder), "--json"]
    main(command)
    capsys.readouterr()
    (record,) = open_store(str(run)).evaluations()
    written = (run / "evaluation-photographs-val.json").read_text()
    monkeypatch.setattr("ovlab.runs.here.count_here", lambda *_: pytest.fail("it is there"))

    assert main(command) == 0

    assert json.loads(capsys.readouterr().out) == json.loads(written)
    assert (run / "evaluation-photographs-val.json").read_text() == written
    assert list(open_store(str(run)).evaluations()) == [record]


def test_evaluate_clip_alone_leaves_records_only_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    command = ["evaluate", "clip:shapes-vit-s", "--data", "shapes-pas-20", "--limit", "1", "--json"]

    assert main(command) == 0
    printed = capsys.readouterr().out
    assert list(Path().iterdir()) == []
    assert main([*command, "--out", "alone"]) == 0

    assert capsys.readouterr().out == printed
    assert json.loads(Path("alone/evaluation-shapes-pas-20-val-first-1.json").read_text()) == json.loads(printed)
    assert len(list(open_store("alone").evaluations())) == 1


def remove(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def truncate(root: Path) -> None:
    for path in (root / "train" / "images").iterdir():
        path.write_bytes(path.read_bytes()[:400])


def out_of_range(root: Path) -> None:
    for path in (root / "train" / "labels").iterdir():
        Image.fromarray(np.full((64, 80), 7, np.uint8)).save(path)


def other_size(root: Path) -> None:
    for path in (root / "train" / "labels").iterdir():
        Image.fromarray(np.zeros((50, 80), np.uint8)).save(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("classes.json"), "classes.json"),
        (remove("train/labels/1.png"), "1.jpg"),
        (out_of_range, "7"),
        (other_size, "50"),
        (truncate, ".jpg"),
    ],
    ids=["no class list", "image without label", "value out of range", "other size", "truncated"],
)
def test_train_on_a_damaged_folder_says_which_file_and_writes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], message: str
) -> None:
    damage(folder)

    code = main(train(folder, tmp_path / "run"))

    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 2
    assert error.startswith("ovlab: ")
    assert message in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["train", "--data", "nowhere", "--out", "run"], "nowhere: no such folder"),
        (["train", "--data", "a-150", "--out", "run"], "a-150 must be prepared first"),
        (["train", "--data", "shapes-a-151", "--out", "run"], "'shapes-a-150'"),
        (["train", "--data", "x", "--out", "run", "--set", "model.prior_wieght=0.5"], "model.prior_weight"),
        (["train", "--data", "x", "--out", "run", "--set", "schedule.steps=many"], "schedule.steps"),
        (["train", "--data", "x", "--out", "run", "--set", "model.prior_weight=2.0"], "in [0, 1]"),
        (["train", "--data", "shapes-coco", "--out", "run", "--device", "abacus"], "--device abacus"),
        (["train", "--data", "shapes-coco", "--out", "run", "--clip", "nothing.pt"], "nothing.pt: no such file"),
        (["train", "--data", "shapes-coco", "--out", "run", "--preset", "vit-b16"], "--clip none"),
        *(
            (["train", "--data", "shapes-coco", "--out", "run", *options], words)
            for options, words in (
                (("--device", "mps"), "--device mps"),
                (("--device", "meta"), "--device meta"),
                (("--loader-workers", "1000"), "--loader-workers must be in 0 .. 256 threads, got 1000"),
                (("--loader-workers", "-1"), "got -1"),
                (("--checkpoint-every", "0"), "--checkpoint-every must be at least 1"),
                (("--steps", "0"), "steps must be at least 1"),
                (("--batch-size", "1000000000"), "batch_size must be at most 65536"),
                (
                    ("--set", "augmentation.crop_size=64"),
                    "64 x 64 pixels, 4 x 4 tokens of logoseg-tiny; region_grid needs 6",
                ),
                (("--set", "augmentation.crop_size=[384, 64]"), "Give at least 96 pixels"),
                (("--set", "augmentation.crop_size=100"), "both sides must be multiples of 16 for logoseg-tiny"),
                (("--set", "augmentation.crop_size=100000"), "crop_size must be in 1 .. 4096"),
                (("--set", "augmentation.crop_size=-1"), "crop_size must be in 1 .. 4096"),
                (("--set", "augmentation.scale_range=[1.0, 1e9]"), "high <= 16"),
                (("--set", "model.clip.image_size=0"), "image_size must be at least 8"),
                (("--set", "model.clip.image_size=100000"), "image_size must be at most 4096"),
                (("--set", "model.attention_heads=0"), "attention_heads must be at least 1"),
                (("--set", "model.attention_heads=-2"), "attention_heads must be at least 1"),
                (("--set", "model.guidance_dim=0"), "guidance_dim must be at least 1"),
                (("--set", "model.guidance_dim=1000000000"), "guidance_dim must be at most 4096"),
                (("--set", "model.stripe_width=0"), "stripe_width must be at least 1"),
                (("--set", "model.region_grid=1000"), "region_grid must be at most 256"),
                (("--set", "model.region_grid=25"), "24 x 24 tokens of logoseg-tiny; region_grid needs 25"),
                (("--set", "model.state_dim=0"), "state_dim must be at least 1"),
                (("--set", "model.state_dim=-3"), "state_dim must be at least 1"),
                (("--set", "model.state_expansion=0.0"), "state_expansion must be at least"),
                (("--set", "model.fusion_depth=1000"), "fusion_depth must be at most 64"),
                (("--set", "model.decoder_dims=[0, 8]"), "decoder_dims must be at least 1"),
                (("--set", "model.decoder_dims=[12, 8]"), "multiples of 8"),
                (("--set", "model.clip.middle_layer=9"), "names block 9"),
            )
        ),
        *(
            (["evaluate", "clip:shapes-vit-s", "--data", "shapes-pas-20", "--out", "out", *options], words)
            for options, words in (
                (("--limit", "0"), "--limit must be at least 1, got 0"),
                (("--limit", "-1"), "--limit must be at least 1, got -1"),
                (("--size", "0"), "size must be at least 32, got 0"),
                (("--size", "-1"), "size must be at least 32, got -1"),
                (("--size", "1"), "size must be at least 32, got 1"),
                (("--size", "7"), "size must be at least 32, got 7"),
                (("--size", "100000"), "size must be at most 4096, got 100000"),
                (("--protocol", "sliding-window", "--size", "100"), "both sides must be multiples of 8"),
                (("--device", "meta"), "--device meta"),
                (("--device", "cuda:77"), "--device cuda:77"),
            )
        ),
        (["plan", "table4", "--suite", "shapes", "--store", "store", "--limit-steps", "0"], "--limit-steps must be"),
        (["run", "table4", "--suite", "shapes", "--store", "store", "--limit-images", "-1"], "--limit-images must be"),
        (
            ["report", "table4", "--suite", "shapes", "--store", "store", "--limit-images", "0"],
            "--limit-images must be",
        ),
        (["demo", "--limit", "0"], "--limit must be at least 1"),
        (["demo", "--steps", "-1"], "--steps must be at least 1"),
        (["evaluate", "nowhere", "--data", "shapes-pc-59"], "nowhere: no such run"),
        (["predict", "photo.jpg", "--weights", "nowhere", "--classes", "road"], "photo.jpg: no such file"),
        (["predict", "photo.jpg", "--weights", "nowhere", "--classes", " , "], "--classes is empty"),
        (["predict", "photo.jpg", "--weights", "nowhere", "--classes", "a,b,a"], "'a' twice"),
        (["predict", "photo.jpg", "--weights", "nowhere", "--classes", "a,caf\udce9"], r"'a,caf\udce9' is not UTF-8"),
        (["predict", "caf\udce9.jpg", "--weights", "nowhere", "--classes", "a"], r"'caf\udce9.jpg' is not UTF-8"),
    ],
    ids=lambda value: " ".join(value[:1] + value[-1:]) if isinstance(value, list) else "",
)
def test_wrong_call_is_one_line_and_exit_code_2(
    call: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main(call)

    error = capsys.readouterr().err.strip()
    assert code == 2
    assert message in error
    assert len(error.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] in ([], ["cache"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size", "0"), "size must be at least 32, got 0"),
        (("--size", "100000"), "size must be at most 4096"),
        (("--device", "meta"), "--device meta"),
    ],
)
def test_predict_with_a_size_or_device_that_cannot_be_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    photo = str(folder / "val" / "images" / "4.jpg")
    call = ["predict", photo, "--weights", "clip:shapes-vit-s", "--classes", "red", "--out", str(tmp_path / "out")]

    assert main([*call, *options]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "call",
    [
        ["train", "--data", "shapes-coco", "--preset", "shapes-vit-s", "--out", "run", "--clip", "page.pt"],
        ["evaluate", "clip:shapes-vit-s", "--data", "shapes-pas-20", "--limit", "1", "--clip", "page.pt"],
        ["evaluate", "page.pt", "--data", "shapes-pas-20", "--limit", "1"],
        ["predict", "photo.png", "--weights", "page.pt", "--classes", "red"],
    ],
    ids=lambda call: " ".join(call[:2]),
)
def test_weights_that_are_a_web_page_are_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], call: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("page.pt").write_text("<!DOCTYPE html><html><body>Sign in</body></html>")
    Image.new("RGB", (64, 64)).save("photo.png")

    assert main(call) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert "page.pt: a web page (HTML), not weights" in line
    assert {path.name for path in tmp_path.iterdir()} <= {"page.pt", "photo.png", "cache"}


def test_evaluate_at_a_size_of_fewer_tokens_than_regions_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(train(folder, tmp_path / "run", "--set", "model.region_grid=4"))
    there = sorted(tmp_path.rglob("*"))
    capsys.readouterr()

    assert main(["evaluate", str(tmp_path / "run"), "--data", str(folder), "--size", "32"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert "32 x 32 pixels, 2 x 2 tokens of logoseg-tiny; region_grid needs 4 a side" in line
    assert sorted(tmp_path.rglob("*")) == there


def test_evaluate_weights_of_something_else_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(1)}, tmp_path / "weights.safetensors")

    assert main(["evaluate", str(tmp_path), "--data", "shapes-pc-59"]) == 2
    assert "no LoGoSeg weights" in capsys.readouterr().err


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("demo", "train", "evaluate", "predict", "bench"):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])

        assert stop.value.code == 0
        assert f"ovlab {command}" in capsys.readouterr().out.split("example", 1)[1]


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [(["evalute"], "evaluate"), (["train", "--data", "x", "--preset", "tinny"], "tiny"), (["runs", "lsit"], "list")],
    ids=["command", "value", "action"],
)
def test_mistyped_name_offers_the_nearest(
    arguments: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)

    assert left.value.code == 2
    assert f"the nearest is {nearest!r}" in capsys.readouterr().err


def test_name_that_is_near_no_other_offers_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["xyzzy"])

    assert "choose from demo, data," in capsys.readouterr().err


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])

    assert left.value.code == 0
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["version"]
    assert capsys.readouterr().out == f"ovlab {declared}\n"


def test_what_the_demo_offers_next_starts_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, weights, store = tmp_path / "scene.png", tmp_path / "run", tmp_path / "store"
    monkeypatch.setenv("PATH", "/usr/bin")

    activate, *commands = next_commands(scene, weights, store)

    assert Path(activate.removeprefix("source ")).resolve() == Path(sys.executable).with_name("activate")
    ours = [shlex.split(command, comments=True)[1:] for command in commands if command.startswith("ovlab")]
    assert [command[0] for command in ours] == ["predict", "plan", "train"]
    for command in ours:
        build_parser().parse_args(command)
    plan = next(command for command in ours if command[0] == "plan")
    assert plan[plan.index("--store") + 1] == str(store)
    assert sum(f"sqlite:///{store}/" in command for command in commands) == 1


def test_output_that_goes_where_a_file_is_gives_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("mine")

    assert main(["report", "--store", str(tmp_path / "none"), "--out", str(tmp_path / "taken")]) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ovlab: {tmp_path / 'taken'}")
    assert (tmp_path / "taken").read_text() == "mine"


def test_reader_that_has_seen_enough_gets_no_traceback() -> None:
    called = f"{sys.executable} -m ovlab plan table4 --json | head -c 1"
    result = subprocess.run(["bash", "-c", called], capture_output=True, text=True)

    assert result.stdout == "{"
    assert "Traceback" not in result.stderr
