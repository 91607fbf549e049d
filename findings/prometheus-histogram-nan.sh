#!/bin/sh
# Guess: a NaN that a histogram observes is refused, or counted in the bucket +Inf, which holds all.
# Found: One NaN makes the sum NaN until the process ends and is counted in no bucket, so that the count, which is the
# last bucket, does not know it: averages are NaN for ever and nothing says how many there were. A Counter takes
# inc(NaN) too, though it refuses negative numbers.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check prometheus_client==0.26.0 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import math
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

registry = CollectorRegistry()
loss = Histogram("loss", "loss of an update", registry=registry, buckets=[1, 2])
for value in (0.5, math.nan, 1.5):
    loss.observe(value)
updates = Counter("updates", "number of updates", registry=registry)
updates.inc(math.nan)
updates.inc(1)
print("Versions: prometheus_client", version("prometheus_client"))
lines = [line for line in generate_latest(registry).decode().splitlines() if line[0] != "#" and "_created" not in line]
print("observed 0.5 NaN 1.5; incremented by NaN and 1:", *lines, sep="\n  ")
seen = dict(line.rsplit(" ", 1) for line in lines)
try:
    updates.inc(-1)
    negative = "taken"
except ValueError:
    negative = "refused"
print("inc(-1):", negative)
as_stated = negative == "refused" and seen == {
    'loss_bucket{le="1.0"}': "1.0",
    'loss_bucket{le="2.0"}': "2.0",
    'loss_bucket{le="+Inf"}': "2.0",
    "loss_count": "2.0",
    "loss_sum": "NaN",
    "updates_total": "NaN",
}
raise SystemExit(None if as_stated else "changed: prometheus-histogram-nan is no longer as stated")
PROGRAM
