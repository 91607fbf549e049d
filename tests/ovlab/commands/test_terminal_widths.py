"""What commands print as tables says the same on terminals of 60, 80 and 200 columns as in a pipe. `ovlab report` draws
its own: see tests/ovlab/report/test_terminal.py."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ovlab.benchmarks.outcome import Report, print_report
from ovlab.checks import installation
from ovlab.cli import main
from ovlab.commands.compare import print_comparisons
from ovlab.commands.doctor import line
from ovlab.commands.plan import _print_claims
from ovlab.commands.scores_table import print_classes, print_scores
from ovlab.report.claim_power import ClaimPower
from ovlab.specs.events import Ended, RunHeader
from ovlab.store.journal import open_journal
from ovlab.store.store import open_store

RECORDED = Path(__file__).parents[2] / "recorded_store"
STUDY = [str(RECORDED / "study.py"), "--suite", "shapes", "--store", str(RECORDED / "store")]
CODES = re.compile(r"\x1b\[[0-9;]*m")
SIX = ("shapes-a-847", "shapes-pc-459", "shapes-a-150", "shapes-pc-59", "shapes-pas-20", "shapes-pas-20b")


def comparisons() -> None:
    """Of six benchmarks, with names as long as those of runs are."""
    score = {"first": 0.1234, "second": 0.9876, "difference": 0.8642, "interval": (0.86, 0.87), "p_value": 0.0004}
    row = {"first": {0: None}, "second": {0: None, 1: None}, "num_images": 1200, "mean_absent_classes": 12.3}
    rows = [
        {"run": "table4 lambda-adaptive", "benchmark": f"{name} val", "holm_p_value": 0.0024}
        | row
        | {"scores": {"miou": score | {"seed_share": 0.5}}}
        for name in SIX
    ]

    asked = {"score": "miou", "first": "table4 lambda-0.5", "level": 0.95, "resamples": 2000, "seed": 0}
    print_comparisons(rows, argparse.Namespace(**asked))


def scores(names: tuple[str, ...]) -> list[dict[str, Any]]:
    classes = [{"name": "red checked triangle", "num_gt_pixels": 4321, "iou": 0.3456}]
    figures = {"miou": 0.1234, "legacy_miou": 0.1111, "hallucination_rate": 0.4567, "num_images": 1200}
    return [
        {"data": name, "split": "val", **figures, "num_pixels": 99, "num_ignored_pixels": 5, "longest_side": None}
        | {"classes": classes}
        for name in names
    ]


BENCH = Report(
    name="head",
    title="Heads, inference of one image, float32",
    rows=[
        {"head": name, "classes": 847, "ms": 1234.5, "x ours": 12.34, "x the encoder": 0.123, "peak MiB": 4321.0}
        for name in ("ours, class_volume", "ours, pixel_embedding, compiled", "CAT-Seg")
    ],
    context={"threads": 2, "device": "cpu", "image": "384 x 384", "repeats": 5, "torch": "2.13.0"},
)
CLAIMS = [ClaimPower("language queries alone raise the mIoU on unseen classes", "undecided", 3, 0.0123, 12, 98765.0)]


def runs_list(folder: Path) -> None:
    store, header = open_store(str(folder)), RunHeader(run="a" * 64, name="table4 lambda-adaptive, seed 2")
    if not folder.exists():
        with open_journal(store, header) as journal:
            journal.write(Ended(status="FAILED", reason="DivergenceError: step 12: the loss is nan"))
    main(["runs", "list", "--store", str(folder)])


PRINTS: dict[str, Callable[[Path], object]] = {
    "compare": lambda _: comparisons(),
    "evaluate": lambda _: print_scores(scores(SIX)),
    "evaluate, classes": lambda _: print_classes(scores(SIX[:1])[0]),
    "bench": lambda _: print_report(BENCH),
    "plan --power": lambda _: _print_claims(CLAIMS, 0.8),
    "plan": lambda _: main(["plan", *STUDY]),
    "runs list": runs_list,
    "data list": lambda _: main(["data", "list"]),
    "doctor": lambda folder: print(line(installation.store(str(folder)))),
}


@pytest.mark.parametrize("name", PRINTS)
def test_no_word_and_no_number_is_cut(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))

    def printed() -> str:
        PRINTS[name](tmp_path / "store")
        return CODES.sub("", capsys.readouterr().out)

    words = set(re.findall(r"[\w.%±+-]+", printed()))
    assert words
    for width in (60, 80, 200):
        with monkeypatch.context() as terminal:
            terminal.setenv("COLUMNS", str(width))
            terminal.setenv("FORCE_COLOR", "1")
            text = printed()
        assert "…" not in text
        assert words <= set(re.findall(r"[\w.%±+-]+", text)), width
        assert all(len(line) <= width for line in text.splitlines() if re.match("[│┃┏┡└├╭╰]", line))
