"""ovlab.store.journal: what a run told is read back, whatever happened to the processes and to the files."""

import json
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
import pytest

from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError
from ovlab.specs.events import (
    Beat,
    Begun,
    Checkpoint,
    Counts,
    Ended,
    Event,
    Recorded,
    RunHeader,
    Started,
    Step,
)
from ovlab.store import journal_file
from ovlab.store.journal import (
    Journal,
    curve_of,
    end_silent,
    journal_sizes,
    journaled_runs,
    open_journal,
    read_curve,
    read_journal,
    status_of,
)
from ovlab.store.journal_file import send_left
from ovlab.store.journal_lines import pack_line, seal, unpack_lines
from ovlab.store.store import Store, open_store, training_folder

RUN = "f" * 64
HEADER = RunHeader(run=RUN, name="lambda 0.5", parent="table4", params={"model.prior_weight": "0.5"}, tags={"a": "b"})
ATTEMPTS = ("20260102T030405000000Z-00000001", "20260102T040405000000Z-00000002")
HOST = socket.gethostname()
EVENTS: tuple[Event, ...] = (
    Started(header=HEADER, host="elsewhere", process=17, process_began=12.5),
    Begun(work="training", fingerprint=RUN, device="cpu", num_gpus=0, total=100, num_done=3),
    Step(
        step=4,
        loss=0.1 + 0.2,
        learning_rate=2e-4,
        grad_norm=1 / 3,
        images_per_second=5.0,
        data_seconds=0.01,
        process_seconds=1.5,
    ),
    Checkpoint(step=4),
    Counts(
        evaluation="e",
        subject=RUN,
        benchmark="a-150",
        num_images=2,
        seconds=0.5,
        num_shards=1,
        num_shards_left=3,
        shard="00000.parquet",
        process_seconds=0.25,
    ),
    Recorded(work="evaluation", fingerprint="e"),
    Beat(metrics={"system/cpu_utilization_percentage": 12.5}),
    Ended(status="FAILED", reason="ValueError: no such class"),
)


def step(number: int, loss: float = 0.5) -> Step:
    return Step(step=number, loss=loss, learning_rate=0.1, grad_norm=0.1, images_per_second=1.0)


def begun(num_done: int = 0) -> Begun:
    return Begun(work="training", fingerprint=RUN, device="cpu", num_gpus=0, total=9, num_done=num_done)


def tell(
    store: Store,
    events: Sequence[tuple[float, Event]],
    attempt: str = ATTEMPTS[0],
    writer: str = "0" * 8,
    run: str = RUN,
) -> str:
    """A file of a journal, written at one go, whose starts are of `run`; returns its name in the store."""
    name = f"journals/{run}/{attempt}.{writer}.jsonl"
    store.folder.write(name, b"".join(pack_line(of_run(event, run), float(time)) for time, event in events))
    return name


def of_run(event: Event, run: str) -> Event:
    return replace(event, header=replace(event.header, run=run)) if isinstance(event, Started) else event


def events_of(store: Store, run: str = RUN) -> list[Event]:
    return [told.event for told in read_journal(store, run).events]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture(params=["local", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))
    if request.param == "local":
        return open_store(str(tmp_path / "store"))
    return open_store(f"s3://{request.getfixturevalue('s3_bucket')}/some/store")


def test_journal_of_every_event_gives_them_back_in_order(any_store: Store) -> None:
    with open_journal(any_store, HEADER) as journal:
        for event in EVENTS[1:]:
            journal.write(event)

    (attempt,) = read_journal(any_store, RUN).attempts
    assert attempt.id == journal.attempt
    assert attempt.header == HEADER
    started, *rest = (told.event for told in attempt.events)
    assert isinstance(started, Started)
    assert (started.header, started.host, started.process) == (HEADER, HOST, os.getpid())
    assert tuple(rest) == EVENTS[1:]
    assert all(abs(told.time - time.time()) < 60 for told in attempt.events)
    assert journaled_runs(any_store) == [RUN]
    assert journal.num_lost == 0


def test_journal_of_numbers_without_a_form_in_json_gives_them_back(store: Store) -> None:
    journal = open_journal(store, HEADER)
    journal.write(step(1, math.nan))
    journal.write(Beat(metrics={"a": math.inf, "b": -math.inf}))
    journal.close()

    _, first, second = events_of(store)
    assert isinstance(first, Step)
    assert math.isnan(first.loss)
    assert second == Beat(metrics={"a": math.inf, "b": -math.inf})
    (file,) = (Path(store.folder.uri) / "journals" / RUN).iterdir()
    for line in file.read_text().splitlines():
        json.loads(line[9:], parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_journal_under_way_can_be_read(store: Store) -> None:
    with open_journal(store, HEADER) as journal:
        journal.write(step(1))

        assert events_of(store)[1:] == [step(1)]


@pytest.mark.parametrize("num_bytes", [1, 20, 60])
def test_half_a_line_of_a_killed_writer_spoils_nothing(store: Store, num_bytes: int) -> None:
    name = tell(store, [(1.0, begun()), (2.0, step(1))])
    store.folder.write(name, store.folder.read(name) + pack_line(step(2), 3.0)[:num_bytes])
    tell(store, [(4.0, begun(1)), (5.0, step(2))], ATTEMPTS[1])

    assert curve_of(read_journal(store, RUN)) == [step(1), step(2)]


def test_journals_of_many_processes_at_one_attempt_lose_no_line(store: Store) -> None:
    with open_journal(store, HEADER) as first:

        def write(worker: int) -> None:
            with open_journal(store, HEADER, attempt=first.attempt) as journal:
                for number in range(200):
                    journal.write(Checkpoint(step=1000 * worker + number))

        context = get_context("fork")
        workers = [context.Process(target=write, args=(worker,)) for worker in range(4)]
        for process in workers:
            process.start()
        for process in workers:
            process.join()

    (attempt,) = read_journal(store, RUN).attempts
    told = [one.event.step for one in attempt.events if isinstance(one.event, Checkpoint)]
    for worker in range(4):
        assert [number for number in told if number // 1000 == worker] == [1000 * worker + n for n in range(200)]
    assert [one.time for one in attempt.events] == sorted(one.time for one in attempt.events)


def test_journal_of_a_process_that_gets_sigkill_has_all_that_was_told(store: Store) -> None:
    child = os.fork()
    if child == 0:
        journal = open_journal(store, HEADER)
        for number in range(1, 51):
            journal.write(step(number))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)

    assert [one.step for one in curve_of(read_journal(store, RUN))] == list(range(1, 51))


def test_journal_of_a_process_that_gets_sigkill_reaches_the_bucket_with_the_next_process(
    s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))
    store = open_store(f"s3://{s3_bucket}/store")
    code = (
        "import os, signal\nfrom ovlab.specs.events import RunHeader, Checkpoint\n"
        "from ovlab.store.journal import open_journal\nfrom ovlab.store.store import open_store\n"
        f"journal = open_journal(open_store({str(store)!r}), RunHeader(run={RUN!r}, name='a'))\n"
        "journal.write(Checkpoint(step=1))\njournal.flush()\njournal.write(Checkpoint(step=2))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == -signal.SIGKILL
    assert [event for event in events_of(store) if isinstance(event, Checkpoint)] == [Checkpoint(step=1)]

    # Of another run: it need not be the same command that comes next.
    with open_journal(store, RunHeader(run="b", name="b")) as living:
        living.write(Checkpoint(step=9))
        deadline = time.monotonic() + 60
        while Checkpoint(step=2) not in events_of(store) and time.monotonic() < deadline:
            time.sleep(0.05)
        send_left(store.folder)
        copies = list((tmp_path / "cache" / "journals").rglob("*.jsonl"))

        assert [event for event in events_of(store) if isinstance(event, Checkpoint)] == [
            Checkpoint(step=1),
            Checkpoint(step=2),
        ]
        assert [path.parent.name for path in copies] == ["b"]  # that of a process that lives stays its own
    assert list((tmp_path / "cache" / "journals").rglob("*.jsonl")) == []
    assert events_of(store, "b")[-1] == Checkpoint(step=9)


def test_journal_in_a_bucket_is_sent_every_interval(
    s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(journal_file.ENVIRONMENT, "0.05")
    store = open_store(f"s3://{s3_bucket}/store")
    with open_journal(store, HEADER) as journal:
        journal.write(step(1))
        deadline = time.monotonic() + 60
        while step(1) not in events_of(store) and time.monotonic() < deadline:
            time.sleep(0.05)

        assert step(1) in events_of(store)


def test_journal_in_a_bucket_goes_on_in_another_file_when_one_is_long(
    s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(journal_file, "MAX_BYTES", 2000)
    store = open_store(f"s3://{s3_bucket}/store")
    with open_journal(store, HEADER) as journal:
        for number in range(1, 41):
            journal.write(step(number))
            if number % 10 == 0:
                journal.flush()
    assert list((tmp_path / "cache" / "journals").rglob("*.jsonl")) == []

    log = read_journal(store, RUN)
    assert [one.step for one in curve_of(log)] == list(range(1, 41))
    sizes = store.folder.sizes(f"journals/{RUN}")
    assert len(sizes) >= 3
    assert len(log.attempts) == 1
    assert log.header == HEADER


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "1000"])
def test_interval_that_is_none_is_refused(s3_bucket: str, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(journal_file.ENVIRONMENT, text)

    with pytest.raises(InputError, match="OVLAB_JOURNAL_INTERVAL"):
        journal_file.upload_interval()


def test_bucket_that_is_away_disturbs_nobody_and_gets_the_rest_later(
    s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))
    store = open_store(f"s3://{s3_bucket}/store")

    def refuse(self: Folder, name: str, content: bytes) -> None:
        raise InputError("the store is away.")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", refuse)
        with open_journal(store, HEADER) as journal:
            journal.write(step(1))
            journal.flush()
    assert "the store is away" in caplog.text
    assert journaled_runs(store) == []

    send_left(store.folder)

    assert step(1) in events_of(store)


def test_store_that_cannot_be_written_disturbs_nobody(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    Path(store.folder.uri).write_text("a file where the folder should be")

    with open_journal(store, HEADER) as journal:
        journal.write(step(1))
        journal.flush()

    assert journal.num_lost == 3  # opening, the update, and the sign of life
    assert len(caplog.records) == 1


def test_disk_that_is_full_for_a_while_costs_what_was_told_then(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write, is_full = os.write, False

    def write_a_part(file: int, content: bytes) -> int:
        return write(file, content[:10] if is_full else content)

    monkeypatch.setattr(os, "write", write_a_part)
    with open_journal(store, HEADER) as journal:
        is_full = True
        journal.write(step(1))
        is_full = False
        journal.write(step(2))

    assert journal.num_lost == 1
    assert events_of(store)[1:] == [step(2)]


def test_bytes_of_a_command_that_are_no_text_cost_themselves_alone(store: Store) -> None:
    header = RunHeader(run=RUN, name="a", tags={"ovlab.command": "ovlab train \udcff.jpg"})
    with open_journal(store, header) as journal:
        journal.write(Ended(status="FAILED", reason="no such file: \udcff.jpg"))

    assert journal.num_lost == 0
    assert events_of(store)[1] == Ended(status="FAILED", reason="no such file: ?.jpg")
    header_read = read_journal(store, RUN).header
    assert header_read is not None
    assert header_read.tags == {"ovlab.command": "ovlab train ?.jpg"}


def test_event_that_is_none_disturbs_nobody(store: Store) -> None:
    beat = Beat(metrics={"a": 1.0})
    beat.metrics["a"] = object()  # type: ignore[index]
    with open_journal(store, HEADER) as journal:
        journal.write(beat)
        journal.write(step(1))

    assert journal.num_lost == 1
    assert events_of(store)[1:] == [step(1)]


@pytest.mark.parametrize("run", ["", "../elsewhere", "a/b", ".hidden", "two words", "x" * 201, "it's"])
def test_header_with_a_name_that_is_no_folder_name_is_refused(run: str) -> None:
    with pytest.raises(InputError, match=r"RunHeader\.run"):
        RunHeader(run=run, name="lambda 0.5")
    with pytest.raises(InputError, match=r"RunHeader\.parent"):
        RunHeader(run="a", name="lambda 0.5", parent=run)


def test_journal_beats_while_it_is_open_and_no_longer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ovlab.store.journal.BEAT_SECONDS", 0.01)
    with open_journal(store, HEADER):
        deadline = time.monotonic() + 30
        while len(events_of(store)) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)

    told = events_of(store)
    assert len(told) >= 4
    assert all(isinstance(event, Beat) and "system/cpu_utilization_percentage" in event.metrics for event in told[1:])
    time.sleep(0.05)
    assert events_of(store) == told


# Damage.


def other_values(value: Any) -> list[Any]:
    """Values of other types, or that cannot be."""
    return [other for other in (None, True, "x", -1.5, [], {}, [1], {"a": 1}) if type(other) is not type(value)]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_event_with_any_field_missing_unknown_or_of_another_type_is_left_out_or_still_well_typed(event: Event) -> None:
    content = json.loads(pack_line(event, 1.0)[9:])
    changed = [{**content, "unknown": 1}, {**content, "kind": "nothing"}, {**content, "kind": None}, [content], 5, None]
    for name in content:
        changed += [{**content, name: other} for other in other_values(content[name])]
        changed += [{key: value for key, value in content.items() if key != name}]

    for one in changed:
        lines, damaged = unpack_lines(seal(json.dumps(one).encode()) + pack_line(step(1), 2.0))
        assert lines[-1].event == step(1)
        assert len(lines) + len(damaged) == 2
        for line in lines[:-1]:
            assert type(line.time) is float
            # What is read is what its class says: a reader need not ask again.
            assert type(line.event) is type(event)
            for field in fields(line.event):
                assert_well_typed(getattr(line.event, field.name), getattr(event, field.name), field.name)


def assert_well_typed(value: Any, example: Any, name: str) -> None:
    if value is None:
        assert name in ("data_seconds", "process_seconds", "process_began", "parent")
    elif isinstance(example, RunHeader):
        assert isinstance(value, RunHeader)
    else:
        assert type(value) is type(example), name


def test_byte_changed_anywhere_in_any_event_costs_that_line_alone_and_no_other_run(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    tell(store, list(enumerate(EVENTS, start=1)), run="other")
    place = Path(store.folder.uri) / tell(store, list(enumerate(EVENTS, start=1)))
    whole = place.read_bytes()
    starts = [line.end for line in unpack_lines(whole)[0]]

    for position in range(0, len(whole), 3):
        place.write_bytes(whole[:position] + bytes([whole[position] ^ 0x20]) + whole[position + 1 :])
        log = read_journal(store, RUN)
        hit = sum(end <= position for end in starts)
        gone = {hit, hit + 1} if whole[position] == ord("\n") else {hit}  # two lines became one
        assert [told.event for told in log.events] == [
            event for number, event in enumerate(EVENTS) if number not in gone
        ]
        status_of(log)
        curve_of(log)
    assert "line" in caplog.text
    assert place.name in caplog.text
    assert events_of(store, "other") == [of_run(event, "other") for event in EVENTS]


def test_damaged_file_is_named_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    name = tell(store, [(1.0, begun()), (2.0, step(1)), (3.0, step(2))])
    store.folder.write(name, store.folder.read(name).replace(b'"step":1', b'"step":7'))

    with caplog.at_level(logging.WARNING):
        read_journal(store, RUN)
        read_journal(store, RUN)

    (record,) = caplog.records
    assert "line 2" in record.message
    assert name in record.message


@pytest.mark.parametrize("name", ["notes.jsonl", f"{ATTEMPTS[0]}.jsonl", f"{ATTEMPTS[0]}.x.jsonl", "é.jsonl"])
def test_file_that_is_no_journal_is_named_and_left_out(
    store: Store, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    tell(store, [(1.0, step(1))])
    store.folder.write(f"journals/{RUN}/{name}", pack_line(step(2), 2.0))

    assert events_of(store) == [step(1)]
    assert name in caplog.text


def test_journal_that_tells_of_another_run_is_named_and_left_out(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """As where two runs were exchanged, by their folders or by single files."""
    other = "e" * 64
    for run, loss in ((RUN, 1.0), (other, 2.0)):
        with open_journal(store, replace(HEADER, run=run)) as journal:
            journal.write(replace(step(1), loss=loss))
    (mine,) = journal_sizes(store, RUN)
    (its,) = journal_sizes(store, other)
    store.folder.write(f"journals/{RUN}/{its}", store.folder.read(f"journals/{other}/{its}"))

    assert [one.loss for one in read_curve(store, RUN)] == [1.0]
    assert f"{its}: tells of another run; left out." in caplog.text
    assert mine not in caplog.text


def test_folder_that_is_no_run_is_left_out(store: Store) -> None:
    tell(store, [(1.0, step(1))])
    store.folder.write("journals/two words/file", b"")

    assert journaled_runs(store) == [RUN]


def test_journal_without_any_readable_line_is_a_run_all_the_same(store: Store) -> None:
    store.folder.write(f"journals/{RUN}/{ATTEMPTS[0]}.{'0' * 8}.jsonl", b"\x00\xff" * 50 + b"\n")
    store.folder.write("journals/empty/notes.txt", b"")

    log = read_journal(store, RUN)
    assert (log.header, list(log.events), status_of(log).status) == (None, [], "RUNNING")
    assert status_of(log).last_sign == pytest.approx(1767323045.0)
    assert end_silent(store, RUN) is not None
    assert status_of(read_journal(store, RUN)).status == "KILLED"
    assert status_of(read_journal(store, "empty")).attempt == 0


# The curve.


def test_curve_has_every_update_once_as_told_last_up_to_the_last(store: Store) -> None:
    tell(store, [(1.0, begun()), *((1.0 + n, step(n, loss=1.0)) for n in range(1, 8))])
    assert [one.step for one in curve_of(read_journal(store, RUN))] == list(range(1, 8))

    tell(store, [(20.0, begun(5))], ATTEMPTS[1])
    assert [one.step for one in curve_of(read_journal(store, RUN))] == list(range(1, 6))

    tell(store, [(20.0, begun(5)), (21.0, step(6, loss=2.0))], ATTEMPTS[1])
    curve = curve_of(read_journal(store, RUN))
    assert curve == [*(step(n, loss=1.0) for n in range(1, 6)), step(6, loss=2.0)]


def test_curve_of_an_attempt_that_went_back_by_itself_has_every_update_once(store: Store) -> None:
    tell(store, [(float(time), step(number, float(time))) for time, number in enumerate([1, 2, 3, 4, 3, 4, 5, 4])])

    assert [(one.step, one.loss) for one in curve_of(read_journal(store, RUN))] == [(1, 0), (2, 1), (3, 4), (4, 7)]


def test_curve_with_a_number_beyond_all_others_is_read_at_once(store: Store) -> None:
    tell(store, [(1.0, step(1)), (2.0, begun(10**15)), (3.0, step(10**15)), (4.0, step(2))])

    assert [one.step for one in curve_of(read_journal(store, RUN))] == [1, 2]


def test_curve_that_an_older_version_logged_is_read_and_goes_on_in_the_journal(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [
        '{"step": 1, "loss": 0.1, "learning_rate": 0.2, "grad_norm": 0.3, "images_per_second": 5.0}\n',
        '{"step": 2, "loss": NaN, "learning_rate": 0.2, "grad_norm": 0.3, "images_per_second": 5.0}\n',
        '{"step": "two"}\n',
        '{"step": 3, "loss": 0.1, "learning_rate": 0.2, "grad_norm": 0.3, "images_per_second": 5, "data_seconds": 1}\n',
        '{"step": 4, "lo',
    ]
    store.folder.write(f"{training_folder(RUN)}/steps.jsonl", "".join(lines).encode())

    assert [one.step for one in read_curve(store, RUN)] == [1, 2, 3]
    assert read_curve(store, RUN)[0].data_seconds is None
    assert "line 3" in caplog.text
    tell(store, [(1.0, begun(2)), (2.0, step(3, loss=9.0)), (3.0, step(4))])
    assert [(one.step, one.loss) for one in read_curve(store, RUN)][2:] == [(3, 9.0), (4, 0.5)]
    assert read_curve(store, "unknown") == []


# How it stands.

LIVING = psutil.Process()


def started(process: int = LIVING.pid, host: str = HOST, process_began: float | None = LIVING.create_time()) -> Started:
    return Started(header=HEADER, host=host, process=process, process_began=process_began)


@pytest.fixture
def ended_process() -> Iterator[int]:
    """One that has ended and whose parent has not asked how."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    while psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    yield child
    os.waitpid(child, 0)


def test_status_is_that_of_the_last_attempt(store: Store) -> None:
    tell(store, [(1.0, started()), (2.0, step(1)), (3.0, Ended(status="KILLED", reason="SIGTERM"))])
    assert status_of(read_journal(store, RUN)) == ("KILLED", "SIGTERM", 3.0, 1)
    tell(store, [(4.0, started())], ATTEMPTS[1])
    assert status_of(read_journal(store, RUN)) == ("RUNNING", "", 4.0, 2)
    tell(store, [(4.0, started()), (5.0, Ended(status="FINISHED")), (6.0, Beat())], ATTEMPTS[1])
    assert status_of(read_journal(store, RUN)) == ("FINISHED", "", 6.0, 2)


def test_run_of_a_killed_process_of_this_machine_is_ended_at_once(store: Store, ended_process: int) -> None:
    tell(store, [(time.time(), started(ended_process, process_began=psutil.Process(ended_process).create_time()))])
    tell(store, [(time.time(), started())], run="alive")
    tell(store, [(1.0, started()), (2.0, Ended(status="FINISHED"))], run="done")

    reason = end_silent(store, RUN)

    assert reason is not None
    assert "ended without saying how" in reason
    assert status_of(read_journal(store, RUN))[:2] == ("KILLED", reason)
    assert end_silent(store, RUN) is None
    assert end_silent(store, "alive") is None
    assert end_silent(store, "done") is None
    assert status_of(read_journal(store, "done")).status == "FINISHED"


def test_process_that_has_the_number_of_a_killed_one_does_not_keep_its_run_alive(store: Store) -> None:
    tell(store, [(time.time(), started(process_began=LIVING.create_time() - 3600))])

    assert end_silent(store, RUN) is not None


def test_run_of_another_machine_is_ended_when_it_is_silent(any_store: Store) -> None:
    now = time.time()
    tell(any_store, [(now - 200, started(host="elsewhere"))])

    assert end_silent(any_store, RUN) is None
    reason = end_silent(any_store, RUN, stale_after=100.0)
    assert reason is not None
    assert reason.startswith("no sign of life for 2")
    assert status_of(read_journal(any_store, RUN)).status == "KILLED"


def test_run_whose_process_lives_but_is_silent_is_ended(store: Store) -> None:
    tell(store, [(time.time() - 200, started())])

    assert end_silent(store, RUN, stale_after=100.0) is not None


def test_run_with_a_process_that_joined_lives_as_long_as_one_of_them(store: Store, ended_process: int) -> None:
    gone = started(ended_process, process_began=1.0)
    tell(store, [(time.time(), gone)])
    tell(store, [(time.time(), started())], writer="1" * 8)
    assert end_silent(store, RUN) is None

    tell(store, [(time.time(), gone)], writer="1" * 8)
    assert end_silent(store, RUN) is not None


def test_run_that_another_ended_and_that_is_heard_of_again_is_running_again(store: Store) -> None:
    now = time.time()
    tell(store, [(now - 400, started())])
    assert end_silent(store, RUN) is not None
    assert status_of(read_journal(store, RUN)).status == "KILLED"

    tell(store, [(now - 400, started()), (time.time(), Beat())])
    assert status_of(read_journal(store, RUN))[:2] == ("RUNNING", "")

    tell(store, [(now - 400, started()), (time.time(), Beat()), (time.time(), Ended(status="FINISHED"))])
    assert status_of(read_journal(store, RUN)).status == "FINISHED"


def test_beat_behind_an_end_of_its_own_changes_nothing(store: Store) -> None:
    tell(store, [(1.0, started()), (2.0, Ended(status="KILLED", reason="SIGTERM")), (3.0, Beat())])

    assert status_of(read_journal(store, RUN))[:2] == ("KILLED", "SIGTERM")
    assert end_silent(store, RUN) is None


def test_attempt_that_was_followed_by_another_is_ended_with_it(store: Store, ended_process: int) -> None:
    tell(store, [(1.0, started(ended_process, process_began=1.0))])
    tell(store, [(2.0, started()), (3.0, Ended(status="FINISHED"))], ATTEMPTS[1])

    assert end_silent(store, RUN) is not None

    log = read_journal(store, RUN)
    assert [attempt.ended.status for attempt in log.attempts if attempt.ended is not None] == ["KILLED", "FINISHED"]
    assert status_of(log).status == "FINISHED"


def test_clock_that_is_set_back_changes_no_order_of_what_one_process_told(store: Store) -> None:
    tell(store, [(10.0, step(1)), (11.0, step(2)), (5.0, step(3)), (6.0, step(4))])

    assert [one.step for one in curve_of(read_journal(store, RUN))] == [1, 2, 3, 4]


def test_journal_opened_again_is_another_attempt_and_a_worker_joins_the_first(store: Store) -> None:
    with open_journal(store, HEADER) as first, Journal(store, HEADER, first.attempt) as worker:
        worker.write(step(1))
    with open_journal(store, HEADER):
        pass

    log = read_journal(store, RUN)
    assert [attempt.id == first.attempt for attempt in log.attempts] == [True, False]
    assert status_of(log).attempt == 2
