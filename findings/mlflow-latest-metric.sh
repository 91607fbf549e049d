#!/bin/sh
# Guess: of two values logged at one step the later counts as the latest, and a history is in order of steps.
# Found: On SQL stores "latest" is the largest of (step, timestamp, value): at equal step and timestamp, as within one
# batch, the larger number wins, in whichever order they came. A loss corrected downwards keeps its old value in
# searches and on the page. get_metric_history() is sorted by timestamp, not by step.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check mlflow==3.17.2 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import logging

import mlflow
from mlflow.entities import Metric

logging.disable(logging.INFO)
client = mlflow.MlflowClient("sqlite:///runs.db", "sqlite:///runs.db")
experiment = client.create_experiment("findings", artifact_location="artifacts")


def logged(*values):
    """The latest value and the history of (value, timestamp, step) triples, logged in this order."""
    run = client.create_run(experiment).info.run_id
    client.log_batch(run, metrics=[Metric("loss", *value) for value in values])
    history = [(metric.value, metric.step) for metric in client.get_metric_history(run, "loss")]
    return client.get_run(run).data.metrics["loss"], history


print("Versions: mlflow", mlflow.__version__)
down, _ = logged((0.9, 1000, 5), (0.3, 1000, 5))
up, _ = logged((0.3, 1000, 5), (0.9, 1000, 5))
_, history = logged((1.0, 3000, 1), (2.0, 1000, 3), (3.0, 2000, 2))
print("0.9 then 0.3 at one step and timestamp: latest", down)
print("0.3 then 0.9:                           latest", up)
found = [run.data.metrics["loss"] for run in client.search_runs([experiment], "metrics.loss < 0.5")]
print("runs with metrics.loss < 0.5:", found)
print("steps 1, 3, 2 at timestamps 3000, 1000, 2000; history of (value, step):", history)
as_stated = down == up == 0.9 and found == [] and history == [(2.0, 3), (3.0, 2), (1.0, 1)]
raise SystemExit(None if as_stated else "changed: mlflow-latest-metric is no longer as stated")
PROGRAM
