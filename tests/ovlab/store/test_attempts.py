"""ovlab.store.attempts: what was spent is known, also of attempts that were killed."""

import logging
from pathlib import Path

import pytest

from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError, Stopped
from ovlab.store.attempts import HEARTBEAT, OpenAttempt, attempt, attempts_at

RUN = "f" * 64


class Clock:
    """Says what it was set to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "store"))


def begin(folder: Folder, clock: Clock) -> OpenAttempt:
    return OpenAttempt(folder, RUN, "cuda", 2, clock)


def test_attempt_killed_without_a_word_stays_running_with_what_it_told_last(folder: Folder, clock: Clock) -> None:
    killed = begin(folder, clock)
    clock.now += 40.0
    killed.keep()
    clock.now += HEARTBEAT - 1
    killed.beat()  # too soon
    assert attempts_at(folder, RUN)[0].seconds == 40.0
    clock.now += 1
    killed.beat()

    (found,) = attempts_at(folder, RUN)
    assert (found.status, found.seconds, found.kept_seconds) == ("running", 40.0 + HEARTBEAT, 40.0)
    assert (found.lost_seconds, found.gpu_seconds) == (HEARTBEAT, 2 * (40.0 + HEARTBEAT))


@pytest.mark.parametrize(
    ("error", "status", "cause"),
    [
        (Stopped("asked to"), "stopped", "asked to"),
        (KeyboardInterrupt(), "stopped", "KeyboardInterrupt"),
        (ValueError("first line\nsecond"), "failed", "ValueError: first line"),
    ],
)
def test_attempt_ended_by_an_error_says_which(
    folder: Folder, clock: Clock, error: BaseException, status: str, cause: str
) -> None:
    def work() -> None:
        with attempt(folder, RUN, device="cpu", num_gpus=0, clock=clock) as under_way:
            clock.now += 3.0
            under_way.keep()
            clock.now += 4.0
            raise error

    with pytest.raises(type(error)):
        work()

    (found,) = attempts_at(folder, RUN)
    assert (found.status, found.cause, found.seconds, found.lost_seconds) == (status, cause, 7.0, 4.0)


def test_attempt_that_ends_well_has_lost_nothing(folder: Folder, clock: Clock) -> None:
    with attempt(folder, RUN, device="cpu", num_gpus=0, clock=clock):
        clock.now += 5.0

    (found,) = attempts_at(folder, RUN)
    assert (found.status, found.seconds, found.lost_seconds) == ("finished", 5.0, 0.0)


def test_attempts_of_one_run_come_in_their_order_and_of_no_other_run(folder: Folder, clock: Clock) -> None:
    ids = [begin(folder, clock).attempt.id for _ in range(4)]
    OpenAttempt(folder, "e" * 64, "cpu", 0, clock)

    assert [found.id for found in attempts_at(folder, RUN)] == ids
    assert attempts_at(folder, "0" * 64) == ()


def test_damaged_attempt_is_named_and_left_out(folder: Folder, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    first, second = begin(folder, clock), begin(folder, clock)
    folder.write(first.file, b'{"id": ')

    with caplog.at_level(logging.WARNING):
        assert [found.id for found in attempts_at(folder, RUN)] == [second.attempt.id]

    assert first.attempt.id in caplog.text


def test_attempt_that_cannot_be_written_any_more_does_not_end_the_work(
    folder: Folder, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: Folder, name: str, content: bytes) -> None:
        raise InputError("the store is away.")

    with caplog.at_level(logging.WARNING), attempt(folder, RUN, device="cpu", num_gpus=0, clock=clock) as under_way:
        monkeypatch.setattr(Folder, "write", refuse)
        under_way.keep()

    assert "the store is away" in caplog.text
