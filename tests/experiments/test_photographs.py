"""The tables of photographs: declared for their suite, and for nothing else."""

import pytest

from ovlab.methods.registry import subject_of
from ovlab.specs.errors import InputError
from ovlab.specs.suite import PHOTOGRAPHS, SHAPES
from ovlab.specs.table_file import load_table
from ovlab.specs.training import TrainingSpec


@pytest.mark.parametrize("name", PHOTOGRAPHS.tables)
def test_rows_train_on_seen_classes_and_are_scored_elsewhere(name: str) -> None:
    table = load_table(name)
    subjects = {row.key: subject_of(row.run, PHOTOGRAPHS, 0) for row in table.rows}
    trained = {key: subject for key, subject in subjects.items() if isinstance(subject, TrainingSpec)}

    assert set(subjects) - set(trained) == {"floor"}
    assert {(spec.dataset, spec.split) for spec in trained.values()} == {("msrc", "train-seen")}
    assert not {column.split for column in table.columns} & {"train", "train-seen"}
    for column in table.columns:
        assert PHOTOGRAPHS.benchmark(column.benchmark) == column.benchmark


def test_samples_are_asked_of_runs_of_the_photographs() -> None:
    tables = [{row.key: row.run for row in load_table(name).rows} for name in PHOTOGRAPHS.tables]

    assert tables[1].items() <= tables[0].items()


def test_ablations_differ_from_logoseg_in_one_value() -> None:
    rows = {row.key: row.run for row in load_table("photographs").rows}
    models = {key: rows[key].training(PHOTOGRAPHS, 0).model for key in ("logoseg", "no-prior", "no-alignment")}

    assert (models["logoseg"].prior_weight, models["no-prior"].prior_weight) == (1.0, 0.0)
    assert (models["logoseg"].region_alignment, models["no-alignment"].region_alignment) == (True, False)


def test_another_suite_refuses_the_table_in_one_line() -> None:
    (row, *_) = load_table("photographs").rows

    with pytest.raises(InputError, match="suite shapes: backbone 'bridge': there is none"):
        subject_of(row.run, SHAPES, 0)
