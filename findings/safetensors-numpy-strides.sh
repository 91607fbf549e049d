#!/bin/sh
# Guess: safetensors.numpy saves any array by its values, or refuses one that is not contiguous as safetensors.torch
# does.
# Found: safetensors.numpy.save (and save_file) write the memory that lies under an array, not its values, and say
# nothing: a transposed array, one in Fortran order and a slice with a step come back with the right shape and dtype
# and other numbers. np.ascontiguousarray before saving is the remedy.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 safetensors==0.8.0 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import numpy as np
import safetensors
from safetensors.numpy import load, save

matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
arrays = {
    "as it is": matrix,
    "transposed": matrix.T,
    "Fortran order": np.asfortranarray(matrix),
    "every other column": matrix[:, ::2],
    "reversed, made contiguous": np.ascontiguousarray(matrix[::-1]),
}
print("Versions: safetensors", safetensors.__version__, "NumPy", np.__version__)
right = {}
for name, array in arrays.items():
    back = load(save({"weight": array}))["weight"]
    right[name] = back.shape == array.shape and np.array_equal(back, array)
    print(f"{name:26s} saved {array.tolist()} read {back.tolist()}")
as_stated = list(right.values()) == [True, False, False, False, True]
raise SystemExit(None if as_stated else "changed: safetensors-numpy-strides is no longer as stated")
PROGRAM
