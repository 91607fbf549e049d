"""A score of one's own, declared outside of the laboratory, is in the summary, the bootstrap, a table and --help."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ovlab.cli import main
from ovlab.metrics.image_scores import image_scores
from ovlab.metrics.resampling import resample
from ovlab.report.assembly import table_views
from ovlab.report.cells import read_records
from ovlab.specs.scores import SCORES, Score, declare
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import Column, Table
from ovlab.store.pairs import stored_tables

SHARES = np.linspace(0.3, 0.9, 30)


def missed(totals: Any) -> Any:
    """The share of a class's pixels that was not found, as a mean over the classes."""
    pixels = totals.pixels
    return pixels.mean((pixels.gt - pixels.hits) / np.maximum(pixels.gt, 1))


@pytest.fixture
def own() -> Iterator[Score]:
    yield declare(Score(name="missed", title="missed", of=missed, lower_is_better=True))
    del SCORES["missed"]


def test_own_score_is_in_summary_bootstrap_images_and_table(own: Score, filled: Any, table: Table) -> None:
    gains = (0.0, 0.05, 0.1)
    for row, gain in zip(table.rows[1:], gains, strict=True):
        for seed in table.seeds:
            record = filled.measure(row.run, SHARES + gain, seed=seed)
    table = replace(table, columns=(Column(title="PAS-20", benchmark="pas-20", score=own.name),))
    best = 1 - np.mean(SHARES + gains[-1])

    assert record.figures["missed"] == pytest.approx(best, abs=1e-3)
    counts = stored_tables(filled.store, record)
    samples = resample(counts, names=["missed"], num_resamples=500).scores["missed"]
    assert samples.std() == pytest.approx(SHARES.std() / len(SHARES) ** 0.5, rel=0.1)
    np.testing.assert_allclose(image_scores(counts, "missed"), 1 - SHARES - gains[-1], atol=1e-3)
    (view,) = table_views([table], SHAPES, read_records(filled.store), filled.store)
    cells = [row.cells[0] for row in view.parts[-1].rows]
    assert [cell.value for cell in cells] == pytest.approx([best + 0.1, best + 0.05, best], abs=1e-3)
    assert [cell.mark for cell in cells] == [None, "second", "best"]
    assert cells[2].image_interval.low < best < cells[2].image_interval.high


def test_own_score_can_be_asked_for_on_the_command_line(own: Score, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--help"])

    assert f"{list(SCORES)[-2]}, missed" in " ".join(capsys.readouterr().out.split())


def test_score_of_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="there is a score 'miou' already"):
        declare(Score(name="miou", title="another", of=missed))
