"""ovlab.sweeps.planner: what is done, what is missing and how far, for stores that were filled by hand."""

import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from ovlab.commands.plan import totals
from ovlab.runs.clip_files import RANDOM
from ovlab.runs.planned import PlannedEvaluation, PlannedRun
from ovlab.runs.sources import Sources, parse_clip_files
from ovlab.shapes.dataset import ShapesDataset
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import Untrained, protocol_hash, scoring_hash
from ovlab.specs.suite import PAPER, SHAPES
from ovlab.specs.table import SIX_BENCHMARKS, Alone, Row, Table, Variation
from ovlab.store.artifacts import keep_checkpoint
from ovlab.store.record import Attempt, EvaluationRecord, StoredFile, TrainingRecord, cost_of
from ovlab.store.store import Store, open_store
from ovlab.sweeps.planner import make_plan
from ovlab.sweeps.sweep import Plan

# A training of 300 steps, and two evaluations of 300 images.
TABLE = Table(
    name="mine",
    title="Mine",
    columns=SIX_BENCHMARKS[4:],
    rows=(
        Row(key="full", label="full", run=Variation(training_set="pc-59")),
        Row(key="half", label="half", run=Variation(training_set="pc-59", model={"prior_weight": 0.5})),
    ),
)
SOURCES = Sources(clip_files={"shapes-vit-s": RANDOM})


@pytest.fixture(autouse=True, scope="module")
def digests_once() -> Iterator[None]:
    """The type checks of the tests make a digest slow; it does not change between them."""
    found: dict[tuple[str, str, int], str] = {}
    digest = ShapesDataset.digest.func

    def once(dataset: ShapesDataset) -> str:
        key = (dataset.name, dataset.split, len(dataset))
        return found[key] if key in found else found.setdefault(key, digest(dataset))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShapesDataset, "digest", property(once))
        yield


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def planned(store: Store, **options: object) -> Plan:
    return make_plan([TABLE], SHAPES, store, SOURCES, **options)


def attempt(seconds: float, *, device: str = "cpu", num_gpus: int = 0, lost: float = 0.0) -> Attempt:
    now = "2026-01-02T03:04:05+00:00"
    return Attempt(
        id="one",
        began=now,
        updated=now,
        status="finished",
        device=device,
        num_gpus=num_gpus,
        seconds=seconds,
        kept_seconds=seconds - lost,
    )


def put_training(store: Store, run: PlannedRun, *attempts: Attempt, finished: str = "2026-01-02T04:00:00") -> None:
    assert run.subject.resolved is not None
    store.put_training(
        TrainingRecord(
            fingerprint=str(run.subject.fingerprint),
            training=run.subject.resolved,
            class_names=("a",),
            num_steps=run.subject.spec.schedule.steps,
            final_loss=0.1,
            weights=StoredFile(name="w", sha256="b" * 64, num_bytes=5),
            cost=cost_of(attempts or [attempt(600.0)]),
            finished=finished,
            provenance={},
        )
    )


def put_evaluation(
    store: Store, part: PlannedEvaluation, *attempts: Attempt, untrained: Untrained | None = None
) -> None:
    assert part.spec is not None
    store.put_evaluation(
        EvaluationRecord(
            fingerprint=str(part.fingerprint),
            evaluation=part.spec,
            protocol_hash=protocol_hash(part.spec.protocol),
            scoring_hash=scoring_hash(part.spec.protocol),
            figures={"miou": 0.5, "num_images": part.num_images},
            classes=(),
            num_shards=part.num_shards,
            cost=cost_of(attempts or [attempt(30.0)]),
            finished="2026-01-02T05:00:00",
            provenance={},
            untrained=untrained,
        )
    )


def test_plan_of_an_empty_store_has_every_fingerprint_and_writes_nothing(store: Store) -> None:
    runs = planned(store).runs

    assert [run.status for run in runs] == ["missing", "missing"]
    parts = [part for run in runs for part in run.parts]
    assert len({part.fingerprint for part in parts}) == len(parts) == 6
    assert {part.estimate for part in parts} == {None}
    assert [(part.num_images, part.num_shards) for part in runs[0].evaluations] == [(300, 150)] * 2
    assert runs[0].rows == (("mine", "full"),)
    assert not Path(str(store)).exists()


def test_plan_finds_what_is_done_by_fingerprint(store: Store) -> None:
    full, _ = planned(store).runs
    put_training(store, full)
    put_evaluation(store, full.evaluations[0])

    full, half = planned(store).runs

    assert [part.status for part in full.parts] == ["done", "done", "missing"]
    assert {part.status for part in half.parts} == {"missing"}
    put_evaluation(store, full.evaluations[1])
    assert planned(store).missing == (planned(store).runs[1],)


def test_plan_says_how_far_a_run_has_come(store: Store, tmp_path: Path) -> None:
    run = planned(store).runs[0]
    for step in (100, 200):
        path = tmp_path / f"step-{step:08d}.pt"
        path.write_bytes(b"state")
        keep_checkpoint(store, str(run.subject.fingerprint), path)
    store.folder.write(f"evaluations/{run.evaluations[1].fingerprint}/counts/00000.parquet", b"counts")

    run = planned(store).runs[0]

    assert (run.subject.status, run.subject.step) == ("missing", 200)
    assert [part.num_shards_done for part in run.evaluations] == [0, 1]


def test_plan_limits_make_other_runs_that_fill_no_unlimited_cell(store: Store) -> None:
    limited = planned(store, limit_steps=5, limit_images=7)
    for run in limited.runs:
        put_training(store, run)
        for part in run.evaluations:
            put_evaluation(store, part)

    assert [run.status for run in planned(store, limit_steps=5, limit_images=7).runs] == ["done", "done"]
    assert {part.status for run in planned(store).runs for part in run.parts} == {"missing"}
    only_images = planned(store, limit_steps=5).runs[0]
    assert [part.status for part in only_images.parts] == ["done", "missing", "missing"]
    assert [part.num_images for part in limited.runs[0].evaluations] == [7, 7]
    with pytest.raises(InputError, match="--limit-images"):
        planned(store, limit_images=0)


def test_plan_limit_of_as_many_images_as_there_are_is_no_limit(store: Store) -> None:
    limited, whole = planned(store, limit_images=300), planned(store)

    assert [(run.subject, run.evaluations) for run in limited.runs] == [
        (run.subject, run.evaluations) for run in whole.runs
    ]


def test_plan_estimates_from_the_kept_time_of_finished_runs(store: Store, tmp_path: Path) -> None:
    full, half = planned(store).runs
    put_training(store, full, attempt(900.0, device="H200", num_gpus=1, lost=300.0))
    put_evaluation(store, full.evaluations[0], attempt(30.0))
    path = tmp_path / "step-00000040.pt"
    path.write_bytes(b"state")
    keep_checkpoint(store, str(half.subject.fingerprint), path)

    full, half = planned(store).runs

    # 600 of 900 seconds were kept in 100 updates, so 6 s an update; 60 of them are left.
    assert half.subject.estimate == (360.0, None, 360.0, "H200", False)
    assert half.evaluations[0].estimate == (30.0, None, 0.0, "cpu", False)
    assert half.evaluations[1].estimate is None
    assert full.subject.estimate is None


def test_plan_estimates_from_long_runs_on_the_newest_device(store: Store) -> None:
    rehearsal = planned(store, limit_steps=2).runs[0]
    put_training(store, rehearsal, attempt(60.0, device="new"), finished="2026-01-02T06:00:00")
    full, _ = planned(store).runs
    assert full.subject.estimate == (3000.0, None, 0.0, "new", True)
    put_training(store, full, attempt(150.0, device="new"), finished="2026-01-02T05:00:00")
    slow = planned(store, seeds=(1,)).runs[0]
    put_training(store, slow, attempt(3000.0, device="old"), finished="2026-01-01T00:00:00")

    half = planned(store).runs[1]

    assert half.subject.estimate == (150.0, None, 0.0, "new", False)


def test_plan_builds_on_a_rehearsal_only_where_nothing_else_was_measured_and_says_so(store: Store) -> None:
    limited, (full, half) = planned(store, limit_steps=2, limit_images=7).runs[0], planned(store).runs
    put_training(store, limited, attempt(60.0))
    put_evaluation(store, limited.evaluations[0], attempt(70.0))
    run = planned(store).runs[0]
    assert run.subject.estimate == (3000.0, None, 0.0, "cpu", True)
    assert run.evaluations[0].estimate == (3000.0, None, 0.0, "cpu", True)
    assert "4 of these 4 estimates build on limited runs" in totals(planned(store))

    put_training(store, full, attempt(600.0), finished="2026-01-01T00:00:00")
    put_evaluation(store, full.evaluations[0], attempt(30.0))

    half = planned(store).runs[1]
    assert half.subject.estimate == (600.0, None, 0.0, "cpu", False)
    assert half.evaluations[0].estimate == (30.0, None, 0.0, "cpu", False)
    assert "limited" not in totals(planned(store))


def test_plan_names_time_by_the_clock_and_of_processors_and_says_where_that_was_not_recorded(store: Store) -> None:
    full = planned(store).runs[0]
    put_training(store, full, replace(attempt(600.0), process_seconds=1200.0))
    assert planned(store).runs[1].subject.estimate == (600.0, 1200.0, 0.0, "cpu", False)
    assert "0:10:00 of wall time, 0:20:00 of CPU time, 0.0 GPU-hours" in totals(planned(store))

    put_evaluation(store, full.evaluations[0], attempt(30.0))

    assert "0:10:30 of wall time, CPU time not recorded, 0.0 GPU-hours" in totals(planned(store))


def test_plan_takes_an_update_for_the_median_of_those_behind_the_first(store: Store) -> None:
    full = planned(store).runs[0]
    put_training(store, full, attempt(900.0))
    # Of four images each: ten that wait for caches, then 2 s an update, but for one that a checkpoint held up.
    rates = [0.1] * 10 + [2.0] * 30 + [0.01]
    steps = [
        {"step": number, "loss": 1.0, "learning_rate": 1e-3, "grad_norm": 1.0, "images_per_second": rate}
        for number, rate in enumerate(rates, start=1)
    ]
    log = "".join(json.dumps(step) + "\n" for step in steps)
    store.folder.write(f"trainings/{full.subject.fingerprint}/steps.jsonl", log.encode())

    half = planned(store).runs[1]

    assert half.subject.estimate == (200.0, None, 0.0, "cpu", False)


def test_plan_without_data_or_clip_weights_names_all_that_is_missing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OVLAB_DATA", raising=False)

    found = make_plan([TABLE], PAPER, store, Sources())

    assert [run.status for run in found.runs] == ["blocked", "blocked"]
    assert found.missing == ()
    problems = "\n".join(found.problems)
    for words in ("--data pc-59=URI", "--clip vit-b16=FILE", "--data pas-20=URI", "--data pas-20b=URI"):
        assert problems.count(words) == 1
    assert {part.fingerprint for run in found.runs for part in run.parts} == {None}


def test_plan_other_clip_weights_are_other_runs(store: Store, tmp_path: Path) -> None:
    def fingerprint(content: bytes) -> str | None:
        file = tmp_path / "clip.safetensors"
        file.write_bytes(save({"one": np.frombuffer(content, np.uint8)}))
        sources = Sources(clip_files={"shapes-vit-s": str(file)})
        return make_plan([TABLE], SHAPES, store, sources).runs[0].subject.fingerprint

    assert fingerprint(b"one") == fingerprint(b"one")
    assert len({fingerprint(b"one"), fingerprint(b"two"), planned(store).runs[0].subject.fingerprint}) == 3


def test_planned_run_survives_pickling(store: Store) -> None:
    run = planned(store).runs[0]

    assert pickle.loads(pickle.dumps(run)) == run


def test_planned_run_that_can_do_nothing_more_is_blocked(store: Store) -> None:
    run = planned(store).runs[0]
    done, blocked = (replace(run.evaluations[0], status=status) for status in ("done", "blocked"))
    trained = replace(run.subject, status="done")

    assert PlannedRun(subject=trained, evaluations=(done, blocked)).status == "blocked"
    assert PlannedRun(subject=run.subject, evaluations=(done, blocked)).status == "missing"
    assert PlannedRun(subject=trained, evaluations=(done,)).status == "done"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["vit-b16"], "write PRESET=FILE"),
        (["vit-b61=x.pt"], "nearest is 'vit-b16'"),
        (["tiny=a", "tiny=b"], "was given before as a"),
    ],
)
def test_parse_clip_files_wrong_option_is_refused(options: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_clip_files(options)


def test_sources_clip_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"--clip tiny=nowhere\.pt: no such file"):
        Sources(clip_files={"tiny": "nowhere.pt"}).clip_file("tiny")


def test_plan_estimates_what_is_not_trained_by_itself_and_not_by_others_on_the_same_clip(store: Store) -> None:
    """CLIP alone, MaskCLIP and LoGoSeg under one protocol: only what was measured of each."""
    runs = (
        Alone(),
        Alone(method="maskclip", options={"prompt_templates": SHAPES.model().prompt_templates}),
        Variation(),
    )
    rows = tuple(Row(key=str(number), label="", run=run) for number, run in enumerate(runs))
    table = replace(TABLE, rows=rows, columns=SIX_BENCHMARKS[4:5])

    def parts(limit_images: int | None = None) -> list[PlannedRun]:
        return list(make_plan([table], SHAPES, store, Sources(), limit_images=limit_images).runs)

    limited = parts(limit_images=100)
    for number, seconds in ((2, 10.0), (1, 20.0), (0, 30.0)):
        known = [run.evaluations[0].estimate for run in parts()]
        assert [estimate is not None for estimate in known] == [later > number for later in range(3)]
        put_training(store, limited[2])
        untrained = getattr(limited[number].subject, "subject", None)
        put_evaluation(store, limited[number].evaluations[0], attempt(seconds), untrained=untrained)

    assert [run.evaluations[0].estimate for run in parts()] == [
        (90.0, None, 0.0, "cpu", True),
        (60.0, None, 0.0, "cpu", True),
        (30.0, None, 0.0, "cpu", True),
    ]
