"""`ovlab compare` from the store to the table: which evaluations meet, what is refused, and what is printed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from image_tables import tables_of
from logoseg.presets import PRESETS
from ovlab.cli import main
from ovlab.datasets.catalog import seen_classes
from ovlab.metrics.counting import ClassCounts, SparseCounts
from ovlab.metrics.crossed import crossed_difference
from ovlab.metrics.evaluation_counts import ImageCounts, sum_counts
from ovlab.metrics.summary import summary
from ovlab.specs.evaluation import (
    DenseClip,
    EvaluationSpec,
    Scoring,
    evaluation_fingerprint,
    protocol_hash,
    scoring_hash,
    whole,
)
from ovlab.specs.fingerprint import fingerprint as fingerprint_of
from ovlab.specs.scores import Kind
from ovlab.store.count_shards import commit_shard, plan_shards, stored_shards
from ovlab.store.counts import counts_digest
from ovlab.store.record import Attempt, ClassFigures, EvaluationRecord, cost_of
from ovlab.store.store import Store, open_store

NUM_CLASSES = 20
IDS = [f"{number:03d}" for number in range(40)]
A, B, C = "a" * 64, "b" * 64, "b" * 8 + "c" * 56


def images_of(ids: list[str], share: float, seed: int) -> list[ImageCounts]:
    """One class an image, of which about `share` is found, and the rest taken for the next class."""
    generator = np.random.default_rng(seed)
    images = []
    for name in ids:
        gt, hits = int(name) % NUM_CLASSES, int(1000 * np.clip(share + 0.1 * generator.normal(), 0.1, 0.9))
        pairs = [(gt, gt, hits), (gt, (gt + 1) % NUM_CLASSES, 1000 - hits)]
        gt_column, pred, count = zip(*sorted(pairs), strict=True)
        counts = SparseCounts(np.array(gt_column, np.uint16), np.array(pred, np.uint16), np.array(count, np.int64))
        images.append(ImageCounts(name, counts))
    return images


def put(
    store: Store,
    subject: str,
    images: list[ImageCounts],
    benchmark: str = "pas-20",
    size: int = 384,
    scoring: Scoring | None = None,
    seen: tuple[bool, ...] | None = None,
    named: bool = False,
    untrained: DenseClip | None = None,
) -> str:
    protocol = replace(whole(size), scoring=scoring or Scoring())
    spec = EvaluationSpec(
        subject=subject,
        benchmark=benchmark,
        split="val",
        data_digest="d" * 64,
        vocabulary_digest="e" * 64,
        protocol=protocol,
    )
    fingerprint = evaluation_fingerprint(spec)
    by_id = {image.id: image for image in images}
    for shard in plan_shards(list(by_id)):
        commit_shard(store, fingerprint, shard, [by_id[name] for name in shard.ids])
    stored = stored_shards(store, fingerprint)
    time = "2026-01-02T03:04:05+00:00"
    attempt = Attempt(
        id="1", began=time, updated=time, status="finished", device="cpu", num_gpus=0, seconds=1.0, kept_seconds=1.0
    )
    figures = summary(
        sum_counts([image.counts for image in images], NUM_CLASSES), [str(index) for index in range(NUM_CLASSES)]
    )
    store.put_evaluation(
        EvaluationRecord(
            fingerprint=fingerprint,
            evaluation=spec,
            protocol_hash=protocol_hash(protocol),
            scoring_hash=scoring_hash(protocol),
            figures={name: value for name, value in figures.items() if name != "classes"},
            classes=tuple(ClassFigures(**values) for values in figures["classes"]),
            num_shards=1,
            cost=cost_of([attempt]),
            finished=time,
            provenance={},
            untrained=untrained,
            seen=seen,
            count_digests={name: counts_digest(columns) for name, columns in stored.items()} if named else None,
        )
    )
    return fingerprint


RECORDED = Path(__file__).parents[2] / "recorded_store"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def compare(store: Store, *words: str) -> int:
    return main(["compare", *words, "--store", str(store), "--resamples", "500"])


def test_compare_gives_the_figures_of_the_stored_counts(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = images_of(IDS, 0.5, 0), images_of(IDS, 0.6, 1)
    put(store, A, first)
    put(store, B, list(reversed(second)), size=768)

    assert compare(store, "aaa", "bbb", "--json") == 0

    (row,) = json.loads(capsys.readouterr().out)["comparisons"]
    sides = ({0: tables_of(images, NUM_CLASSES)} for images in (first, second))
    one, two = sides
    for name, score in row["scores"].items():
        expected = crossed_difference(one, two, name, seen=seen_classes("pas-20"), num_resamples=500)
        assert score["difference"] == (None if np.isnan(expected.difference) else expected.difference)
        assert score["p_value"] == expected.p_value
        assert (score["seed_share"], score["image_share"]) == (None, None)
    assert row["holm_p_value"] == row["scores"]["miou"]["p_value"] < 0.05
    assert row["num_images"] == len(IDS)


def test_compare_corrects_over_all_benchmarks_and_runs(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    for subject, share, seed in ((A, 0.5, 0), (B, 0.52, 1), (C, 0.8, 2)):
        for benchmark in ("pas-20", "shapes-of-my-own"):
            put(store, subject, images_of(IDS, share, seed), benchmark)

    assert compare(store, "aaa", "bbbbbbbbb", "bbbbbbbbc", "--json") == 0

    rows = json.loads(capsys.readouterr().out)["comparisons"]
    assert len(rows) == 4
    smallest = min(rows, key=lambda row: row["scores"]["miou"]["p_value"])
    assert smallest["holm_p_value"] == pytest.approx(4 * smallest["scores"]["miou"]["p_value"])


def test_compare_prints_a_row_a_benchmark(store: Store, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    put(store, A, images_of(IDS, 0.5, 0))
    put(store, B, images_of(IDS, 0.8, 1))

    assert compare(store, "aaa", "bbb", "--score", "pixel_accuracy") == 0

    printed = capsys.readouterr().out
    assert "pixel accuracy in %: B against A = aaa" in printed
    assert "pas-20 val" in printed
    assert "of one training, without the noise of training" in printed


def test_evaluation_can_be_named_where_a_run_has_two(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    small = put(store, A, images_of(IDS, 0.5, 0))
    large = put(store, A, images_of(IDS, 0.6, 1), size=768)

    assert compare(store, small[:20], large[:20]) == 0
    assert compare(store, "aaa", small[:20]) == 2
    assert "two evaluations on pas-20 val" in capsys.readouterr().err


def test_evaluation_with_boundaries_stands_for_the_same_without(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    images = images_of(IDS, 0.5, 0)
    put(store, A, images)
    put(store, A, near(images), scoring=Scoring(boundary=0.02))
    put(store, B, near(images, gain=10), scoring=Scoring(boundary=0.02))

    assert compare(store, "aaa", "bbbbbbbbb", "--score", "boundary_iou", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert row["scores"]["miou"]["difference"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("aaa", "fff"), "no evaluation of the run 'fff'"),
        (("aaa", "bbb"), "beginning of 2 runs"),
        (("aaa", "bbbbbbbbc"), "share no benchmark: the one has pas-20 val, the other pc-59 val"),
        (("aaa", "bbbbbbbbb"), r"have not scored the same images: bbbbbbbbb lacks 1 (039)"),
        (("aaa", "777"), "scored by different rules"),
        (("888", "888", "--score", "seen_miou"), "seen_miou is not known on mine"),
    ],
)
def test_compare_refuses_what_cannot_be_compared(
    store: Store, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    put(store, A, images_of(IDS, 0.5, 0))
    put(store, B, images_of(IDS[:-1], 0.5, 0))
    put(store, C, images_of(IDS, 0.5, 0), "pc-59")
    put(store, "7" * 64, images_of(IDS, 0.5, 0), scoring=Scoring(headline="ground_truth_or_prediction"))
    put(store, "8" * 64, images_of(IDS, 0.5, 0), "mine")

    assert compare(store, *words) == 2

    assert message in capsys.readouterr().err


def test_compare_knows_the_seen_classes_of_a_folder_from_its_records(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = (True,) * 5 + (False,) * (NUM_CLASSES - 5)
    for subject, share in ((A, 0.5), (B, 0.6)):
        put(store, subject, images_of(IDS, share, 0), "mine", seen=seen)

    assert compare(store, "aaa", "bbb", "--score", "unseen_miou", "--json") == 0

    (row,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert row["scores"]["unseen_miou"]["difference"] == pytest.approx(0.1, abs=0.03)


def near(images: list[ImageCounts], gain: int = 0) -> list[ImageCounts]:
    """With boundaries of 100 pixels, of which half are found, and `gain` more in each image."""
    boundaries = [
        ClassCounts(image.counts.gt[:1], *np.array([[50 + gain + row % 7], [100], [100]]))
        for row, image in enumerate(images)
    ]
    return [
        image._replace(counts=image.counts._replace(beside={"boundary": boundary}))
        for image, boundary in zip(images, boundaries, strict=True)
    ]


def test_compare_boundaries_where_both_runs_have_them(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    images = images_of(IDS, 0.5, 0)
    put(store, A, near(images), scoring=Scoring(boundary=0.02))
    put(store, B, near(images, gain=10), scoring=Scoring(boundary=0.02))
    put(store, "7" * 64, near(images, gain=10), scoring=Scoring(boundary=0.03))
    put(store, "8" * 64, images)

    assert compare(store, "aaa", "bbbbbbbbb", "--score", "boundary_iou", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["comparisons"]
    score = row["scores"]["boundary_iou"]
    assert (score["difference"] > 0.05, score["p_value"] < 0.05) == (True, True)
    for other in ("777", "888"):
        assert compare(store, "aaa", other, "--json") == 0
        (row,) = json.loads(capsys.readouterr().out)["comparisons"]
        assert row["scores"]["miou"]["difference"] == 0
        assert "boundary_iou" not in row["scores"]
        assert compare(store, "aaa", other, "--score", "boundary_iou") == 2
        assert "boundary_iou is not known on pas-20: all runs have to be" in capsys.readouterr().err


def test_compare_oracle_scores_where_both_runs_asked_the_oracle(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(kinds: list[Kind], gain: int = 0) -> list[ImageCounts]:
        beside = [dict.fromkeys(kinds, image.counts.beside["boundary"]) for image in near(images, gain)]
        return [
            image._replace(counts=image.counts._replace(beside=found))
            for image, found in zip(images, beside, strict=True)
        ]

    images, kinds = images_of(IDS, 0.5, 0), list[Kind](get_args(Kind)[1:])
    put(store, A, told([]))
    put(store, A, told(["classes_oracle"]), scoring=Scoring(oracles=("classes",)))
    put(store, A, told(kinds), scoring=Scoring(oracles=("classes", "regions")))
    put(store, B, told(["classes_oracle"], 10), scoring=Scoring(oracles=("classes",)))

    assert compare(store, "aaa", "bbbbbbbbb", "--score", "classes_oracle_miou", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert row["scores"]["classes_oracle_miou"]["difference"] > 0.05
    assert "confusion_gap" not in row["scores"]
    assert compare(store, "aaa", "bbbbbbbbb", "--score", "confusion_gap") == 2
    assert "all runs have to be evaluated with --oracle classes regions." in capsys.readouterr().err


def test_missing_shard_is_noticed(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    put(store, A, images_of(IDS, 0.5, 0))
    ids = [f"{number:03d}" for number in range(100)]
    fingerprint = put(store, B, images_of(ids, 0.5, 0))
    store.folder.remove(f"evaluations/{fingerprint}/counts/00001.parquet")

    assert compare(store, "aaa", "bbb") == 2

    assert "counts of 64 images are stored, not of 100" in capsys.readouterr().err


@pytest.mark.parametrize("named", [True, False], ids=["by digest", "by scores, as before there were digests"])
def test_counts_of_two_runs_that_were_exchanged_are_refused(
    store: Store, capsys: pytest.CaptureFixture[str], named: bool
) -> None:
    runs = [put(store, A, images_of(IDS, 0.5, 0), named=named), put(store, B, images_of(IDS, 0.6, 1), named=named)]
    places = [f"evaluations/{run}/counts/00000.parquet" for run in runs]
    first, second = (store.folder.read(place) for place in places)
    assert compare(store, "aaa", "bbb") == 0
    store.folder.write(places[0], second)
    store.folder.write(places[1], first)

    assert compare(store, "aaa", "bbb") == 2

    words = "00000.parquet holds other counts than its record" if named else "the scores of its record are not those"
    assert f"evaluation {runs[0][:12]}: {words}" in capsys.readouterr().err


@pytest.mark.parametrize(("num_images", "is_said"), [(3, True), (40, False)])
def test_comparison_of_very_few_images_says_that_they_are_too_few(
    num_images: int, is_said: bool, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for subject, share in ((A, 0.3), (B, 0.7)):
        put(store, subject, images_of(IDS[:num_images], share, 0))

    assert compare(store, A, B) == 0
    assert ("Too few images to tell, fewer than 10: pas-20 val." in capsys.readouterr().out) == is_said


def test_sides_of_several_seeds_know_the_noise_of_seeds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = shutil.copytree(RECORDED / "store", tmp_path / "store")
    prior, other = (f"{RECORDED / 'study.py'}:{row}" for row in ("prior", "no-prior"))
    in_store = ("--store", str(place), "--resamples", "50", "--json")

    # The store holds runs of two updates, which are other trainings than the rows of a table.
    assert main(["compare", prior, other, *in_store]) == 2
    assert f"no evaluation of {prior}" in capsys.readouterr().err
    seeds = ("060ff9963878", "93f7cceef0d1", "9070db2abfe7"), ("ff0567b4f9d0", "c8d8485c94a8", "328902e4f18c")
    assert main(["compare", *(",".join(side) for side in seeds), *in_store]) == 0
    rows = json.loads(capsys.readouterr().out)["comparisons"]
    assert {(len(row["first"]), len(row["second"])) for row in rows} == {(3, 3)}
    for row in rows:
        score = row["scores"]["miou"]
        assert score["seed_share"] + score["image_share"] == pytest.approx(1)

    assert main(["compare", "060ff9963878", str(place), *in_store]) == 2  # a store of many runs is no run
    assert "two runs have the seed" in capsys.readouterr().err


def test_clip_alone_is_found_by_its_preset_and_has_no_noise_of_seeds(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = DenseClip(clip=PRESETS["shapes-vit-s"]().clip, weights_digest="f" * 64)
    put(store, fingerprint_of(clip), images_of(IDS, 0.5, 0), untrained=clip)
    put(store, A, images_of(IDS, 0.6, 1))
    put(store, B, images_of(IDS, 0.62, 2))

    assert compare(store, "clip:shapes-vit-s", "aaa,bbbbbbbbb", "--json") == 0

    (row,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert 0 < row["scores"]["miou"]["seed_share"] < 1


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ("table4:zero-66", "table4 has no row 'zero-66'. The nearest is 'zero-6'."),
        ("table5:zegformer-coco-stuff", "is quoted; only what was measured here"),
        ("clip:shapes-vit", "clip:shapes-vit: no such preset. The nearest is 'shapes-vit-s'."),
        ("table4:zero-6", "no evaluation of table4:zero-6 in"),
        ("aaa,aaa", "aaa,aaa: aaa is there twice."),
    ],
)
def test_side_that_there_is_not_is_refused_by_name(
    store: Store, capsys: pytest.CaptureFixture[str], side: str, message: str
) -> None:
    put(store, A, images_of(IDS, 0.5, 0))

    assert compare(store, "aaa", side) == 2

    assert message in capsys.readouterr().err
