"""What evaluations cost, in the books of store/attempts.py, told by their events. The journal takes its place.

The books are kept in seconds of work on an evaluation: two workers at once make two seconds a second, and a shard that
two evaluations share costs each of them half.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ovlab.runs.context import RunContext
from ovlab.runs.observer import Observer
from ovlab.specs.events import Begun, Counts
from ovlab.store.attempts import Attempt, OpenAttempt, attempt, attempts_at
from ovlab.store.store import Store


@contextmanager
def booked(context: RunContext) -> Iterator[RunContext]:
    """A context whose evaluations are booked; those that the block leaves open end as it does."""
    with ExitStack() as books:
        yield context.heard_by(_Books(context.store, books))


def costs_of(store: Store, run: str, fingerprint: str) -> tuple[Attempt, ...]:
    """All attempts at the evaluation `fingerprint` of the subject `run`."""
    return attempts_at(store.folder, fingerprint)


class _Books(Observer):
    def __init__(self, store: Store, books: ExitStack) -> None:
        self.store, self.books = store, books
        self.busy: dict[str, float] = {}
        self.attempts: dict[str, tuple[OpenAttempt, ExitStack]] = {}

    def on_begin(self, begun: Begun) -> None:
        name = begun.fingerprint
        self.busy[name] = 0.0
        ending = self.books.enter_context(ExitStack())
        opened = attempt(
            self.store.folder,
            name,
            device=begun.device,
            num_gpus=begun.num_gpus,
            clock=lambda: self.busy[name],
        )
        self.attempts[name] = ending.enter_context(opened), ending
        if begun.num_done == begun.total:
            ending.close()

    def on_counts(self, counts: Counts) -> None:
        self.busy[counts.evaluation] += counts.seconds
        under_way, ending = self.attempts[counts.evaluation]
        if counts.num_shards:
            under_way.keep()
        else:
            under_way.beat()
        if not counts.num_shards_left:
            ending.close()
