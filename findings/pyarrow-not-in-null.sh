#!/bin/sh
# Guess: "!=" and "not in" of one value are one filter; rows without a value fall out of both, as in SQL.
# Found: pyarrow.parquet.read_table(filters=[("split", "!=", "train")]) leaves rows out whose split is null;
# filters=[("split", "not in", ["train"])] keeps them. The same holds for the expressions != and ~isin.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check pyarrow==25.0.1 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

pq.write_table(pa.table({"split": ["train", None, "val"]}), "samples.parquet")


def kept(filters):
    return pq.read_table("samples.parquet", filters=filters)["split"].to_pylist()


print("Versions: pyarrow", pa.__version__)
seen = {
    '("split", "!=", "train")': kept([("split", "!=", "train")]),
    '("split", "not in", ["train"])': kept([("split", "not in", ["train"])]),
    'field != "train"': kept(pc.field("split") != "train"),
    '~field.isin(["train"])': kept(~pc.field("split").isin(["train"])),
}
for question, answer in seen.items():
    print(f"{question:32s} {answer}")
as_stated = list(seen.values()) == [["val"], [None, "val"], ["val"], [None, "val"]]
raise SystemExit(None if as_stated else "changed: pyarrow-not-in-null is no longer as stated")
PROGRAM
