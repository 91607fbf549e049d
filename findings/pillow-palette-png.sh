#!/bin/sh
# Guess: a PNG keeps every index of a palette image, or saving raises where it cannot.
# Found: A "P" image is saved with as many bits a pixel as its palette has colours, and each index is cut to those
# bits without a word. With a palette of the three classes of a mask, the ignore value 255 comes back as 3; with 16
# classes as 15. TIFF and BMP keep 255. GIF cuts it too.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import io

import numpy as np
import PIL
from PIL import Image


def read_back(num_colours, file_format):
    image = Image.frombytes("P", (4, 1), bytes([0, 1, 2, 255]))
    image.putpalette([channel for index in range(num_colours) for channel in (index, 2 * index, 3 * index)])
    file = io.BytesIO()
    image.save(file, file_format)
    with Image.open(io.BytesIO(file.getvalue())) as stored:
        return np.asarray(stored)[0].tolist()


print("Versions: Pillow", PIL.__version__, "NumPy", np.__version__)
seen = {(n, f): read_back(n, f) for n, f in ((3, "PNG"), (16, "PNG"), (17, "PNG"), (3, "TIFF"), (3, "BMP"), (3, "GIF"))}
for (num_colours, file_format), values in seen.items():
    print(f"indices 0 1 2 255, palette of {num_colours:2d}, {file_format}: {values}")
kept = [0, 1, 2, 255]
as_stated = (
    seen[3, "PNG"] == seen[3, "GIF"] == [0, 1, 2, 3]
    and seen[16, "PNG"] == [0, 1, 2, 15]
    and seen[17, "PNG"] == seen[3, "TIFF"] == seen[3, "BMP"] == kept
)
raise SystemExit(None if as_stated else "changed: pillow-palette-png is no longer as stated")
PROGRAM
