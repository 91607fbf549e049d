"""Values that no command can use: one line, exit code 2, and nothing on the disk that was not there before."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.cli import main

TRAIN = ["train", "--data", "shapes-coco", "--preset", "shapes-vit-s", "--out", "run", "--steps", "1"]
EVALUATE = ["evaluate", "clip:shapes-vit-s", "--data", "shapes-pas-20", "--out", "out"]
PREDICT = ["predict", "photo.png", "--weights", "clip:shapes-vit-s", "--classes", "red", "--out", "out"]
PRETRAIN = ["pretrain", "shapes-vit-s", "--out", "out"]
PLAN = ["plan", "table4", "--store", "store"]
RUN = ["run", "table4", "--store", "store"]
REPORT = ["report", "table4", "--store", "store", "--out", "out"]
PREPARE = ["data", "prepare", "shapes-pas-20", "--out", "out"]
DEMO = ["demo", "--out", "out"]

NUMBERS = ("0", "-1", "many")
DEVICES = ("mps", "meta", "cuda:99", "nonsense", "")
SIZES = ("0", "-1", "1", "7", "100000")
BAD: list[tuple[list[str], str, tuple[str, ...]]] = [
    (TRAIN, "--steps", (*NUMBERS, "1000000000000")),
    (TRAIN, "--batch-size", (*NUMBERS, "1000000000000")),
    (TRAIN, "--checkpoint-every", NUMBERS),
    (TRAIN, "--loader-workers", ("1000", "-1", "many")),
    (TRAIN, "--workers", (*NUMBERS, "1000000", "1:0", "0:1", "2:1", "1:2:3")),
    (TRAIN, "--device", DEVICES),
    (TRAIN, "--split", ("nowhere", "")),
    (TRAIN, "--preset", ("nothing",)),
    (EVALUATE, "--limit", NUMBERS),
    (EVALUATE, "--size", SIZES),
    ([*EVALUATE, "--protocol", "sliding-window"], "--size", (*SIZES, "33")),
    ([*EVALUATE, "--protocol", "whole-768"], "--size", ("768", "0")),
    (EVALUATE, "--workers", (*NUMBERS, "1000000")),
    (EVALUATE, "--device", DEVICES),
    (EVALUATE, "--boundary", ("0", "-1", "2", "nan", "inf", "wide")),
    (PREDICT, "--opacity", ("-0.1", "1.1", "nan", "wide")),
    (PREDICT, "--batch-size", NUMBERS),
    (PREDICT, "--size", SIZES),
    (PREDICT, "--device", DEVICES),
    (PREDICT, "--classes", (" , ", "red,red", "zebra")),
    (PRETRAIN, "--device", DEVICES),
    (PRETRAIN, "--set=seed", ("-1", "99999999999")),
    (PRETRAIN, "--set=contrastive.steps", ("0", "-1", "NaN")),
    (PRETRAIN, "--set=clip.name", ("nothing", "shapes-convnext-s")),
    (PLAN, "--limit-steps", NUMBERS),
    (PLAN, "--limit-images", NUMBERS),
    (PLAN, "--seeds", ("0,0", "-1", "99999999999", "one", "")),
    (RUN, "--limit-steps", NUMBERS),
    (RUN, "--limit-images", NUMBERS),
    (RUN, "--seeds", ("0,0", "-1", "99999999999", "one", "")),
    (RUN, "--runs-at-once", (*NUMBERS, "1000000")),
    ([*RUN, "--runs-at-once", "1"], "--device", DEVICES),
    ([*RUN, "--runs-at-once", "2"], "--device", DEVICES),
    ([*RUN, "--runs-at-once", "1"], "--loader-workers", ("1000", "-1")),
    ([*RUN, "--runs-at-once", "1"], "--checkpoint-every", NUMBERS),
    (REPORT, "--limit-steps", NUMBERS),
    (REPORT, "--limit-images", NUMBERS),
    (PREPARE, "--workers", (*NUMBERS, "1000000")),
    (PREPARE, "--split", ("nowhere", "")),
    (DEMO, "--steps", NUMBERS),
    (DEMO, "--limit", NUMBERS),
]
NO_SIZES = ("0", "-1", "1000000000000", "1e308", "NaN", "Infinity")
NO_SHARES = ("-2", "1e309", "NaN", "-Infinity")
FIELDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "model.clip.image_size",
            "model.attention_heads",
            "model.stripe_width",
            "model.region_grid",
            "model.state_dim",
            "model.guidance_dim",
            "model.fusion_depth",
            "augmentation.crop_size",
            "schedule.num_microbatches",
        ),
        NO_SIZES,
    ),
    **dict.fromkeys(
        ("model.state_expansion", "model.typical_cosine", "model.prior_weight", "schedule.weight_decay"), NO_SHARES
    ),
    **dict.fromkeys(("schedule.learning_rate", "schedule.clip_norm", "augmentation.hue"), NO_SHARES),
    "model.decoder_dims": ("[0,0]", "[-8,8]", "[12,8]", "[1000000000,8]"),
    "model.clip.middle_layer": ("-1", "3", "1000000000000"),
    "model.clip.guidance_layers": ("[0,99]", "[-1,0]", "[1]"),
    "model.clip.name": ("nothing", "../x", "shapes-convnext-s"),
    "model.clip.stem": ("patch",),
    "model.prompt_templates": ("[]", '["{0}"]', '["{} {"]', '["{} {}"]', '["a {} {x}"]', '["a zebra {}"]'),
    "augmentation.crop_size ": ("16", "[96,0]", "[96,100000]", "100"),
    "augmentation.scale_range": ("[0,0]", "[NaN,1]", "[2,1]"),
    "schedule.warmup_steps": ("1", "-1"),
    "seed": ("-1", "99999999999"),
}
CALLS = [[*call, f"{option}={value}"] for call, option, values in BAD for value in values]
CALLS += [[*TRAIN, "--set", f"{name.strip()}={value}"] for name, values in FIELDS.items() for value in values]


def refused(call: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of the call, which is refused in one line and leaves nothing here."""
    there = sorted(Path().rglob("*"))
    try:
        code: object = main(call)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    assert code == 2, said.err
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()) == 1, said.err
    assert sorted(Path().rglob("*")) == there
    return said.err


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path.parent / "cache"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64)).save("photo.png")
    return tmp_path


@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join([call[0], *call[-2:]]))
def test_value_that_cannot_be_is_one_line_and_leaves_nothing(
    call: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(call, capsys).startswith(("ovlab: ", f"ovlab {call[0]}"))


TABLE = """\
from ovlab.specs.table import Column, Row, Table, Variation

TABLE = Table(
    name="mine",
    title="Mine",
    columns=(Column(title="PAS-20", benchmark="pas-20"), Column(title="Zoo", benchmark="BENCHMARK")),
    rows=(Row(key="good", label="", run=Variation()), Row(key="bad", label="", run=Variation(VALUES))),
)
"""
VARIATIONS = (
    *(
        f"model={{'{name}': {value}}}"
        for name, value in (
            ("region_grid", "13"),
            ("region_grid", "float('nan')"),
            ("attention_heads", "0"),
            ("attention_heads", "5"),
            ("stripe_width", "10**9"),
            ("state_dim", "-1"),
            ("decoder_dims", "[12, 8]"),
            ("guidance_dim", "object()"),
            ("clip.middle_layer", "9"),
            ("clip.guidance_layers", "[0, 99]"),
            ("clip.name", "'nothing'"),
            ("clip.image_size", "100"),
            ("clip.image_size", "10**6"),
            ("prompt_templates", "['{} {']"),
            ("prompt_templates", "['a zebra {}']"),
        )
    ),
    "backbone='convnext-b', model={'clip.tuning': 'query_value'}",
    "backbone='convnext-b', model={'clip.guidance_layers': [0, 4]}",
    "backbone='convnext-b', model={'clip.stem': 'convolutions'}",
    "schedule={'steps': 0}",
    "schedule={'learning_rate': float('inf')}",
    "schedule={'num_microbatches': 3}",
    "region_grid=7",
)


@pytest.mark.parametrize("values", VARIATIONS)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_row_of_a_table_with_values_that_cannot_be_is_refused_before_anything_is_made(
    command: str, values: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.py").write_text(TABLE.replace("BENCHMARK", "pas-20b").replace("VALUES", values))

    said = refused([command, "./mine.py", "--store", "store"], capsys)

    assert "zebra" in said or "row 'bad'" in said or "Variation.model" in said


@pytest.mark.parametrize("command", ["plan", "run"])
def test_column_with_words_that_the_small_clip_does_not_know_is_refused_before_anything_is_trained(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("images", "labels"):
        Path("zoo/val", part).mkdir(parents=True)
    Image.new("RGB", (64, 64)).save("zoo/val/images/1.jpg")
    Image.fromarray(np.zeros((64, 64), np.uint8)).save("zoo/val/labels/1.png")
    Path("zoo/classes.json").write_text('["zebra", "sky"]')
    Path("mine.py").write_text(TABLE.replace("BENCHMARK", "./zoo").replace("VALUES", "model={'prior_weight': 0.5}"))

    said = refused([command, "./mine.py", "--store", "store"], capsys)

    assert "mine, row 'good', column 'Zoo': 'zebra': this small CLIP does not know 'zebra'" in said


@pytest.mark.parametrize(
    "call",
    [[*RUN, "--runs-at-once", "2"], [*EVALUATE, "--workers", "2"], [*TRAIN, "--workers", "2"]],
    ids=lambda call: call[0],
)
def test_gpu_that_is_not_here_is_refused_before_a_ray_is_started_here(
    call: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("ovlab.ray.on_ray.connect", lambda **_: pytest.fail("a Ray was started"))

    assert "this machine has no such CUDA device" in refused([*call, "--device", "cuda"], capsys)


@pytest.mark.parametrize(
    "command",
    [["evaluate", "clip:shapes-vit-s"], ["train", "--split", "val", "--preset", "shapes-vit-s", "--steps", "1"]],
    ids=lambda call: call[0],
)
@pytest.mark.parametrize(
    ("name", "reason"),
    [("zebra", "this small CLIP does not know 'zebra'"), ("red " * 40, "has 49 tokens; this text tower reads 32")],
    ids=["unknown", "long"],
)
def test_words_that_the_small_clip_cannot_read_leave_nothing(
    command: list[str], name: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("images", "labels"):
        Path("zoo/val", part).mkdir(parents=True)
    Image.new("RGB", (64, 64)).save("zoo/val/images/1.jpg")
    Image.fromarray(np.zeros((64, 64), np.uint8)).save("zoo/val/labels/1.png")
    Path("zoo/classes.json").write_text(json.dumps([name.strip(), "sky"]))

    said = refused([*command, "--data", "zoo", "--out", "out"], capsys)

    assert reason in said


@pytest.mark.parametrize("power", ["0", "1", "80", "much"])
def test_power_is_a_probability(power: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", "table4", "--power", power])

    assert ended.value.code == 2
    assert f"'{power}': a probability between 0 and 1, for example 0.8." in capsys.readouterr().err
