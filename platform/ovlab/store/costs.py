"""What each attempt at a training or an evaluation has cost, those that were killed included, read from the journal.

A training costs the time by the clock from its beginning to the last that was heard of it, an evaluation the seconds of
work of the counts that came in: two workers at once make two seconds a second. Beside it stands the processor time of
the updates and counts, which only a journal that tells it can say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from ovlab.specs.errors import WorkError
from ovlab.specs.events import Begun, Checkpoint, Counts, Ended, Recorded, Step
from ovlab.store.journal import AttemptLog, Told, read_journal
from ovlab.store.record import Attempt, Cost, cost_of
from ovlab.store.store import Store


def costs_of(store: Store, run: str, fingerprint: str) -> tuple[Attempt, ...]:
    """The attempts of a run at the training or the evaluation `fingerprint`, the oldest first.

    What was done behind the last checkpoint, or the last shard that was committed, is lost. Work that one attempt began
    several times, as where a worker of it was lost, counts as so many.
    """
    return tuple(one for attempt in read_journal(store, run).attempts for one in _attempts_in(attempt, fingerprint))


def finished_cost(store: Store, run: str, fingerprint: str) -> Cost:
    """What the work has cost in all, when all is done but its record. Raises WorkError where no attempt was told of."""
    attempts = costs_of(store, run, fingerprint)
    if not attempts:
        raise WorkError(
            f"run {run[:12]}: its journal tells of no work on {fingerprint[:12]}; the same command goes on."
        )
    last = attempts[-1]
    return cost_of([*attempts[:-1], replace(last, status="finished", kept_seconds=last.seconds, cause=None)])


def _attempts_in(log: AttemptLog, fingerprint: str) -> Iterator[Attempt]:
    told = [one for one in log.events if one.by_itself and not isinstance(one.event, Ended)]
    begins = [
        number
        for number, one in enumerate(told)
        if isinstance(one.event, Begun) and one.event.fingerprint == fingerprint
    ]
    for number, begin in enumerate(begins):
        end = begins[number + 1] if number + 1 < len(begins) else len(told)
        id = f"{log.id}.{number + 1}" if number else log.id
        yield _attempt(log, id, told[begin:end], is_last=end == len(told))


def _attempt(log: AttemptLog, id: str, told: Sequence[Told], *, is_last: bool) -> Attempt:
    begun = told[0].event
    assert isinstance(begun, Begun)
    told = [told[0], *_work_on(begun, told[1:])]
    seconds, kept_seconds = _training_seconds(told) if begun.work == "training" else _evaluation_seconds(told)
    status: Literal["running", "finished", "stopped", "failed"] = "stopped"
    cause = None
    if _is_record(told[-1], begun):
        status, kept_seconds = "finished", seconds
    elif is_last and log.ended is None:
        status = "running"
    elif is_last and log.ended is not None:
        status, cause = "failed" if log.ended.status == "FAILED" else "stopped", log.ended.reason or None
    return Attempt(
        id=id,
        began=_iso(told[0].time),
        updated=_iso(told[-1].time),
        status=status,
        device=begun.device,
        num_gpus=begun.num_gpus,
        seconds=seconds,
        kept_seconds=kept_seconds,
        cause=cause,
        process_seconds=_process_seconds(told),
    )


def _work_on(begun: Begun, told: Sequence[Told]) -> Iterator[Told]:
    """Of what comes after the beginning, that which is of this work: up to its record."""
    for one in told:
        match one.event:
            case Counts() as counts if counts.evaluation != begun.fingerprint:
                continue
            case Begun() if begun.work == "training":
                return
        yield one
        if _is_record(one, begun):
            return


def _training_seconds(told: Sequence[Told]) -> tuple[float, float]:
    """All, and those kept."""
    kept = [one.time for one in told if isinstance(one.event, Checkpoint)]
    # The clock may have been set back.
    return max(0.0, told[-1].time - told[0].time), max(0.0, kept[-1] - told[0].time) if kept else 0.0


def _evaluation_seconds(told: Sequence[Told]) -> tuple[float, float]:
    counts = [one.event for one in told if isinstance(one.event, Counts)]
    committed = {one.shard for one in counts if one.num_shards > 0}
    last = max((number for number, one in enumerate(counts) if one.num_shards > 0), default=-1)
    # Shards of several workers come in side by side; where none is named, what comes before a commit counts as kept.
    kept = [
        one.seconds for number, one in enumerate(counts) if (one.shard in committed if one.shard else number <= last)
    ]
    return sum((one.seconds for one in counts), 0.0), sum(kept, 0.0)


def _process_seconds(told: Sequence[Told]) -> float | None:
    """Of all updates and counts; None where one of them does not tell."""
    found = [one.event.process_seconds for one in told if isinstance(one.event, Step | Counts)]
    known = [seconds for seconds in found if seconds is not None]
    return sum(known, 0.0) if len(known) == len(found) else None


def _is_record(told: Told, begun: Begun) -> bool:
    return isinstance(told.event, Recorded) and told.event.fingerprint == begun.fingerprint


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds")
