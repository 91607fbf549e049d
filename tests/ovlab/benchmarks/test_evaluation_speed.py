"""ovlab.benchmarks.evaluation_speed: what Ray adds, from notes with a known answer, and the model that does nothing."""

from pathlib import Path

import pytest

from ovlab.benchmarks.blank_model import BlankModel
from ovlab.benchmarks.evaluation_speed import Note, Timed, added_by_ray
from ovlab.datasets.opening import open_dataset
from ovlab.runs.context import RunContext
from ovlab.runs.evaluations import ensure_evaluations
from ovlab.runs.here import Here
from ovlab.runs.identity import resolve_evaluation
from ovlab.runs.journaling import journaled
from ovlab.runs.work import EvaluationJob
from ovlab.specs.evaluation import whole
from ovlab.specs.events import RunHeader
from ovlab.store.store import open_store


@pytest.mark.parametrize("num_actors", [1, 2])
def test_added_time_is_split_into_what_is_fixed_and_what_an_image_costs(num_actors: int) -> None:
    work, per_image, fixed, block, num_blocks = 0.02, 0.003, 4.0, 32, 20
    pace = work / num_actors + per_image
    notes = [Note(fixed + pace * block * number, block, work * block) for number in range(1, num_blocks + 1)]

    added = added_by_ray(Timed(notes[-1].time, 0.0, notes), num_actors)

    assert added.per_image == pytest.approx(per_image)
    assert added.fixed == pytest.approx(fixed)


def test_blank_model_is_scored_as_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))
    dataset = open_dataset("shapes-pas-20b", "val", num_samples=3)
    job = EvaluationJob(resolve_evaluation("0" * 64, dataset, "val", whole(96)), dataset)
    context = RunContext(store=open_store(str(tmp_path)), workdir=tmp_path, device="cpu")

    with journaled(RunHeader(run="0" * 64, name="blank"), context) as inner:
        (record,) = ensure_evaluations([job], {"0" * 64: BlankModel}, inner, Here())

    assert record.figures["num_images"] == 3
    assert sum(entry.num_pred_pixels > 0 for entry in record.classes) == 1
