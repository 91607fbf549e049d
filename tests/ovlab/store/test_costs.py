"""ovlab.store.costs: what was spent is known, also of attempts that were killed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ovlab.specs.events import Beat, Begun, Checkpoint, Counts, Ended, Event, Recorded, RunHeader, Started, Step
from ovlab.store.costs import costs_of
from ovlab.store.journal_lines import pack_line
from ovlab.store.record import Attempt, cost_of
from ovlab.store.store import Store, open_store

RUN, EVALUATION = "f" * 64, "e" * 64
STARTED = Started(header=RunHeader(run=RUN, name="a"), host="elsewhere", process=1)
STEP = Step(step=1, loss=0.5, learning_rate=0.1, grad_norm=0.1, images_per_second=1.0)
TRAINING = Begun(work="training", fingerprint=RUN, device="H200", num_gpus=2, total=9)


def evaluating(fingerprint: str = EVALUATION) -> Begun:
    return Begun(work="evaluation", fingerprint=fingerprint, device="cpu", num_gpus=0, total=9)


def counts(seconds: float, num_shards: int = 0, evaluation: str = EVALUATION) -> Counts:
    return Counts(
        evaluation=evaluation,
        subject=RUN,
        benchmark="a-150",
        num_images=1,
        seconds=seconds,
        num_shards=num_shards,
        num_shards_left=0,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def tell(store: Store, events: Sequence[tuple[float, Event]], hour: int = 3, writer: int = 0) -> None:
    name = f"20260102T{hour:02}0000000000Z-00000000.{writer:08}.jsonl"
    store.folder.write(f"journals/{RUN}/{name}", b"".join(pack_line(event, float(time)) for time, event in events))


def test_attempt_killed_without_a_word_is_running_with_what_it_told_last(store: Store) -> None:
    tell(store, [(0, STARTED), (100, TRAINING), (140, Checkpoint(step=3)), (170, Beat())])

    (found,) = costs_of(store, RUN, RUN)

    assert (found.status, found.seconds, found.kept_seconds) == ("running", 70.0, 40.0)
    assert (found.lost_seconds, found.gpu_seconds) == (30.0, 140.0)
    assert (found.device, found.began, found.cause) == ("H200", "1970-01-01T00:01:40.000000+00:00", None)


@pytest.mark.parametrize(
    ("ended", "status", "cause"),
    [
        (Ended(status="KILLED", reason="SIGTERM"), "stopped", "SIGTERM"),
        (Ended(status="FAILED", reason="ValueError: first line"), "failed", "ValueError: first line"),
    ],
)
def test_attempt_ended_by_an_error_says_which(store: Store, ended: Ended, status: str, cause: str) -> None:
    tell(store, [(0, STARTED), (1, TRAINING), (4, Checkpoint(step=1)), (8, Beat()), (9, ended)])

    (found,) = costs_of(store, RUN, RUN)

    assert (found.status, found.cause, found.seconds, found.lost_seconds) == (status, cause, 7.0, 4.0)


def test_time_until_an_attempt_was_found_dead_is_no_cost(store: Store) -> None:
    tell(store, [(0, STARTED), (1, TRAINING), (4, Beat())])
    tell(store, [(1000, Ended(status="KILLED", reason="no sign of life"))], writer=1)

    (found,) = costs_of(store, RUN, RUN)

    assert (found.status, found.cause, found.seconds, found.lost_seconds) == ("stopped", "no sign of life", 3.0, 3.0)


def test_attempt_with_a_record_has_lost_nothing_and_does_not_pay_for_what_comes_after_it(store: Store) -> None:
    tell(
        store,
        [
            (0, STARTED),
            (1, TRAINING),
            (4, Checkpoint(step=1)),
            (6, Recorded(work="training", fingerprint=RUN)),
            (7, evaluating()),
            (90, Beat()),
            (99, Ended(status="FINISHED")),
        ],
    )

    (found,) = costs_of(store, RUN, RUN)

    assert (found.status, found.seconds, found.lost_seconds) == ("finished", 5.0, 0.0)


def test_evaluation_costs_the_seconds_of_its_counts_and_loses_those_behind_its_last_shard(store: Store) -> None:
    other = "d" * 64
    tell(
        store,
        [
            (0, STARTED),
            (1, evaluating()),
            (1, evaluating(other)),
            (2, counts(3.0)),
            (2, counts(50.0, 1, other)),
            (3, counts(4.0, num_shards=1)),
            (3, counts(2.5)),
            (90, Beat()),
        ],
    )

    (found,) = costs_of(store, RUN, EVALUATION)
    assert (found.status, found.seconds, found.kept_seconds) == ("running", 9.5, 7.0)
    (found,) = costs_of(store, RUN, other)
    assert (found.seconds, found.lost_seconds) == (50.0, 0.0)


def test_evaluation_loses_what_was_counted_of_shards_that_were_not_committed(store: Store) -> None:
    def of_shard(shard: str, seconds: float, num_shards: int = 0) -> Counts:
        return replace(counts(seconds, num_shards), shard=shard)

    # Two workers side by side: one was killed in its shard after the other's was committed.
    tell(
        store,
        [(1, evaluating()), (2, of_shard("0", 3.0)), (3, of_shard("1", 4.0)), (4, of_shard("0", 2.0, num_shards=1))],
    )

    (found,) = costs_of(store, RUN, EVALUATION)

    assert (found.seconds, found.kept_seconds, found.lost_seconds) == (9.0, 5.0, 4.0)


def test_processor_time_is_that_of_updates_and_counts(store: Store) -> None:
    steps = [replace(STEP, step=number, process_seconds=1.5) for number in (1, 2)]
    counted = replace(counts(3.0), process_seconds=0.5)
    tell(store, [(0, STARTED), (1, TRAINING), *((2, step) for step in steps), (9, evaluating()), (10, counted)])

    assert [found.process_seconds for found in costs_of(store, RUN, RUN)] == [3.0]
    assert [found.process_seconds for found in costs_of(store, RUN, EVALUATION)] == [0.5]


def test_processor_time_that_a_journal_does_not_tell_is_none_and_not_that_by_the_clock(store: Store) -> None:
    tell(store, [(0, STARTED), (1, TRAINING), (2, STEP), (3, replace(STEP, step=2, process_seconds=1.5))])
    tell(store, [(5, STARTED), (6, TRAINING), (7, replace(STEP, step=3, process_seconds=1.0))], hour=4)

    costs = costs_of(store, RUN, RUN)

    assert [found.process_seconds for found in costs] == [None, 1.0]
    assert cost_of(costs).process_seconds is None
    assert cost_of(costs[1:]).process_seconds == 1.0


def test_evaluation_with_a_record_has_lost_nothing(store: Store) -> None:
    tell(store, [(1, evaluating()), (2, counts(3.0)), (3, Recorded(work="evaluation", fingerprint=EVALUATION))])

    (found,) = costs_of(store, RUN, EVALUATION)

    assert (found.status, found.seconds, found.lost_seconds) == ("finished", 3.0, 0.0)


def test_attempts_come_in_their_order_and_of_no_other_work(store: Store) -> None:
    for hour in (5, 3, 4):
        tell(store, [(hour, STARTED), (hour, TRAINING), (hour + 1, Ended(status="KILLED"))], hour)
    tell(store, [(6, STARTED), (6, evaluating())], hour=6)

    assert [found.began[17:19] for found in costs_of(store, RUN, RUN)] == ["03", "04", "05"]
    assert len(costs_of(store, RUN, EVALUATION)) == 1
    assert costs_of(store, RUN, "0" * 64) == ()
    assert costs_of(store, "unknown", RUN) == ()


def test_work_that_one_attempt_began_twice_counts_twice(store: Store) -> None:
    told = [(0, STARTED), (1, TRAINING), (3, Checkpoint(step=1)), (5, Beat()), (10, TRAINING), (14, Beat())]
    tell(store, told)

    first, second = costs_of(store, RUN, RUN)

    assert (first.status, first.seconds, first.lost_seconds) == ("stopped", 4.0, 2.0)
    assert (second.status, second.seconds, second.lost_seconds) == ("running", 4.0, 4.0)
    assert first.id != second.id


def test_cost_of_an_attempt_under_way_is_that_of_one_that_ends_now(store: Store) -> None:
    tell(store, [(0, STARTED), (1, TRAINING), (4, Beat()), (9, Ended(status="KILLED", reason="SIGTERM"))])
    tell(store, [(10, STARTED), (11, TRAINING), (15, Checkpoint(step=2)), (18, Beat())], hour=4)

    cost = cost_of(costs_of(store, RUN, RUN))

    assert [(attempt.status, attempt.lost_seconds) for attempt in cost.attempts] == [
        ("stopped", 3.0),
        ("finished", 0.0),
    ]
    assert (cost.seconds, cost.gpu_seconds, cost.lost_seconds, cost.device) == (10.0, 20.0, 3.0, "H200")


def test_cost_of_no_attempt_is_none() -> None:
    assert cost_of([]).seconds == 0.0
    assert cost_of([]).attempts == ()


def test_clock_that_was_set_back_makes_no_cost_negative(store: Store) -> None:
    tell(store, [(100, TRAINING), (90, Checkpoint(step=1)), (95, Beat())])

    (found,) = costs_of(store, RUN, RUN)

    assert isinstance(found, Attempt)
    assert 0.0 <= found.kept_seconds <= found.seconds
