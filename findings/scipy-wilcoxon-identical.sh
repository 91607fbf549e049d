#!/bin/sh
# Guess: two evaluations that agree on every image give one p-value, 1 or NaN, however many images there are.
# Found: scipy.stats.wilcoxon of differences that are all zero is p = 1 up to 13 pairs and NaN from 14 on: the exact
# method, taken by default for few pairs, drops the zeros and finds nothing against; the other divides 0 by 0.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import warnings

import numpy as np
import scipy
from scipy import stats

warnings.simplefilter("ignore", RuntimeWarning)
print("Versions: SciPy", scipy.__version__, "NumPy", np.__version__)


def p_value(num_images):
    scores = np.linspace(0.2, 0.8, num_images)
    return float(stats.wilcoxon(scores, scores).pvalue)


seen = {num_images: p_value(num_images) for num_images in (2, 5, 13, 14, 50, 51, 500)}
for num_images, p in seen.items():
    print(f"{num_images:3d} images, equal scores: p = {p}")
as_stated = all(p == 1 if num_images <= 13 else np.isnan(p) for num_images, p in seen.items())
raise SystemExit(None if as_stated else "changed: scipy-wilcoxon-identical is no longer as stated")
PROGRAM
