"""ovlab.sweeps.timeline: when the runs of a sweep were made, from its journals, and what stood idle."""

from pathlib import Path

import pytest

from micro_table import TABLE
from ovlab.runs.clip_files import RANDOM
from ovlab.runs.context import RunContext
from ovlab.runs.here import Here
from ovlab.runs.sources import Sources
from ovlab.specs.suite import SHAPES
from ovlab.store.store import open_store
from ovlab.sweeps.making import make_sweep
from ovlab.sweeps.planner import make_plan
from ovlab.sweeps.timeline import Bar, Timeline, in_places, read_timelines


def bar(start: float, end: float) -> Bar:
    return Bar("run", "name", start, start, end)


def test_idle_is_the_empty_share_of_the_room_and_less_of_it_while_a_run_had_yet_to_begin() -> None:
    # Room for two, for three from 4 s on; the third run begins at 5 s.
    bars = (bar(0.0, 6.0), bar(0.0, 3.0), bar(5.0, 8.0))
    timeline = Timeline(
        sweep="two", began=0.0, seconds=10.0, num_processes=1, places=((0.0, 2), (4.0, 3)), bars=tuple(in_places(bars))
    )

    assert timeline.pieces == [(0.0, 4.0, 2), (4.0, 10.0, 3)]
    assert timeline.idle == pytest.approx((26 - 12) / 26)
    # One of the two places that were empty from 4 s to 5 s could have been filled, and the one from 3 s to 4 s.
    assert timeline.idle_beside_work == pytest.approx(2 / 26)
    assert [(found.start, found.place) for found in timeline.bars] == [(0.0, 0), (0.0, 1), (5.0, 1)]


def test_sweep_in_one_process_has_a_bar_for_each_run_one_behind_the_other(tmp_path: Path) -> None:
    sources = Sources(clip_files={"shapes-vit-s": RANDOM})
    store = open_store(str(tmp_path / "store"))
    plan = make_plan([TABLE], SHAPES, store, sources, limit_steps=2, limit_images=2)
    context = RunContext(store=store, workdir=tmp_path / "runs", sources=sources, device="cpu", num_loader_workers=0)

    make_sweep(plan, context, Here())

    (timeline,) = read_timelines(store, plan.sweep.run)
    assert [bar.name for bar in timeline.bars] == [run.name for run in plan.missing]
    assert {bar.place for bar in timeline.bars} == {0}
    assert all(0.0 <= bar.start <= bar.trained <= bar.end <= timeline.seconds for bar in timeline.bars)
    assert 0.0 <= timeline.idle < 1.0
    assert read_timelines(store, timeline.bars[0].run) == []
