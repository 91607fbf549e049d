"""What the workers of a training and the process that started them tell each other while it runs."""

import time
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ovlab.training.step_log import StepRecord

# Seconds between two letters of the leader. A step may take less than a letter.
INTERVAL = 0.5


class Mailbox:
    """An actor: steps go one way, the wish to stop the other."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []
        self.is_to_stop = False

    def post(self, records: list[StepRecord]) -> bool:
        """Leave the steps; returns whether the training is to stop."""
        self.records.extend(records)
        return self.is_to_stop

    def take(self) -> list[StepRecord]:
        """The steps since the last call."""
        records, self.records = self.records, []
        return records

    def ask_to_stop(self) -> None:
        self.is_to_stop = True


def open_mailbox() -> ActorHandle:
    """A mailbox on the node of this process; it ends when its handles are gone."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()


class Correspondent:
    """The leader's end. It waits for no answer, so that the training does not wait for the network."""

    def __init__(self, mailbox: ActorHandle) -> None:
        self.mailbox = mailbox
        self.unsent: list[StepRecord] = []
        self.answer: Any = None
        self.is_to_stop = False
        self.sent_at = time.monotonic()

    def tell(self, record: StepRecord) -> None:
        self.unsent.append(record)
        if time.monotonic() - self.sent_at >= INTERVAL:
            self._send()

    def asked_to_stop(self) -> bool:
        """By the last answer that has come."""
        if self.answer is not None and ray.wait([self.answer], timeout=0)[0]:
            self.is_to_stop = ray.get(self.answer)
            self.answer = None
        return self.is_to_stop

    def close(self) -> None:
        """Send what is left, and wait until it has arrived."""
        self._send()
        ray.get(self.answer)

    def _send(self) -> None:
        self.answer = self.mailbox.post.remote(self.unsent)
        self.unsent, self.sent_at = [], time.monotonic()
