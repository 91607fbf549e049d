#!/bin/sh
# Guess: a ParquetWriter whose block ends by an exception leaves a file without a footer, which nobody reads.
# Found: Leaving `with ParquetWriter(...)` by an exception closes the file as on success: what stands there is a
# whole, valid Parquet file with the rows written so far, and no reader can tell. The same for an Arrow IPC file. A
# killed process does leave an unreadable file, so a store that trusts "it opens" trusts the wrong sign.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check pyarrow==25.0.1 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq

table = pa.table({"count": [1, 2, 3]})
PROGRAM = """
import os, pyarrow as pa, pyarrow.parquet as pq
table = pa.table({"count": [1, 2, 3]})
with pq.ParquetWriter("killed.parquet", table.schema) as writer:
    writer.write_table(table)
    os._exit(1)
"""


def rows_after_error(name, open_writer, read):
    try:
        with open_writer(name) as writer:
            writer.write_table(table)
            raise RuntimeError("the second of four shards failed")
    except RuntimeError:
        return read(name)


print("Versions: pyarrow", pa.__version__)
parquet = rows_after_error(
    "half.parquet", lambda name: pq.ParquetWriter(name, table.schema), lambda name: pq.read_table(name).num_rows
)
arrow = rows_after_error(
    "half.arrow",
    lambda name: pa.ipc.new_file(name, table.schema),
    lambda name: pa.ipc.open_file(name).read_all().num_rows,
)
print("rows read after the exception: Parquet", parquet, "Arrow IPC", arrow)
subprocess.run([sys.executable, "-I", "-c", PROGRAM], check=False)
try:
    killed = f"{pq.read_table('killed.parquet').num_rows} rows"
except pa.ArrowInvalid as error:
    killed = "unreadable"
    print("after _exit:", str(error).splitlines()[0][:90])
as_stated = (parquet, arrow, killed) == (3, 3, "unreadable")
raise SystemExit(None if as_stated else "changed: parquet-writer-exception is no longer as stated")
PROGRAM
