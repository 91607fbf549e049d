"""What the workers of a training, or the trials of a sweep, and the process that started them tell each other."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

# Seconds between two letters of a worker. A step may take less than a letter.
INTERVAL = 0.5


class Mailbox:
    """An actor: what is told (steps of a training, say) goes one way, the wish to stop the other."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.is_to_stop = False

    def post(self, told: list[Any]) -> bool:
        """Leave it here; returns whether the work is to stop."""
        self.told.extend(told)
        return self.is_to_stop

    def take(self) -> list[Any]:
        """What was told since the last call."""
        told, self.told = self.told, []
        return told

    def ask_to_stop(self) -> None:
        self.is_to_stop = True


def open_mailbox() -> ActorHandle:
    """A mailbox on the node of this process; it ends when its handles are gone."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()


def accompany(
    work: Future[Any], mailbox: ActorHandle, hand_over: Callable[[Any], object], stop: Callable[[], bool]
) -> None:
    """Until `work`, which goes on in another thread, is done: hand over each thing that is told, and pass on the wish
    to stop."""

    def deliver() -> None:
        for told in ray.get(mailbox.take.remote()):
            hand_over(told)

    while not work.done():
        deliver()
        if stop():
            ray.get(mailbox.ask_to_stop.remote())
        wait([work], timeout=INTERVAL)
    deliver()


class Correspondent:
    """A worker's end, for all its threads. It waits for no answer, so that the work does not wait for the network."""

    def __init__(self, mailbox: ActorHandle) -> None:
        self.mailbox = mailbox
        self.unsent: list[Any] = []
        self.answer: Any = None
        self.is_to_stop = False
        self.sent_at = time.monotonic()
        self.lock = threading.Lock()

    def tell(self, told: Any) -> None:
        with self.lock:
            self.unsent.append(told)
            self._send_if_due()

    def asked_to_stop(self) -> bool:
        """By the last answer that has come."""
        with self.lock:
            self._read_answer()
            self._send_if_due()
            return self.is_to_stop

    def flush(self) -> bool:
        """Send what is left, and wait until it has arrived; returns whether the work is to stop."""
        with self.lock:
            self._send()
            self.is_to_stop = ray.get(self.answer)
            return self.is_to_stop

    def _send_if_due(self) -> None:
        if time.monotonic() - self.sent_at >= INTERVAL:
            self._send()

    def _read_answer(self) -> None:
        if self.answer is not None and ray.wait([self.answer], timeout=0)[0]:
            self.is_to_stop = ray.get(self.answer)
            self.answer = None

    def _send(self) -> None:
        self._read_answer()  # where every step takes longer than INTERVAL, this is the only moment it is there
        self.answer = self.mailbox.post.remote(self.unsent)
        self.unsent, self.sent_at = [], time.monotonic()
