#!/bin/sh
# Guess: sum, mean and var of a float32 array mean under @njit what they mean in NumPy.
# Found: Numba adds one number after the other in float32, where NumPy adds in pairs. More than 2**24 ones sum to
# 2**24: a mean pixel accuracy of 100 % reads 99.994 %. var() takes that mean, and of values near 1000 comes out some
# thousand times too large.
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
def reduced(values):
    return values.sum(), values.mean(), values.var()


print("Versions: Numba", numba.__version__, "NumPy", np.__version__)
right = np.ones(2**24 + 1000, np.float32)
high = 1000 + np.random.default_rng(0).random(2**24, dtype=np.float32)
seen = {}
for name, values in (("ones", right), ("1000 .. 1001", high)):
    seen[name] = reduced(values), (values.sum(), values.mean(), values.var())
    for who, numbers in zip(("Numba", "NumPy"), seen[name], strict=True):
        shown = [f"{float(number):.9g}" for number in numbers]
        print(f"{values.size} float32, {name:12s} {who}: sum, mean, var", *shown)
print("true variance of the second:", f"{high.astype(np.float64).var():.9g}")
(total, mean, _), (numpy_total, numpy_mean, _) = seen["ones"]
as_stated = total == 2**24 and mean < 1 and numpy_total == 2**24 + 1000 and numpy_mean == 1
as_stated = as_stated and seen["1000 .. 1001"][0][2] > 10 > 0.1 > seen["1000 .. 1001"][1][2]
raise SystemExit(None if as_stated else "changed: numba-float32-reductions is no longer as stated")
PROGRAM
