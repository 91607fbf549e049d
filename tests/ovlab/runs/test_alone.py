"""ovlab.runs.alone: two commands at one run, on a store of this machine and in a bucket."""

from pathlib import Path

import pytest

from ovlab.files.lock import TakenError
from ovlab.runs import alone as module
from ovlab.runs.alone import alone
from ovlab.specs.errors import StoreError
from ovlab.specs.events import Beat, Ended, RunHeader, Started
from ovlab.store.journal import Journal, living_attempt, open_journal, read_journal
from ovlab.store.journal_lines import pack_line
from ovlab.store.store import Store, open_store

HEADER = RunHeader(run="a1b2", name="lambda 0.5", parent="table4", params={}, tags={})
BEGAN = 1_800_000_000.0
ATTEMPT = "20270115T080000000000Z-00000001"


@pytest.fixture
def bucket(s3_bucket: str) -> Store:
    return open_store(f"s3://{s3_bucket}/store")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which goes on by whatever is slept."""
    now = [BEGAN]
    monkeypatch.setattr("ovlab.store.journal.time.time", lambda: now[0])
    monkeypatch.setattr(module.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def tell_from_elsewhere(store: Store, *events: tuple[float, Started | Beat | Ended]) -> None:
    lines = b"".join(pack_line(event, time) for time, event in events)
    store.folder.write(f"journals/{HEADER.run}/{ATTEMPT}.00000001.jsonl", lines)


def started() -> Started:
    return Started(header=HEADER, host="elsewhere", process=17, process_began=12.5)


def test_a_run_that_is_held_is_refused_to_a_second_command_and_free_afterwards(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    with (
        alone(store, "a1b2", "lambda 0.5"),
        alone(store, "c3d4", "lambda 1"),
        pytest.raises(TakenError, match=r"lambda 0\.5: another process is at it"),
        alone(store, "a1b2", "lambda 0.5"),
    ):
        pass
    with alone(store, "a1b2", "lambda 0.5"):
        pass


def test_a_run_of_a_bucket_at_which_somebody_elsewhere_is_alive_is_refused(
    bucket: Store, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_from_elsewhere(bucket, (BEGAN - 5, started()))

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        if clock[0] > BEGAN + 20:
            tell_from_elsewhere(bucket, (BEGAN - 5, started()), (BEGAN + 10, Beat()))

    monkeypatch.setattr(module.time, "sleep", sleep)
    with (
        pytest.raises(TakenError, match=r"lambda 0\.5: another command, on elsewhere, is at it"),
        alone(bucket, HEADER.run, "lambda 0.5"),
    ):
        pass
    assert clock[0] < BEGAN + 30


def test_a_run_of_a_bucket_of_which_nothing_more_is_heard_is_taken_over_after_the_silence(
    bucket: Store, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVLAB_JOURNAL_INTERVAL", "10")
    tell_from_elsewhere(bucket, (BEGAN - 5, started()))
    with alone(bucket, HEADER.run, "lambda 0.5"):
        pass
    assert BEGAN + 29 < clock[0] < BEGAN + 32


def test_a_run_of_a_bucket_that_ended_or_was_never_begun_is_free_at_once(bucket: Store, clock: list[float]) -> None:
    with alone(bucket, HEADER.run, "lambda 0.5"):
        pass
    tell_from_elsewhere(bucket, (BEGAN - 5, started()), (BEGAN - 4, Ended(status="FINISHED")))
    with alone(bucket, HEADER.run, "lambda 0.5"):
        pass
    assert clock == [BEGAN]


def test_an_attempt_lives_until_it_says_that_it_ended(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    with open_journal(store, HEADER) as journal:
        living = living_attempt(store, HEADER.run)
        assert isinstance(journal, Journal)
        assert living is not None
        assert living.id == journal.attempt == read_journal(store, HEADER.run).attempts[-1].id
        journal.write(Ended(status="FINISHED"))
    assert living_attempt(store, HEADER.run) is None


def test_a_new_store_that_vanishes_while_a_run_is_held_is_missed_and_not_made_again(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    with alone(store, HEADER.run, "lambda 0.5"):
        (tmp_path / "store").rename(tmp_path / "elsewhere")
        with open_journal(store, HEADER) as journal:
            assert journal.num_lost == 1
        with pytest.raises(StoreError, match="mounted"):
            store.folder.write("a", b"1")
    assert not (tmp_path / "store").exists()
