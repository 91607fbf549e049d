#!/bin/sh
# Guess: a tracking address that is the SQLite file of another program is refused, as a database with other tables.
# Found: even a question (search_experiments) makes MLflow's tables beside those that are there, and answers with a
# fresh, empty "Default" experiment. A mistyped path to a labelling tool's or a notebook's database is not noticed: the
# runs look gone, and the other program's file has dozens of tables more.
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
import sqlite3

import mlflow
from mlflow.tracking import MlflowClient

logging.disable(logging.INFO)
with sqlite3.connect("labels.db") as database:
    database.execute("create table photographs (name text)")


def tables():
    with sqlite3.connect("labels.db") as database:
        return {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}


before = tables()
names = [experiment.name for experiment in MlflowClient("sqlite:///labels.db").search_experiments()]
added = tables() - before
print("Versions: mlflow", mlflow.__version__)
print(f"tables before: {sorted(before)}; added by a question: {len(added)}; experiments: {names}")
as_stated = len(added) > 20 and names == ["Default"]
raise SystemExit(None if as_stated else "changed: mlflow-moves-into-foreign-database is no longer as stated")
PROGRAM
