"""A micro training in a task of Ray, and its evaluations in the driver, whose metrics Prometheus can scrape.

As a program, `python live_run.py FOLDER`, it goes on at each line that it is given, and says how far it is: with a
line of JSON where to scrape; "worked" when all is counted, while the evaluations are still open; "ended".
"""

import json
import sys
import time
from pathlib import Path

import ray

import micro_run as micro
from ovlab.ray.cluster import connect
from ovlab.ray.prometheus import Prometheus, RaySink
from ovlab.runs.observer import Observer, Observers
from ovlab.specs.events import Counts, Status, Step
from ovlab.store.record import TrainingRecord
from ovlab.store.store import open_store

# Between two signs of a run, so that several scrapes see it at work.
PAUSE_SECONDS = 1.5


class Pauses(Observer):
    """Between two events."""

    def on_step(self, step: Step) -> None:
        time.sleep(PAUSE_SECONDS)

    def on_counts(self, counts: Counts) -> None:
        time.sleep(PAUSE_SECONDS)


class Waits(Observer):
    """Before the evaluations are over."""

    def on_end(self, status: Status, reason: str) -> None:
        say_and_wait("worked")


def train(folder: Path) -> TrainingRecord:
    store, observer = open_store(str(folder / "store")), Observers((Pauses(), Prometheus(RaySink())))
    return micro.micro_training(store, folder / "work", observer=observer)


def evaluate(folder: Path, training: TrainingRecord) -> None:
    micro.small_shards()
    store, observer = open_store(str(folder / "store")), Observers((Pauses(), Waits(), Prometheus(RaySink())))
    micro.micro_evaluations(store, folder / "work", training, observer=observer)


def say_and_wait(word: str) -> None:
    print(word, flush=True)
    sys.stdin.readline()


def main(folder: Path) -> None:
    with connect("local", num_cpus=2):
        (node,) = ray.nodes()
        session = Path(node["RayletSocketName"]).parents[1]
        say_and_wait(
            json.dumps(
                {
                    "service_discovery": str(session / "prom_metrics_service_discovery.json"),
                    "exposition": f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics",
                }
            )
        )
        training = ray.get(ray.remote(train).remote(folder))
        evaluate(folder, training)
        say_and_wait("ended")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
