#!/bin/sh
# Guess: histogram() of a 16-bit image counts its values, or raises as getcolors() does.
# Found: Image.histogram() of mode "I;16" has 256 bins and counts bytes, not pixels: of each row the first WIDTH
# bytes, which are the low and the high bytes of its left half. The right half is not looked at. Class frequencies
# taken from it are those of other classes. getextrema() of the same image is right.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import numpy as np
import PIL
from PIL import Image

row = np.array([[1, 300, 149, 149]], np.uint16)


def counted(pixels):
    return {value: count for value, count in enumerate(Image.fromarray(pixels).histogram()) if count}


print("Versions: Pillow", PIL.__version__, "NumPy", np.__version__)
print("pixels:", row[0].tolist())
as_labels = counted(row)
print("histogram() as 16 bits:", as_labels, "of", len(Image.fromarray(row).histogram()), "bins")
small = counted(np.minimum(row, 255).astype(np.uint8))
print("histogram() of the same, 300 cut to 255, as 8 bits:", small)
print("getextrema() as 16 bits:", Image.fromarray(row).getextrema())
first_bytes = row.astype("<u2").tobytes()[: row.shape[1]]
as_stated = (
    as_labels == {value: first_bytes.count(value) for value in sorted(set(first_bytes))}
    and 149 not in as_labels
    and small == {1: 1, 149: 2, 255: 1}
    and Image.fromarray(row).getextrema() == (1, 300)
)
raise SystemExit(None if as_stated else "changed: pillow-histogram-16-bit is no longer as stated")
PROGRAM
