#!/bin/sh
# Guess: a sum of integers is widened to 64 bits, or overflow is an error.
# Found: Polars widens the sum of 8 and 16 bits to 64, but that of 32 bits stays at 32 and wraps without a word, in
# select and in group_by alike: two images of 2**31 pixels are 0 together, three of 2**30 in Int32 are negative. dot()
# of 8 bits stays at 8. len() and count() are UInt32 too, so len() - 5 of two rows is 4294967293.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check polars==2.1.0 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import polars as pl

print("Versions: Polars", pl.__version__)
sums = {
    "UInt8": pl.Series([200, 200], dtype=pl.UInt8).sum(),
    "UInt16": pl.Series([60000, 60000], dtype=pl.UInt16).sum(),
    "UInt32": pl.Series([2**31, 2**31], dtype=pl.UInt32).sum(),
    "Int32": pl.Series([2**30] * 3, dtype=pl.Int32).sum(),
}
pixels = pl.DataFrame({"class": [0, 0], "pixels": pl.Series([2**31, 2**31], dtype=pl.UInt32)})
grouped = pixels.group_by("class").agg(pl.col("pixels").sum())["pixels"].to_list()
missing = pixels.select(pl.len() - 5).item()
bytes_ = pl.Series([200, 200], dtype=pl.UInt8)
print("sums:", sums)
print("group_by of UInt32:", grouped, " len() - 5 of two rows:", missing)
print("dot of UInt8 (true 80000):", bytes_.dot(bytes_))
as_stated = sums == {"UInt8": 400, "UInt16": 120000, "UInt32": 0, "Int32": -(2**30)}
as_stated = as_stated and grouped == [0] and missing == 2**32 - 3 and bytes_.dot(bytes_) == 80000 % 256
raise SystemExit(None if as_stated else "changed: polars-sum-wraps is no longer as stated")
PROGRAM
