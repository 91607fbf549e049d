"""What a command costs before its own work begins: processor time of fresh processes, and the chain of imports.

The peer is `python -c "import torch, open_clip"`, without which no network of CLIP opens. Beside it stand the same with
all else that `ovlab predict` and `ovlab evaluate` import, and the two commands whole, on one painted picture, with the
small CLIP that ships: their difference to the imports is their own work. Runs alternate, and the median counts. Below,
the packages that a command imports beyond the peer, by their own milliseconds in one run with -X importtime.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from ovlab.benchmarks.outcome import Report, Value
from ovlab.specs.errors import WorkError

PEER = ("-c", "import torch, open_clip")
# Some refuse to be imported by their names alone: those that a C extension made, and __main__'s.
_IMPORT_ALL = """
import contextlib, importlib, sys
for name in sys.argv[1].split(","):
    with contextlib.suppress(ImportError, AttributeError):
        importlib.import_module(name)
"""
_WORDS = "red circle, blue square"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=int, default=3, help="runs of each, of which the median counts (default 3)")
    parser.add_argument("--packages", type=int, default=8, help="packages of the chain that are listed (default 8)")


def run(arguments: argparse.Namespace) -> Report:
    """A row for the peer, two for each command, and one for each of the packages that it adds."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        photograph = folder / "picture.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)).save(photograph)
        commands = {
            "predict": ("predict", str(photograph), "--weights", "clip:shapes-vit-s", "--classes", _WORDS),
            "evaluate": ("evaluate", "clip:shapes-vit-s", "--data", "shapes-pas-20", "--limit", "1"),
        }
        calls: dict[str, Sequence[str]] = {"import torch, open_clip": PEER}
        own = own_milliseconds(_importtime(PEER, folder))
        chains: dict[str, Mapping[str, float]] = {}
        for name, command in commands.items():
            whole = ("-m", "ovlab", *command, "--out", str(folder / name))
            imported = own_milliseconds(_importtime(whole, folder))
            chains[name] = by_package({module: ms for module, ms in imported.items() if module not in own})
            calls[f"imports of {name}"] = ("-c", _IMPORT_ALL, ",".join(imported))
            calls[name] = whole
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(arguments.repeats):
            for name, call in calls.items():
                seconds[name].append(_cpu_seconds(call, folder))
                print(f"start: {name}: {seconds[name][-1]:.2f} CPU s", file=sys.stderr, flush=True)
    peer = statistics.median(seconds["import torch, open_clip"])
    rows = [_row(name, statistics.median(found), peer) for name, found in seconds.items()]
    for name, chain in chains.items():
        largest = Counter(chain).most_common(arguments.packages)
        rows += [_row(f"{name}: {package}", ms / 1000, peer) for package, ms in largest]
    context: dict[str, Value] = {"repeats": arguments.repeats, "python": sys.version.split()[0]}
    return Report(name="start", title="Start of a command against its peer", rows=rows, context=context)


def _row(part: str, seconds: float, peer: float) -> dict[str, Value]:
    return {"part": part, "CPU s": seconds, "x import torch, open_clip": seconds / peer}


def by_package(own: Mapping[str, float]) -> dict[str, float]:
    """The sum over the modules of each package."""
    found: dict[str, float] = defaultdict(float)
    for module, milliseconds in own.items():
        found[module.partition(".")[0]] += milliseconds
    return dict(found)


def own_milliseconds(report: str) -> dict[str, float]:
    """Of every module that python -X importtime names, without those that it imports."""
    found: dict[str, float] = {}
    for line in report.splitlines():
        own, *rest = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and own.strip().isdigit() and len(rest) == 2:
            found[rest[1].strip()] = int(own) / 1000
    return found


def _importtime(call: Sequence[str], folder: Path) -> str:
    return _finished(("-X", "importtime", *call), folder)


def _cpu_seconds(call: Sequence[str], folder: Path) -> float:
    before = os.times()
    _finished(call, folder)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _finished(call: Sequence[str], folder: Path) -> str:
    """What it said on standard error. Raises WorkError where it fails."""
    done = subprocess.run([sys.executable, *call], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise WorkError(f"bench start: python {' '.join(call)[:80]} failed: {done.stderr.strip()[-200:]}")
    return done.stderr
