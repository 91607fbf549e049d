"""ovlab.store.record: a record reads back as it was written, or is refused by name."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import evaluation_fingerprint
from ovlab.store.record import (
    Attempt,
    DamagedError,
    EvaluationRecord,
    TrainingRecord,
    cost_of,
    pack_record,
    unpack_record,
)


def test_training_record_reads_back_as_it_was_written(make_training: Callable[..., TrainingRecord]) -> None:
    record = make_training()

    found = unpack_record(TrainingRecord, pack_record(record), place="x", fingerprint=record.fingerprint)

    assert found == record


def sealed(content: object) -> bytes:
    """A file with this content, whatever it is, under the seal that belongs to it."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({"format": "ovlab-record-1", "sha256": digest, "record": content}).encode()


def test_record_of_an_older_version_with_the_field_that_was_dropped_is_read(
    make_training: Callable[..., TrainingRecord],
) -> None:
    record = make_training()
    fields = json.loads(pack_record(record))["record"]

    older = sealed({**fields, "mlflow_run_id": record.fingerprint})

    assert unpack_record(TrainingRecord, older, place="x", fingerprint=record.fingerprint) == record


@pytest.mark.parametrize("content", [[], [1], None, 5, "text", {"mlflow_run_id": "a"}])
def test_sealed_content_that_is_no_record_is_refused(content: object) -> None:
    with pytest.raises(DamagedError, match=r"^x: "):
        unpack_record(TrainingRecord, sealed(content), place="x", fingerprint="f" * 64)


@pytest.mark.parametrize("backbone", ["vit-b", "convnext-b"])
def test_evaluation_record_reads_back_as_it_was_written(
    make_evaluation: Callable[..., EvaluationRecord], backbone: str
) -> None:
    record = make_evaluation(backbone)

    found = unpack_record(EvaluationRecord, pack_record(record), place="x", fingerprint=record.fingerprint)

    assert found == record
    # Either kind of view has a size: the right one must have been read.
    assert type(found.evaluation.protocol.inference) is type(record.evaluation.protocol.inference)
    assert evaluation_fingerprint(found.evaluation) == record.fingerprint


def of_benchmark(record: EvaluationRecord, name: str, num_classes: int, **changes: object) -> EvaluationRecord:
    spec = replace(record.evaluation, benchmark=name)
    return replace(record, evaluation=spec, classes=record.classes[:1] * num_classes, **changes)


def test_seen_classes_are_those_of_the_record_or_known_of_the_benchmark(
    make_evaluation: Callable[..., EvaluationRecord],
) -> None:
    record = make_evaluation()

    assert of_benchmark(record, "street", 2, seen=(True, False)).seen_classes.tolist() == [True, False]
    assert of_benchmark(record, "pas-20b", 21, seen=(True,) * 21).seen_classes.all()
    assert of_benchmark(record, "pas-20b", 21).seen_classes.tolist() == [True] * 20 + [False]
    assert of_benchmark(record, "pas-20b", 20).seen_classes is None  # of another version of the vocabulary
    assert of_benchmark(record, "street", 2).seen_classes is None


def test_record_of_before_seen_classes_were_written_down_is_read(
    make_evaluation: Callable[..., EvaluationRecord],
) -> None:
    record = make_evaluation()
    sealed = json.loads(pack_record(record))
    del sealed["record"]["seen"]
    text = json.dumps(sealed["record"], sort_keys=True, separators=(",", ":"))
    sealed["sha256"] = hashlib.sha256(text.encode()).hexdigest()

    content = json.dumps(sealed).encode()

    assert unpack_record(EvaluationRecord, content, place="x", fingerprint=record.fingerprint) == record


def changed_digit(content: bytes) -> bytes:
    return content.replace(b'"num_steps": 80000', b'"num_steps": 80001')


def unknown_field(content: bytes) -> bytes:
    return content.replace(b'"num_steps"', b'"number_of_steps"')


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (changed_digit, "its sha256 is not that of its content"),
        (unknown_field, "its sha256"),
        (lambda content: content[: len(content) // 2], "not a record"),
        (lambda content: b"", "not a record"),
        (lambda content: b"[1]", "not a record"),
        (lambda content: b'{"format": "ovlab-record-0"}', "of the format 'ovlab-record-0'"),
        (lambda content: b"\xff\xfe", "not a record"),
    ],
)
def test_record_that_is_damaged_is_refused_with_its_place(
    make_training: Callable[..., TrainingRecord], spoil: Callable[[bytes], bytes], words: str
) -> None:
    record = make_training()
    content = spoil(pack_record(record))

    with pytest.raises(DamagedError, match=words) as error:
        unpack_record(TrainingRecord, content, place="there/record.json", fingerprint=record.fingerprint)

    assert str(error.value).startswith("there/record.json: ")
    assert "\n" not in str(error.value)


def test_record_of_another_run_or_kind_is_refused(
    make_training: Callable[..., TrainingRecord], make_evaluation: Callable[..., EvaluationRecord]
) -> None:
    record, other = make_training(), make_evaluation()

    with pytest.raises(DamagedError, match="is the record of"):
        unpack_record(TrainingRecord, pack_record(record), place="x", fingerprint="0" * 64)
    with pytest.raises(DamagedError, match="another version"):
        unpack_record(TrainingRecord, pack_record(other), place="x", fingerprint=other.fingerprint)


def test_record_with_provenance_that_is_no_json_is_refused(make_training: Callable[..., TrainingRecord]) -> None:
    with pytest.raises((InputError, ValueError), match=r"object|serialize"):
        pack_record(make_training(provenance={"here": object()}))


def test_cost_is_the_sum_over_all_attempts_with_what_was_lost() -> None:
    killed = Attempt(
        id="1",
        began="",
        updated="",
        status="running",
        device="A",
        num_gpus=2,
        seconds=100.0,
        kept_seconds=70.0,
    )
    finished = replace(killed, id="2", status="finished", device="B", num_gpus=1, seconds=50.0, kept_seconds=50.0)

    cost = cost_of([killed, finished])

    assert (cost.device, cost.seconds, cost.gpu_seconds, cost.lost_seconds) == ("B", 150.0, 250.0, 30.0)


def test_packed_record_can_be_read_by_a_person(make_training: Callable[..., TrainingRecord]) -> None:
    content = json.loads(pack_record(make_training()))

    assert content["record"]["training"]["spec"]["schedule"]["steps"] == 80_000
