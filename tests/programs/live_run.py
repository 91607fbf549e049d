"""A micro training in a task of Ray, and its evaluations in the driver, whose metrics Prometheus can scrape.

As a program, `python live_run.py FOLDER`, it goes on at each line that it is given, and says how far it is: with a
line of JSON where to scrape; "worked" when all is counted, while the evaluations are still open; "ended".
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import ray

import micro_run as micro
from ovlab.ray.cluster import connect
from ovlab.ray.hooks import evaluation_metrics, training_metrics
from ovlab.ray.ray_sink import RaySink
from ovlab.runs.observer import Observer
from ovlab.specs.events import Counts
from ovlab.store.record import TrainingRecord
from ovlab.store.store import open_store

# Between two signs of a run, so that several scrapes see it at work.
PAUSE_SECONDS = 1.5


def pause(*_: Any) -> None:
    time.sleep(PAUSE_SECONDS)


def train(folder: Path) -> TrainingRecord:
    with training_metrics(RaySink(), micro.resolved()) as hooks:
        return micro.micro_training(
            open_store(str(folder / "store")),
            folder / "work",
            on_step=[pause, hooks.on_step],
            on_checkpoint=[hooks.on_checkpoint],
        )


def evaluate(folder: Path, training: TrainingRecord) -> None:
    micro.small_shards()
    with evaluation_metrics(RaySink(), [training.fingerprint]) as hooks:

        class Slow(Observer):
            def on_counts(self, counts: Counts) -> None:
                pause()
                hooks.on_counts(counts)

        micro.micro_evaluations(open_store(str(folder / "store")), folder / "work", training, observer=Slow())
        say_and_wait("worked")


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
