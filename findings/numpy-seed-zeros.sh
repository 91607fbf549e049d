#!/bin/sh
# Guess: seeds that are different lists of integers start different streams.
# Found: default_rng pads a list of up to four 32-bit words with zeros, and cuts larger integers into words, so 5,
# [5], [5, 0] and [5, 0, 0] are one stream, and [2**32 + 5, 7] is [5, 1, 7]. Where streams are named by (seed, step)
# or (seed, worker), the first of them is that of the seed alone: noise and initial weights repeat each other. A fixed
# last word that is not zero, or SeedSequence.spawn, keeps them apart.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import numpy as np


def first(seed):
    return np.random.default_rng(seed).integers(2**62, size=2).tolist()


print("Versions: NumPy", np.__version__)
seeds = (5, [5], [5, 0], [5, 0, 0], [5, 0, 0, 0], [5, 0, 0, 0, 0], [0, 5])
drawn = [first(seed) for seed in seeds]
for seed, numbers in zip(seeds, drawn, strict=True):
    print(f"{seed!s:18s} {numbers}")
long, cut = first([2**32 + 5, 7]), first([5, 1, 7])
print("[2**32 + 5, 7]    ", long)
print("[5, 1, 7]         ", cut)
spawned = np.random.default_rng(np.random.SeedSequence(5).spawn(1)[0]).integers(2**62, size=2).tolist()
print("spawned from 5    ", spawned)
as_stated = all(numbers == drawn[0] for numbers in drawn[:5]) and drawn[5] != drawn[0] != drawn[6]
as_stated = as_stated and long == cut and spawned != drawn[0]
raise SystemExit(None if as_stated else "changed: numpy-seed-zeros is no longer as stated")
PROGRAM
