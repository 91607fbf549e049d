#!/bin/sh
# Guess: what a resize cuts off is gone: made larger again, the array has its fill value there.
# Found: Array.resize drops whole chunks only. What was cut off inside the last chunk stays in the store and is there
# again when the array grows: rows of an aborted run among those of the new one. Up to the border of the chunk the old
# values return, beyond it the fill value stands.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 zarr==3.1.6 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import numpy as np
import zarr

print("Versions: zarr", zarr.__version__, "NumPy", np.__version__)
array = zarr.create_array("scores.zarr", shape=(8,), chunks=(4,), dtype="int64", fill_value=-1)
array[:] = np.arange(1, 9)
print("written:                 ", array[:].tolist())
array.resize((2,))
print("resized to 2:            ", array[:].tolist())
array.resize((8,))
back = zarr.open_array("scores.zarr", mode="r")[:].tolist()
print("resized to 8, read again:", back)
appended = zarr.open_array("scores.zarr", mode="r+")
appended.resize((2,))
appended.append(np.array([100]))
appended.resize((4,))
again = appended[:].tolist()
print("cut to 2, one appended, resized to 4:", again)
as_stated = back == [1, 2, 3, 4, -1, -1, -1, -1] and again == [1, 2, 100, 4]
raise SystemExit(None if as_stated else "changed: zarr-resize-revives is no longer as stated")
PROGRAM
