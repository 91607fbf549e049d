"""The seven rows of Table 4 as runs of a second each: in this process, and as trials of Ray Tune; what Ray adds.

The rows are those of `ovlab run table4 --suite shapes`, with a model that is small and a few updates, so that what is
left is the work of making runs: between the end of one and the beginning of the next, before the first and after the
last. A trial tells its driver both, which hears of it within half a second. The start of Ray is not counted.
"""

import argparse
import tempfile
import time
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from pathlib import Path

import torch

from ovlab.benchmarks.outcome import Report, Value
from ovlab.ray.cluster import connect
from ovlab.ray.on_ray import OnRay
from ovlab.runs.clip_files import RANDOM
from ovlab.runs.context import RunContext
from ovlab.runs.executor import Executor
from ovlab.runs.here import Here
from ovlab.runs.sources import Sources
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import Row, Table, Variation
from ovlab.specs.table_file import load_table
from ovlab.store.journal import read_journal
from ovlab.store.store import open_store
from ovlab.sweeps.making import make_sweep
from ovlab.sweeps.planner import make_plan
from ovlab.sweeps.sweep import Plan
from ovlab.tracking.provenance import Source

_SMALL = {"guidance_dim": 16, "attention_heads": 2, "state_dim": 4, "fusion_depth": 1, "decoder_dims": [16, 16]}
_SOURCES = Sources(clip_files={"shapes-vit-s": RANDOM})


@dataclass
class _Clock:
    """When the work began and ended, and the runs in it, by their journals; in seconds since 1970."""

    began: float
    ended: float
    starts: list[float]
    ends: list[float]

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def of_a_run(self) -> float:
        return (sum(self.ends) - sum(self.starts)) / len(self.starts)

    @property
    def between_runs(self) -> float:
        gaps = [start - end for end, start in zip(self.ends, self.starts[1:], strict=False)]
        return sum(gaps) / len(gaps)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=2, help="updates of each run (default: 2)")
    parser.add_argument("--images", type=int, default=2, help="of each of the six benchmarks (default: 2)")
    parser.add_argument("--address", help="of a Ray that runs already (default: one is started)")


def run(arguments: argparse.Namespace) -> Report:
    """One row each for one process, trials one at a time, and trials two at a time."""
    torch.set_num_threads(1)
    table = _small(load_table("table4"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        time_it = partial(_time, arguments=arguments)
        time_it(Here(), replace(table, rows=table.rows[:1], claims=()), folder / "warm-up")
        rows = [_row("this process", time_it(Here(), table, folder / "here"))]
        began = time.perf_counter()
        with connect(arguments.address) as cluster:
            start = time.perf_counter() - began
            rows.append(_row("trials, one at a time", time_it(OnRay(num_at_once=1), table, folder / "one")))
            two = time_it(OnRay(num_at_once=2), table, folder / "two")
            # Runs that overlap have no time between them.
            rows.append(_row("trials, two at a time", two) | {"between two s": None})
            context: dict[str, Value] = {
                "updates": arguments.steps,
                "images": 6 * arguments.images,
                "CPUs": cluster.num_cpus,
                "start of Ray s": round(start, 2),
            }
    return Report(name="sweep", title=f"{len(table.rows)} rows of Table 4, a small model", rows=rows, context=context)


def _small(table: Table) -> Table:
    def small(row: Row) -> Row:
        variation = row.run
        if not isinstance(variation, Variation):
            return row
        return replace(row, run=replace(variation, model={**_SMALL, **variation.model}, schedule={"batch_size": 1}))

    return replace(table, rows=tuple(small(row) for row in table.rows), seeds=(0,))


def _time(executor: Executor, table: Table, folder: Path, *, arguments: argparse.Namespace) -> _Clock:
    plan, store = _plan(table, folder, arguments), open_store(str(folder / "store"))
    context = RunContext(
        store=store, workdir=folder / "runs", sources=_SOURCES, device="cpu", source=Source(), num_loader_workers=0
    )
    began = time.time()
    with redirect_stderr(StringIO()):  # it says how far it is
        failures = make_sweep(plan, context, executor)
    ended = time.time()
    if failures:
        raise RuntimeError(f"{failures[0].run.name}: {failures[0].cause}")
    attempts = [read_journal(store, str(run.subject.fingerprint)).attempts[-1] for run in plan.runs]
    attempts.sort(key=lambda attempt: attempt.began)
    return _Clock(
        began=began,
        ended=ended,
        starts=[attempt.began for attempt in attempts],
        ends=[attempt.events[-1].time for attempt in attempts],
    )


def _plan(table: Table, folder: Path, arguments: argparse.Namespace) -> Plan:
    return make_plan(
        [table],
        SHAPES,
        open_store(str(folder / "store")),
        _SOURCES,
        limit_steps=arguments.steps,
        limit_images=arguments.images,
    )


def _row(name: str, clock: _Clock) -> dict[str, Value]:
    return {
        "way": name,
        "s": clock.seconds,
        "before the first s": clock.starts[0] - clock.began,
        "a run s": clock.of_a_run,
        "between two s": clock.between_runs,
        "after the last s": clock.ended - clock.ends[-1],
    }
