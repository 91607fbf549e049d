"""A method that somebody else wrote, as a person uses it: trained, in a table beside LoGoSeg, on Ray, killed, asked for
words of one's own."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from ovlab.cli import main
from ovlab.store.store import open_store

COSINE = Path(__file__).parents[1] / "programs" / "cosine_method.py"
TABLE = """\
from ovlab.specs.table import Alone, Claim, Column, Row, Table, Variation

SMALL = {"guidance_dim": 16, "attention_heads": 2, "state_dim": 4, "fusion_depth": 1, "decoder_dims": [16, 16]}

TABLE = Table(
    name="methods",
    title="Methods",
    columns=(Column(title="PAS-20", benchmark="pas-20"),),
    rows=(
        Row(key="clip", label="CLIP", run=Alone()),
        Row(key="untrained", label="Cosines, untrained", run=Alone(method="cosine_method.py:Cosine")),
        Row(key="cosine", label="Cosines", run=Variation(method="cosine_method.py:Cosine", model={"width": 4})),
        Row(key="ours", label="LoGoSeg", run=Variation(model=SMALL)),
    ),
    claims=(Claim(text="better", where="here", better="ours", worse=("clip", "cosine")),),
    seeds=(0, 1),
)
"""
OPTIONS = ["--suite", "shapes", "--limit-steps", "2", "--limit-images", "3"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with methods.py and cosine_method.py."""
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path.parent / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "methods.py").write_text(TABLE)
    shutil.copy(COSINE, tmp_path)
    return tmp_path


def plan(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    capsys.readouterr()
    assert main(["plan", "methods.py", *OPTIONS, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["runs"]


@pytest.mark.parametrize("runs_at_once", ["1", "2"])
def test_own_method_is_a_row_of_a_table_from_the_plan_to_the_report(
    place: Path, capsys: pytest.CaptureFixture[str], runs_at_once: str
) -> None:
    """With two runs at once they are trials of Ray, in processes of their own."""
    runs = plan(capsys)
    assert [(run["training"]["method"], run["training"]["seed"], run["training"]["num_steps"]) for run in runs] == [
        ("LoGoSeg", None, 0),
        ("Cosine", None, 0),
        ("Cosine", 0, 2),
        ("LoGoSeg", 0, 2),
        ("Cosine", 1, 2),
        ("LoGoSeg", 1, 2),
    ]

    here = ["--runs-at-once", runs_at_once, "--no-tracking", "--device", "cpu"]
    assert main(["run", "methods.py", *OPTIONS, *here]) == 0

    assert {part["status"] for run in plan(capsys) for part in run["evaluations"]} == {"done"}
    assert main(["report", "methods.py", *OPTIONS, "--out", "report"]) == 0
    with (place / "report" / "tables" / "methods.csv").open(newline="") as file:
        rows = {row["row"]: row for row in csv.DictReader(file) if row["origin"] == "measured"}
    assert list(rows) == ["clip", "untrained", "cosine", "ours"]
    store = open_store("ovlab-store")
    by_fingerprint = {record.fingerprint: record for record in store.evaluations()}
    for key, row in rows.items():
        records = [by_fingerprint[fingerprint] for fingerprint in row["evaluations"].split()]
        assert float(row["value"]) == pytest.approx(sum(record.figures["miou"] for record in records) / len(records))
        # What is not trained is evaluated once, whatever the seeds.
        assert len(records) == len(set(row["evaluations"].split())) == (1 if key in ("clip", "untrained") else 2)
        assert row["seeds"].split() == ([] if key in ("clip", "untrained") else ["0", "1"])
    assert {record.untrained is None for record in by_fingerprint.values()} == {True, False}


def test_own_method_is_trained_evaluated_and_asked_for_words(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--method", "cosine_method.py:Cosine"]
    train = ["train", "--data", "shapes-coco", "--preset", "shapes-vit-s", "--steps", "1", "--out", "run"]
    assert main([*train, *own, "--option", "width=4"]) == 0
    assert main(["evaluate", "run", *own, "--data", "shapes-pas-20", "--limit", "2"]) == 0
    assert main(["evaluate", "Cosine:shapes-vit-s", *own, "--data", "shapes-pas-20", "--limit", "2"]) == 0
    Image.fromarray(np.full((40, 60, 3), 120, np.uint8)).save("photo.png")
    capsys.readouterr()

    assert main(["predict", "photo.png", "--weights", "run", *own, "--classes", "sky, grass", "--json"]) == 0

    assert sum(json.loads(capsys.readouterr().out)["shares"].values()) == pytest.approx(1)
    assert main(["predict", "photo.png", "--weights", "run", "--classes", "sky, grass"]) == 2
    assert "no method 'Cosine'" in capsys.readouterr().err


def test_own_method_killed_in_training_ends_with_the_weights_of_an_undisturbed_run(place: Path) -> None:
    def train(out: str) -> list[str]:
        own = ["--method", "cosine_method.py:Cosine", "--checkpoint-every", "2", "--device", "cpu"]
        given = ["--data", "shapes-coco", "--preset", "shapes-vit-s", "--steps", "12", "--out", out]
        return [sys.executable, "-m", "ovlab", "train", *given, *own]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(train("whole"), check=True, env=environment, timeout=300)
    process = subprocess.Popen(train("killed"), env=environment)
    deadline = time.monotonic() + 300
    while not list((place / "killed").glob("**/step-00000004.pt")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (place / "killed" / "weights.safetensors").exists()
    subprocess.run(train("killed"), check=True, env=environment, timeout=300)

    whole, killed = (load_file(place / name / "weights.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert all(np.array_equal(whole[name], killed[name]) for name in whole)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("return logits if", "return logits[:, 1:] if", r"head gave \(1, \d+, 12, 12\); it needs logits of V views"),
        ("return logits if", "return logits / 0 if", "logits must be finite, got NaN or infinity"),
        ('activation = "sigmoid"', 'activation = "relu"', "its activation is 'relu'; write one of sigmoid, softmax"),
    ],
)
def test_own_method_with_wrong_logits_is_said_in_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, complaint: str
) -> None:
    text = (place / "cosine_method.py").read_text()
    assert old in text
    (place / "wrong.py").write_text(text.replace(old, new))
    ask = ["evaluate", "Cosine:shapes-vit-s", "--method", "wrong.py:Cosine", "--data", "shapes-pas-20", "--limit", "1"]

    assert main([*ask, "--out", "scores"]) == 2

    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("ovlab: ")
    assert re.search(complaint, error)
