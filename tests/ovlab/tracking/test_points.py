"""ovlab.tracking.points: what of a curve is shown."""

import math
from pathlib import Path

import pytest

from ovlab.specs.events import RunHeader, Step, Validated
from ovlab.store.journal import open_journal, read_journal
from ovlab.store.store import open_store
from ovlab.tracking.points import points_of


@pytest.mark.parametrize(("norm", "shown"), [(1.5, True), (math.inf, False), (math.nan, False)])
def test_value_that_is_not_finite_is_not_shown(norm: float, shown: bool, tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    with open_journal(store, RunHeader(run="a" * 64, name="made")) as journal:
        journal.write(
            Step(step=1, loss=2.0, learning_rate=0.1, grad_norm=norm, images_per_second=1.0, data_seconds=0.0)
        )
    log = read_journal(store, "a" * 64)

    keys = {point.key for point in points_of(log, list(log.events))}

    assert "train/loss" in keys
    assert ("train/grad_norm" in keys) == shown


def test_scores_on_the_way_are_shown_once_though_their_update_was_made_again(tmp_path: Path) -> None:
    store, figures = open_store(str(tmp_path)), {"miou": 0.25}
    with open_journal(store, RunHeader(run="a" * 64, name="made")) as journal:
        for _ in range(2):
            journal.write(Validated(step=4, benchmark="b", split="val", num_images=3, figures=figures))
    log = read_journal(store, "a" * 64)

    points = [point for point in points_of(log, list(log.events)) if point.key.startswith("validation/")]

    assert [(point.key, point.value, point.step) for point in points] == [("validation/miou", 0.25, 4)]
