#!/bin/sh
# Guess: the mean of ones is 1.
# Found: A sparse array sums values times 1/n, so the mean of n ones is 1.0000000000000002 for n = 20 and
# 0.9999999999999999 for n = 6; a dense one is exactly 1. A share of right pixels above 1 fails a check of its range,
# and "perfect" compared with 1.0 is false.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import numpy as np
import scipy
from scipy import sparse

print("Versions: SciPy", scipy.__version__, "NumPy", np.__version__)
sizes = range(1, 401)
means = {size: float(sparse.csr_array(np.ones((size, 1), bool)).mean()) for size in sizes}
dense = {size: float(np.ones((size, 1), bool).mean()) for size in sizes}
above = [size for size, mean in means.items() if mean > 1]
below = [size for size, mean in means.items() if mean < 1]
print(f"of 1 to 400 ones: sparse mean above 1 for {len(above)} sizes (first {above[:3]}), below for {len(below)}")
print("sparse mean of 20 ones:", repr(means[20]), " of 6:", repr(means[6]))
print("dense means that are not 1:", sum(mean != 1 for mean in dense.values()))
as_stated = len(above) > 0 and len(below) > 0 and all(mean == 1 for mean in dense.values())
raise SystemExit(None if as_stated else "changed: scipy-sparse-mean is no longer as stated")
PROGRAM
