"""`ovlab bench verdicts`: how often a verdict is false, how often an interval holds the truth, how much is found.

normal: scores of seeds and of images are normal, the image part being `image/seed noise` times as large as that of the
seeds in the difference of means. The old rule, the larger of a p-value over images and one over seeds (Welch), is held
beside the crossed test: its error, and its power with its threshold set so that both err alike. Power is that for a
difference of three standard errors. `alike`: how far two runs of one seed correlate; 0.5 is like what was measured.

looks: a null effect that is tested after 3, 5, 8, 12 and 20 seeds at levels that are spent in advance; beside it what
comes of testing by the old rule at 5 % each time. The image part is so many times that of the seeds at the last look.

claims looked at: four claims as `ovlab run --until-decided` tests them, from look to look and with Holm's steps; two
are of no difference, two of three standard errors at the last look. An error is a yes or a no on one of the first two.

seeds apart: two disjoint groups of the seeds of one row, on images drawn with replacement, from counts: of runs that
never were, or of every row in --store that has enough seeds.

images swapped: two runs of one row, with the results of half of the images given to the other: equal by construction.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float64, Integer
from scipy.special import ndtr, stdtr

from ovlab.benchmarks.outcome import Report, Value
from ovlab.benchmarks.synthetic_counts import seeds_of_one_row
from ovlab.metrics.crossed import PAIRED_FROM, CrossedDifference, Spread, crossed_difference, satterthwaite
from ovlab.metrics.per_image import PerImageCounts
from ovlab.metrics.sequential import LOOKS, nominal_levels
from ovlab.metrics.verdict import Verdict, step_down, verdict_above_all
from ovlab.specs.evaluation import EvaluationSpec
from ovlab.specs.training import TrainingSpec
from ovlab.store.pairs import stored_tables
from ovlab.store.store import Store, open_store

LEVEL = 0.05
SEEDS = (2, 3, 5, 10)
RATIOS = (0.0, 0.3, 1.0, 3.0)
ALIKE = (0.0, 0.5)
# The effect whose power is shown, in standard errors.
_EFFECT = 3.0
_RESAMPLES = 250
_MOST_IMAGES = 200

Row = Mapping[int, PerImageCounts]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, default=100_000, metavar="N", help="of normal scores (default: 100000)")
    parser.add_argument(
        "--sets", type=int, default=400, metavar="N", help="drawn of the counts of a row (default: 400)"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of both")
    parser.add_argument("--store", metavar="PLACE", help="counts of real runs: rows with four seeds or more")


def run(arguments: argparse.Namespace) -> Report:
    """Every case, each with draws of its own."""
    share = 10 if arguments.quick else 1
    num_cases, num_sets = max(1, arguments.cases // share), max(1, arguments.sets // share)
    rows = [normal_case(n, ratio, alike, num_cases) for alike in ALIKE for n in SEEDS for ratio in RATIOS]
    rows += [looks_case(ratio, alike, num_cases) for alike in ALIKE for ratio in RATIOS]
    rows += [claims_case(ratio, alike, max(1, num_cases // 10)) for alike in ALIKE for ratio in RATIOS]
    if arguments.store is None:
        populations: dict[str, Row] = {"runs that never were": seeds_of_one_row(12, 1000, 12)}
    else:
        populations = stored_rows(open_store(arguments.store))
    for row in populations.values():
        rows += [apart_case(row, n, num_sets) for n in SEEDS if 2 * n <= len(row)]
        rows.append(swapped_case(row, num_sets))
    return Report(
        name="verdicts",
        title="Verdicts on what is equal, and on what is not, % of cases at a nominal 5 %",
        rows=rows,
        context={
            "cases": num_cases,
            "sets of a row": num_sets,
            "rows": "; ".join(f"{name}: {len(row)} seeds" for name, row in populations.items()) or "none",
        },
    )


def normal_case(num_seeds: int, ratio: float, alike: float, num_cases: int) -> dict[str, Value]:
    """One look, at a null effect and at one of three standard errors."""
    generator = np.random.default_rng([num_seeds, round(10 * ratio)])
    first, second = _scores(num_cases, num_seeds, alike, generator)
    image_variance = ratio**2 * 2 * (1 - alike) / num_seeds
    second += np.sqrt(image_variance) * generator.normal(size=(num_cases, 1))
    effect = _EFFECT * np.sqrt(2 * (1 - alike) / num_seeds + image_variance)
    p_values, old = (
        [rule(first, second + shift, image_variance) for shift in (0.0, effect)] for rule in (crossed_p, _larger_p)
    )
    error = float(np.mean(p_values[0] <= LEVEL))
    return _row(
        "normal",
        num_seeds,
        ratio,
        alike,
        error=error,
        old_error=float(np.mean(old[0] <= LEVEL)),
        coverage=1 - error,
        power=float(np.mean(p_values[1] <= LEVEL)),
        old_power=float(np.mean(old[1] <= np.quantile(old[0], error))),
    )


def looks_case(ratio: float, alike: float, num_cases: int) -> dict[str, Value]:
    """A null effect under all looks; images are drawn once and shared by them."""
    generator = np.random.default_rng(round(10 * ratio))
    first, second = _scores(num_cases, LOOKS[-1], alike, generator)
    image_variance = ratio**2 * 2 * (1 - alike) / LOOKS[-1]
    second += np.sqrt(image_variance) * generator.normal(size=(num_cases, 1))
    found, old = np.zeros(num_cases, bool), np.zeros(num_cases, bool)
    for look, level in zip(LOOKS, nominal_levels(LOOKS, LEVEL), strict=True):
        found |= crossed_p(first[:, :look], second[:, :look], image_variance) <= level
        old |= _larger_p(first[:, :look], second[:, :look], image_variance) <= LEVEL
    return _row("looks", LOOKS[-1], ratio, alike, error=float(found.mean()), old_error=float(old.mean()))


def claims_case(ratio: float, alike: float, num_cases: int) -> dict[str, Value]:
    """Four claims under all looks; what is decided is not looked at again, and leaves its share to the others."""
    generator = np.random.default_rng([4, round(10 * ratio)])
    image_variance = ratio**2 * 2 * (1 - alike) / LOOKS[-1]
    effect = _EFFECT * np.sqrt(2 * (1 - alike) / LOOKS[-1] + image_variance)
    scores = [_scores(num_cases, LOOKS[-1], alike, generator) for _ in range(4)]
    images = np.sqrt(image_variance) * generator.normal(size=(4, num_cases))
    num_false = num_found = 0
    for case in range(num_cases):
        decided: dict[int, Verdict] = {}
        for number, look in enumerate(LOOKS):
            claims = [claim for claim in range(4) if claim not in decided]
            judges = []
            for claim in claims:
                first, second = (side[case, :look] for side in scores[claim])
                shift = images[claim, case] + (effect if claim >= 2 else 0.0)
                found = [simulated_difference(first, second + shift, image_variance)]
                judges.append(partial(verdict_above_all, found, effect / 6, nominal=partial(_nominal, number)))
            judged = zip(claims, step_down(judges, LEVEL), strict=True)
            decided |= {claim: one.verdict for claim, one in judged if one.verdict != "undecided"}
        num_false += any(decided.get(claim) in ("yes", "no") for claim in (0, 1))
        num_found += sum(decided.get(claim) == "yes" for claim in (2, 3))
    return _row(
        "claims looked at",
        LOOKS[-1],
        ratio,
        alike,
        error=num_false / num_cases,
        power=num_found / (2 * num_cases),
    )


def apart_case(row: Row, num_seeds: int, num_sets: int) -> dict[str, Value]:
    """Two groups of seeds of one row."""
    generator = np.random.default_rng(num_seeds)
    covered = []
    for _ in range(num_sets):
        seeds = generator.permutation(sorted(row))
        drawn = _drawn_images(row, generator)
        first, second = (
            {int(seed): _of_images(row[seed], drawn) for seed in seeds[start::2][:num_seeds]} for start in (0, 1)
        )
        interval = crossed_difference(first, second, "miou", level=1 - LEVEL, num_resamples=_RESAMPLES).interval
        assert interval is not None  # every image has a class
        covered.append(interval.low <= 0 <= interval.high)
    return _row("seeds apart", num_seeds, None, error=1 - float(np.mean(covered)), coverage=float(np.mean(covered)))


def swapped_case(row: Row, num_sets: int) -> dict[str, Value]:
    """Two runs of one row, whose results are exchanged on half of the images; each given twice, so that nothing but
    images is noise."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(num_sets):
        first, second = (row[seed] for seed in generator.permutation(sorted(row))[:2])
        drawn = _drawn_images(row, generator)
        swap = generator.random(len(drawn)) < 0.5
        one, other = _exchanged(_of_images(first, drawn), _of_images(second, drawn), swap)
        p_value = crossed_difference({0: one, 1: one}, {0: other, 1: other}, "miou", num_resamples=_RESAMPLES).p_value
        assert p_value is not None
        found.append(p_value <= LEVEL)
    return _row("images swapped", 1, None, error=float(np.mean(found)), coverage=1 - float(np.mean(found)))


def stored_rows(store: Store) -> dict[str, Row]:
    """The counts of every row and benchmark that has four seeds or more, without what else was counted."""
    specs = {record.fingerprint: record.training.spec for record in store.trainings()}
    rows: dict[tuple[TrainingSpec, EvaluationSpec], dict[int, PerImageCounts]] = {}
    for record in store.evaluations():
        spec = specs.get(record.evaluation.subject)
        if spec is not None:
            kind = (replace(spec, seed=0), replace(record.evaluation, subject="0" * 64))
            rows.setdefault(kind, {})[spec.seed] = replace(stored_tables(store, record), beside={})
    enough = [(kind, row) for kind, row in rows.items() if len(row) >= 2 * min(SEEDS)]
    return {f"{number} {kind[1].benchmark}": row for number, (kind, row) in enumerate(enough)}


def crossed_p(
    first: Float64[np.ndarray, "C S"], second: Float64[np.ndarray, "C S"], image_variance: float
) -> Float64[np.ndarray, "C"]:
    """The p-value of `ovlab.metrics.crossed`, of many cases at once."""
    num_seeds = first.shape[1]
    sides = [second - first] if num_seeds >= PAIRED_FROM else [first, second]
    parts = [side.var(axis=1, ddof=1) / num_seeds for side in sides]
    return _p_value(first, second, parts, image_variance)


def simulated_difference(
    first: Float64[np.ndarray, "S"], second: Float64[np.ndarray, "S"], image_variance: float
) -> CrossedDifference:
    """That of `ovlab.metrics.crossed`, from scores instead of counts."""
    sides = [second - first] if len(first) >= PAIRED_FROM else [first, second]
    spreads = tuple(Spread(len(side), float(side.var(ddof=1))) for side in sides)
    difference = float(second.mean() - first.mean())
    return CrossedDifference(difference=difference, spreads=spreads, image_variance=image_variance)


def _nominal(look: int, error: float) -> float:
    return nominal_levels(LOOKS, error)[look]


def _larger_p(
    first: Float64[np.ndarray, "C S"], second: Float64[np.ndarray, "C S"], image_variance: float
) -> Float64[np.ndarray, "C"]:
    """The old rule."""
    of_seeds = _p_value(first, second, [side.var(axis=1, ddof=1) / side.shape[1] for side in (first, second)], 0.0)
    if image_variance == 0:
        return of_seeds
    difference = second.mean(axis=1) - first.mean(axis=1)
    return np.maximum(of_seeds, 2 * ndtr(-np.abs(difference) / np.sqrt(image_variance)))


def _p_value(
    first: Float64[np.ndarray, "C S"],
    second: Float64[np.ndarray, "C S"],
    parts: Sequence[Float64[np.ndarray, "C"]],
    image_variance: float,
) -> Float64[np.ndarray, "C"]:
    freedom = satterthwaite(parts, [first.shape[1] - 1] * len(parts), image_variance)
    difference = second.mean(axis=1) - first.mean(axis=1)
    return 2 * stdtr(freedom, -np.abs(difference) / np.sqrt(sum(parts) + image_variance))


def _scores(
    num_cases: int, num_seeds: int, alike: float, generator: np.random.Generator
) -> tuple[Float64[np.ndarray, "C S"], Float64[np.ndarray, "C S"]]:
    """Of variance 1 on both sides, of which each seed shares so much."""
    shared, first, second = generator.normal(size=(3, num_cases, num_seeds))
    common = np.sqrt(alike) * shared
    return common + np.sqrt(1 - alike) * first, common + np.sqrt(1 - alike) * second


def _drawn_images(row: Row, generator: np.random.Generator) -> Integer[np.ndarray, "J"]:
    num_images = next(iter(row.values())).num_images
    return generator.integers(0, num_images, min(num_images, _MOST_IMAGES))


def _of_images(counts: PerImageCounts, rows: Integer[np.ndarray, "J"]) -> PerImageCounts:
    ids = tuple(map(str, range(len(rows))))
    return PerImageCounts(ids, counts.hits[rows], counts.gt[rows], counts.pred[rows])


def _exchanged(first: PerImageCounts, second: PerImageCounts, swap: Bool[np.ndarray, "J"]) -> Iterator[PerImageCounts]:
    for one, other in ((first, second), (second, first)):
        hits, pred = (np.where(swap[:, None], *tables) for tables in ((other.hits, one.hits), (other.pred, one.pred)))
        yield replace(one, hits=hits, pred=pred)


def _row(
    case: str,
    num_seeds: int,
    ratio: float | None,
    alike: float | None = None,
    *,
    error: float,
    old_error: float | None = None,
    coverage: float | None = None,
    power: float | None = None,
    old_power: float | None = None,
) -> dict[str, Value]:
    shares = {
        "error %": error,
        "error of the old rule %": old_error,
        "coverage %": coverage,
        "power %": power,
        "power of the old rule at equal error %": old_power,
    }
    return {
        "case": case,
        "seeds a side": num_seeds,
        "image/seed noise": ratio,
        "alike": alike,
        **{name: None if share is None else 100 * share for name, share in shares.items()},
    }
