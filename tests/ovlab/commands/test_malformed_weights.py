"""Files of weights as people have them, through every command that takes one: read, or refused in one line."""

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from logoseg.clip.shipped import shipped_clip
from logoseg.presets import PRESETS
from ovlab.cli import main

SHIPPED = shipped_clip(PRESETS["shapes-vit-s"]().clip)
assert SHIPPED is not None
WHOLE = SHIPPED.read_bytes()
STATE = load_file(SHIPPED)
FIRST = min(STATE)


def saved(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in STATE.items()}


def tensors(state: dict[str, torch.Tensor], path: Path) -> bytes:
    save_file(state, path)
    return path.read_bytes()


GOOD: dict[str, Callable[[Path], bytes]] = {
    "plain.pt": lambda _: saved(STATE),
    "dataparallel.pt": lambda _: saved({"epoch": 3, "state_dict": prefixed("module."), "optimizer": {}}),
    "model_state_dict.pt": lambda _: saved({"model_state_dict": STATE, "epoch": 3}),
    "model_key.pt": lambda _: saved({"model": STATE, "iteration": 7}),
    "bf16.pt": lambda _: saved({name: tensor.bfloat16() for name, tensor in STATE.items()}),
    "fp16.pt": lambda _: saved({name: tensor.half() for name, tensor in STATE.items()}),
    "compiled.pt": lambda _: saved(prefixed("_orig_mod.")),
    "ddp_compiled.pt": lambda _: saved({"state_dict": prefixed("module._orig_mod.")}),
    "numpy_scalar.pt": lambda _: saved({"state_dict": prefixed("module."), "best": np.float64(0.71)}),
    "lightning.ckpt": lambda _: saved({"state_dict": prefixed("model."), "hyper_parameters": {}}),
    "position_ids.pt": lambda _: saved({**STATE, "position_ids": torch.arange(77)[None]}),
    "bf16.safetensors": lambda path: tensors({name: tensor.bfloat16() for name, tensor in STATE.items()}, path),
    "renamed.pt": lambda _: WHOLE,
    "renamed.bin": lambda _: WHOLE,
}
# What their first bytes tell, and where they end.
NO_WEIGHTS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "empty.pt": (lambda _: b"", "an empty file"),
    "cut.safetensors": (lambda _: WHOLE[: len(WHOLE) * 2 // 3], "cut off or damaged"),
    "cut_in_its_header.safetensors": (lambda _: WHOLE[:100], "cut off or damaged"),
    "cut.pt": (lambda _: saved(STATE)[:100_000], "cut off"),
    "lfs.safetensors": (
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n",
        "a pointer of Git LFS",
    ),
    "html.pt": (lambda _: b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
    "text.pt": (lambda _: b"weights", "neither a state dict"),
    "photo.pt": (lambda _: Path("photo.png").read_bytes(), "neither a state dict"),
}
BAD: dict[str, tuple[Callable[[Path], bytes], str]] = {
    **NO_WEIGHTS,
    "list.pt": (lambda _: saved([1, 2, 3]), "holds a list"),
    "number.pt": (lambda _: saved(7), "holds a int"),
    "nothing.pt": (lambda _: saved({}), "no tensors in it"),
    "code.pt": (lambda _: saved({"x": contextlib.nullcontext()}), "may run code"),
    "nan.pt": (lambda _: saved({**STATE, FIRST: torch.full_like(STATE[FIRST], torch.nan)}), "NaN or infinity"),
    "other.pt": (lambda _: saved({"weight": torch.zeros(3)}), "weights of another model"),
    "less.pt": (lambda _: saved({name: STATE[name] for name in STATE if name != FIRST}), f"{FIRST} is missing"),
    "shape.pt": (lambda _: saved({**STATE, FIRST: torch.zeros(3, 3)}), f"{FIRST} is (3, 3)"),
}
CLIP = {
    "train": ["train", "--data", "shapes-coco", "--preset", "shapes-vit-s", "--out", "out", "--steps", "1", "--clip"],
    "run": [
        "run",
        "./mine.py",
        "--runs-at-once",
        "1",
        "--store",
        "out",
        "--no-tracking",
        "--workdir",
        "work",
        "--clip",
    ],
    "plan": ["plan", "./mine.py", "--store", "out", "--clip"],
    "evaluate": ["evaluate", "clip:shapes-vit-s", "--data", "shapes-pas-20", "--limit", "1", "--out", "out", "--clip"],
    "predict": [
        *("predict", "photo.png", "--classes", "red", "--out", "out", "--weights", "clip:shapes-vit-s", "--clip"),
    ],
    "try": ["try", "clip:shapes-vit-s", "--clip"],
}
RUN = {
    "evaluate": ["evaluate", "FILE", "--data", "shapes-pas-20", "--limit", "1", "--out", "out"],
    "predict": ["predict", "photo.png", "--classes", "red", "--out", "out", "--weights", "FILE"],
}
TABLE = """\
from ovlab.specs.table import Column, Row, Table, Variation

TABLE = Table(
    name="mine",
    title="Mine",
    columns=(Column(title="PAS-20", benchmark="pas-20"),),
    rows=(Row(key="a", label="", run=Variation(schedule={"steps": 1})),),
)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OVLAB_CACHE", str(cache))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64)).save("photo.png")
    Path("mine.py").write_text(TABLE)
    return tmp_path


def refusal(call: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line in which a call is refused."""
    code = main(call)
    said = capsys.readouterr()
    assert code == 2, said.err
    assert "Traceback" not in said.err
    (line,) = said.err.splitlines()
    assert line.startswith("ovlab: ")
    return line


@pytest.mark.parametrize("name", GOOD)
def test_clip_in_any_wrapping_is_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(name).write_bytes(GOOD[name](Path(name)))

    assert main([*CLIP["evaluate"], name, "--json"]) == 0

    half = "16" in name
    found, plain = json.loads(capsys.readouterr().out), shipped_scores()
    assert found["miou"] == pytest.approx(plain["miou"], abs=0.05 if half else 0)


def shipped_scores() -> dict[str, Any]:
    """Those of the file that comes with the package, on the same image."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        assert main([*CLIP["evaluate"][:-3], "--out", "plain", "--json"]) == 0
    return json.loads(out.getvalue())


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_clip_that_cannot_be_read_is_one_line_that_says_what_it_is(
    command: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = BAD[name]
    Path(name).write_bytes(make(Path(name)))

    line = refusal([*CLIP[command], name], capsys)

    assert name in line
    assert words in line
    assert not Path("out").exists()


@pytest.mark.parametrize("name", NO_WEIGHTS)
def test_clip_that_is_no_weights_is_refused_by_every_command_in_one_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = NO_WEIGHTS[name]
    Path(name).write_bytes(make(Path(name)))

    lines = {
        refusal([*call, f"shapes-vit-s={name}" if command in ("plan", "run") else name], capsys)
        for command, call in CLIP.items()
    }

    (line,) = lines
    assert name in line
    assert words in line
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["nowhere.pt", "no-tag"])
@pytest.mark.parametrize("command", ["predict", "try", "evaluate"])
def test_clip_of_the_paper_that_is_not_there_is_refused(
    command: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = [word.replace("shapes-vit-s", "vit-b16") for word in CLIP[command]]

    assert f"{name}: no such file" in refusal([*call, name], capsys)


@pytest.mark.parametrize("name", BAD)
def test_run_with_a_clip_that_cannot_be_read_fails_and_leaves_no_record(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = BAD[name]
    Path(name).write_bytes(make(Path(name)))

    assert main([*CLIP["run"], f"shapes-vit-s={name}"]) in (1, 2)

    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert words in said.splitlines()[-1]
    assert not Path("out/trainings").exists()
    assert not list(Path().rglob("*.safetensors")) or Path(name).suffix == ".safetensors"


@pytest.mark.parametrize("name", [*BAD, *list(GOOD)[:1]])
@pytest.mark.parametrize("command", RUN)
def test_file_that_holds_no_run_is_one_line_that_says_what_it_is(
    command: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make = BAD[name][0] if name in BAD else GOOD[name]
    Path(name).write_bytes(make(Path(name)))

    line = refusal([name if word == "FILE" else word for word in RUN[command]], capsys)

    assert name in line
    assert not Path("out").exists()


def test_run_of_which_the_weights_are_cut_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(CLIP["train"][:-1]) == 0
    shutil.copytree("out", "cut")
    (weights,) = Path("cut").glob("weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1000])
    capsys.readouterr()

    for call in RUN.values():
        line = refusal(["cut" if word == "FILE" else word for word in call], capsys)
        assert "weights.safetensors" in line
