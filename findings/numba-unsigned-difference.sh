#!/bin/sh
# Guess: 1 - 2 of two uint16 labels is 65535 as in NumPy, or -1 as in C.
# Found: Under @njit both are widened to uint64 first, so the difference is 2**64 - 1; abs() leaves it so and a
# comparison with a small bound is false on one side only. With an int64 on one side, and even for uint64(0) - 1, the
# result is signed: -1.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numba==0.68.1 numpy==2.4.6 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import numba
import numpy as np


@numba.njit
def difference(a, b):
    return a[0] - b[0]


@numba.njit
def near(a, b):
    return abs(a[0] - b[0]) <= 1


@numba.njit
def less_one(a):
    return a[0] - 1


print("Versions: Numba", numba.__version__, "NumPy", np.__version__)
seen = {}
for kind in (np.uint8, np.uint16, np.uint32):
    one, two = np.array([1], kind), np.array([2], kind)
    with np.errstate(over="ignore"):
        in_numpy = int(one[0] - two[0])
    seen[kind.__name__] = difference(one, two), in_numpy, near(one, two), near(two, one)
    print(f"{kind.__name__}: 1 - 2 is {seen[kind.__name__][0]} in Numba, {in_numpy} in NumPy;", end=" ")
    print("abs(1 - 2) <= 1:", near(one, two), " abs(2 - 1) <= 1:", near(two, one))
mixed, zero = difference(np.array([1], np.uint16), np.array([2], np.int64)), less_one(np.array([0], np.uint64))
print("uint16 1 - int64 2:", mixed, " uint64 0 - 1:", zero)
as_stated = all((wide, small, big) == (2**64 - 1, False, True) for wide, _, small, big in seen.values())
as_stated = as_stated and mixed == zero == -1
raise SystemExit(None if as_stated else "changed: numba-unsigned-difference is no longer as stated")
PROGRAM
