"""Whole runs (training and the evaluations of all benchmarks), with these sources and with those of another checkout.

Each run is the command of its checkout in a process of its own, on one thread, with a store of its own; the checkouts
take turns, and what is shown is the median over the rounds. CPU time is that of all processes of a run. One run more,
of these sources alone, is timed by phase.

    git worktree add ../before f981a89
    ovlab bench trial --against ../before
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ovlab.benchmarks.outcome import Report, Value
from ovlab.specs.errors import InputError
from ovlab.specs.suite import SHAPES

_HERE = Path(__file__).resolve().parents[3]
_COMMANDS = "platform/ovlab/commands/run.py"

# A row of Table 4, "full-6", of any backbone.
_TABLE = """\
from ovlab.specs.table import Row, Table, Variation

TABLE = Table(
    name="trial",
    title="A run of Table 4, mIoU (%)",
    rows=(
        Row(key="run", label="run", run=Variation(backbone="{backbone}", region_grid=6, model={{"prior_weight": 1.0}})),
    ),
)
"""


class Trial(NamedTuple):
    """What one run took, and what came of it: the loss of the last update, and mIoU by the name of the benchmark."""

    cpu_seconds: float
    seconds: float
    peak_bytes: int
    final_loss: float
    miou: dict[str, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout (default: these sources alone)")
    parser.add_argument(
        "--backbone", default="vit-b", choices=SHAPES.backbones, help="of the miniature (default: vit-b)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each checkout (default: 3)")
    parser.add_argument("--limit-steps", type=int, metavar="N", help="train N updates at most")
    parser.add_argument("--limit-images", type=int, metavar="N", help="score the first N images of each set only")


def run(arguments: argparse.Namespace) -> Report:
    """A row for each checkout, then one for each phase."""
    checkouts = [_HERE] if arguments.against is None else [_checkout(arguments.against), _HERE]
    limits = [
        word
        for name, limit in (("steps", arguments.limit_steps), ("images", arguments.limit_images))
        if limit is not None
        for word in (f"--limit-{name}", str(limit))
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "trial.py"
        table.write_text(_TABLE.format(backbone=arguments.backbone), encoding="utf-8")
        for checkout in checkouts:  # compiles what is not compiled yet
            _trial(checkout, table, folder / "warm-up", ["--limit-steps", "1", "--limit-images", "1"])
        trials: dict[Path, list[Trial]] = {checkout: [] for checkout in checkouts}
        for number in range(arguments.rounds):
            for checkout in checkouts[:: 1 if number % 2 == 0 else -1]:
                trials[checkout].append(_trial(checkout, table, folder / f"{number}", limits))
        phases = _phases(table, folder, limits)
    first = _median(trials[checkouts[0]])
    rows = [_row(checkout.name, _median(made), first) for checkout, made in trials.items()]
    rows += [_phase_row(phase, seconds, sum(phases.values())) for phase, seconds in phases.items()]
    ours = _median(trials[_HERE])
    apart = max(abs(ours.miou[name] - value) for name, value in first.miou.items())
    context: dict[str, Value] = {
        "backbone": arguments.backbone,
        "rounds": arguments.rounds,
        "limits": " ".join(limits) or "none",
        "last losses apart, relative": float(f"{abs(ours.final_loss / first.final_loss - 1):.1e}"),
        "mIoU apart by at most": round(apart, 4),
    }
    return Report(name="trial", title="A run of Table 4: training, six evaluations", rows=rows, context=context)


def _checkout(folder: Path) -> Path:
    if not (folder / _COMMANDS).is_file():
        raise InputError(f"--against {folder}: no checkout of this project; make one with git worktree add.")
    return folder.resolve()


def _trial(checkout: Path, table: Path, place: Path, limits: Sequence[str]) -> Trial:
    """The run of `table` with a new store in `place`."""
    store = place / checkout.name / "store"
    command = [sys.executable, "-m", "ovlab", *_command(checkout, table, store, limits)]
    began = time.perf_counter()
    with (table.parent / "output.txt").open("w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=checkout, env=_environment(checkout, table.parent), stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if process.returncode:
            raise RuntimeError(f"{checkout}: the run ended with {process.returncode}: {output.read()[-2000:]}")
    seconds = time.perf_counter() - began
    (training,), evaluations = _records(store, "trainings"), _records(store, "evaluations")
    return Trial(
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        seconds=seconds,
        peak_bytes=1024 * usage.ru_maxrss,
        final_loss=training["final_loss"],
        miou={record["evaluation"]["benchmark"]: record["figures"]["miou"] for record in evaluations},
    )


def _records(store: Path, kind: str) -> list[dict[str, Any]]:
    """As JSON: what reads records may know others than those of the checkout."""
    return [json.loads(file.read_text(encoding="utf-8"))["record"] for file in store.glob(f"{kind}/*/record.json")]


def _phases(table: Path, folder: Path, limits: Sequence[str]) -> dict[str, float]:
    file = folder / "phases.json"
    command = _command(_HERE, table, folder / "phases" / "store", limits)
    subprocess.run(
        [sys.executable, "-m", "ovlab.benchmarks.trial_phases", str(file), *command],
        cwd=_HERE,
        env=_environment(_HERE, folder),
        check=True,
        capture_output=True,
    )
    return json.loads(file.read_text(encoding="utf-8"))


def _command(checkout: Path, table: Path, store: Path, limits: Sequence[str]) -> list[str]:
    # What says how many runs are made at a time was called otherwise once.
    sources = (checkout / _COMMANDS).read_text(encoding="utf-8")
    at_once = "--runs-at-once" if '"--runs-at-once"' in sources else "--workers"
    fixed = ["--suite", "shapes", "--seeds", "0", "--no-tracking", "--device", "cpu", at_once, "1"]
    return ["run", str(table), *fixed, "--store", str(store), "--workdir", str(store.parent / "runs"), *limits]


def _environment(checkout: Path, folder: Path) -> dict[str, str]:
    """These sources first, one thread, and a cache that the runs of a checkout share."""
    sources = f"{checkout / 'platform'}{os.pathsep}{checkout / 'model'}"
    cache = str(folder / "cache" / checkout.name)
    return {**os.environ, "PYTHONPATH": sources, "OMP_NUM_THREADS": "1", "OVLAB_CACHE": cache}


def _median(trials: Sequence[Trial]) -> Trial:
    """Number by number; what comes of equal runs is equal."""
    return Trial(
        cpu_seconds=statistics.median(trial.cpu_seconds for trial in trials),
        seconds=statistics.median(trial.seconds for trial in trials),
        peak_bytes=int(statistics.median(trial.peak_bytes for trial in trials)),
        final_loss=trials[0].final_loss,
        miou=trials[0].miou,
    )


def _row(name: str, trial: Trial, first: Trial) -> dict[str, Value]:
    return {
        "what": name,
        "CPU s": trial.cpu_seconds,
        "x CPU": trial.cpu_seconds / first.cpu_seconds,
        "s": trial.seconds,
        "peak MiB": trial.peak_bytes / 2**20,
    }


def _phase_row(phase: str, seconds: float, total: float) -> dict[str, Value]:
    return {"what": f"  {phase}", "CPU s": seconds, "x CPU": seconds / total, "s": None, "peak MiB": None}
