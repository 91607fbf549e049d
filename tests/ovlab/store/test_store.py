"""ovlab.store.store: written once, whole, by one of any number of writers; a damaged record stops nothing."""

import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ovlab.specs.errors import InputError
from ovlab.store.record import EvaluationRecord, TrainingRecord, pack_record
from ovlab.store.store import Store, open_store


def test_store_gives_back_what_was_put_and_none_for_the_rest(
    store: Store, make_training: Callable[..., TrainingRecord], make_evaluation: Callable[..., EvaluationRecord]
) -> None:
    training, evaluation = make_training(), make_evaluation()
    assert store.training(training.fingerprint) is None
    assert list(store.records()) == []

    assert store.put_training(training) == training
    assert store.put_evaluation(evaluation) == evaluation

    assert store.training(training.fingerprint) == training
    assert store.evaluation(evaluation.fingerprint) == evaluation
    assert store.training(evaluation.fingerprint) is None
    assert list(store.records()) == [training, evaluation]


def test_store_second_writer_gets_what_the_first_has_written(
    store: Store, make_training: Callable[..., TrainingRecord]
) -> None:
    first, second = make_training(num_steps=1), make_training(num_steps=2)
    store.put_training(first)

    assert store.put_training(second) == first
    assert store.training(first.fingerprint) == first


def test_store_damaged_records_are_named_and_the_others_read(
    store: Store, make_training: Callable[..., TrainingRecord], caplog: pytest.LogCaptureFixture
) -> None:
    records = sorted((make_training(seed) for seed in range(4)), key=lambda record: record.fingerprint)
    for record in records:
        store.put_training(record)
    spoilt = f"trainings/{records[1].fingerprint}/record.json"
    store.folder.write(spoilt, store.folder.read(spoilt)[:-50])
    store.folder.write(f"trainings/{'0' * 64}/steps.jsonl", b"a run under way has no record yet")

    with caplog.at_level(logging.WARNING):
        assert list(store.trainings()) == [records[0], *records[2:]]

    assert spoilt in caplog.text
    assert "counts as missing" in caplog.text


def test_store_damaged_record_is_replaced_by_the_next_writer(
    store: Store, make_training: Callable[..., TrainingRecord]
) -> None:
    record = make_training()
    store.put_training(record)
    store.folder.write(f"trainings/{record.fingerprint}/record.json", b"{")
    assert store.training(record.fingerprint) is None

    assert store.put_training(record) == record
    assert store.training(record.fingerprint) == record


_WRITER = """
import sys, pickle
from pathlib import Path
from ovlab.store.store import open_store
records = pickle.loads(Path(sys.argv[2]).read_bytes())
store = open_store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for record in records:
    print(store.put_training(record).num_steps)
"""


def test_store_two_racing_processes_end_with_one_record_that_all_were_given(
    tmp_path: Path, make_training: Callable[..., TrainingRecord]
) -> None:
    writers = []
    for number in (1, 2):
        file = tmp_path / f"{number}.pickle"
        file.write_bytes(pickle.dumps([make_training(seed, num_steps=number) for seed in range(20)]))
        command = [sys.executable, "-c", _WRITER, str(tmp_path / "store"), str(file)]
        writers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    given = [writer.communicate()[0].split() for writer in writers]

    store = open_store(str(tmp_path / "store"))
    there = [str(store.training(make_training(seed).fingerprint).num_steps) for seed in range(20)]
    assert given == [there, there]
    assert not list(tmp_path.rglob("*.partial"))


def test_store_racing_threads_on_a_bucket_end_with_one_valid_record(
    s3_bucket: str, make_training: Callable[..., TrainingRecord]
) -> None:
    records = {number: make_training(num_steps=number) for number in range(1, 5)}
    stores = [open_store(f"s3://{s3_bucket}/race") for _ in records]
    barrier = threading.Barrier(len(records))

    def put(store: Store, record: TrainingRecord) -> None:
        barrier.wait()
        store.put_training(record)

    threads = [threading.Thread(target=put, args=pair) for pair in zip(stores, records.values(), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = stores[0].training(records[1].fingerprint)
    assert found == records[found.num_steps]
    assert stores[0].put_training(make_training(num_steps=99)) == found


def test_store_pickled_copy_reads_the_same(store: Store, make_training: Callable[..., TrainingRecord]) -> None:
    record = store.put_training(make_training())

    assert pickle.loads(pickle.dumps(store)).training(record.fingerprint) == record


def test_store_record_under_the_name_of_another_run_counts_as_missing(
    store: Store, make_training: Callable[..., TrainingRecord]
) -> None:
    store.folder.write(f"trainings/{'1' * 64}/record.json", pack_record(make_training()))

    assert store.training("1" * 64) is None


def test_store_whose_address_holds_a_password_is_refused_and_the_password_not_shown() -> None:
    for place in ("s3://me:marker@bucket/store", "http://me:marker@host/store"):
        with pytest.raises(InputError) as error:
            open_store(place)

        assert "marker" not in str(error.value)
        assert "//me" not in str(error.value)


def test_store_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="s3://bucket/prefix"):
        open_store("http://host/store")
