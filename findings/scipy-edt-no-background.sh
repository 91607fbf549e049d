#!/bin/sh
# Guess: the distance to the background of a mask without background is infinite everywhere.
# Found: scipy.ndimage.distance_transform_edt measures it to a pixel that does not exist, at row -1 of column 0:
# finite, plausible numbers that grow to the right and down. (The indices it returns say -1.) distance_transform_cdt
# answers -1, distance_transform_bf 1.3e154. A class that fills its picture gets a boundary band in one corner.
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
from scipy import ndimage

full = np.ones((3, 4), bool)
print("Versions: SciPy", scipy.__version__, "NumPy", np.__version__)
distance, nearest = ndimage.distance_transform_edt(full, return_indices=True)
print("edt of a full 3 x 4 mask:")
print(distance.round(2))
print("nearest background pixel of every pixel: rows", np.unique(nearest[0]), "columns", np.unique(nearest[1]))
chamfer, brute = ndimage.distance_transform_cdt(full), ndimage.distance_transform_bf(full)
print("cdt:", np.unique(chamfer), "bf:", np.unique(brute))
large = ndimage.distance_transform_edt(np.ones((100, 100), bool)) <= 2
print("pixels of a full 100 x 100 mask within 2 of the background:", int(large.sum()))
rows, columns = np.indices(full.shape)
as_stated = np.allclose(distance, np.hypot(rows + 1, columns)) and (chamfer == -1).all() and (brute > 1e100).all()
as_stated = as_stated and large.any() and not large.all()
raise SystemExit(None if as_stated else "changed: scipy-edt-no-background is no longer as stated")
PROGRAM
