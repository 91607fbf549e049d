#!/bin/sh
# Guess: code of cache=True is compiled anew when the options that it is compiled with change (error_model, fastmath).
# Found: the cache looks at the time of the file that holds the kernel, and at nothing of its options. Where they stand
# in another file, as one place for the options of all kernels, a change there does nothing until the caches are
# removed: here 1 / 0 goes on raising ZeroDivisionError after error_model="numpy", which makes it infinite. An
# experiment with fastmath on and off compares a kernel with itself.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numba==0.68.1 ||
    { echo "cannot install: nothing was tested"; exit 2; }

cat > kernels.py <<'KERNELS'
import numba
from options import OPTIONS


@numba.njit(cache=True, **OPTIONS)
def reciprocal(value):
    return 1.0 / value
KERNELS
cat > show.py <<'SHOW'
import sys

sys.path.insert(0, ".")
from kernels import reciprocal

try:
    print(reciprocal(0.0))
except ZeroDivisionError:
    print("ZeroDivisionError")
SHOW

venv/bin/python -I -c 'import numba; print("Versions: numba", numba.__version__)'
echo 'OPTIONS = {"error_model": "python"}' > options.py
first=$(PYTHONDONTWRITEBYTECODE=1 venv/bin/python -I show.py)
echo 'OPTIONS = {"error_model": "numpy"}' > options.py
changed=$(PYTHONDONTWRITEBYTECODE=1 venv/bin/python -I show.py)
rm -r __pycache__
anew=$(PYTHONDONTWRITEBYTECODE=1 venv/bin/python -I show.py)
echo "1 / 0 with error_model python: $first; after the change to numpy: $changed; without the cache: $anew"
test "$first $changed $anew" = "ZeroDivisionError ZeroDivisionError inf" ||
    { echo "changed: numba-cache-forgets-options is no longer as stated"; exit 1; }
