#!/bin/sh
# Guess: a filter returns the same rows from a Parquet file as from the table in memory.
# Found: Rows whose value is NaN are lost when a filter reads Parquet. Minimum and maximum of a row group leave NaN
# out, as the format demands, and pyarrow and DuckDB then skip the row group although a NaN would match: also for a
# filter that asks for NaN itself. pyarrow does so where all other values of the row group fail the filter (for
# is_nan: are equal), DuckDB for isnan over values that differ too. Polars reads the same file right. "Which runs have
# no valid score" is answered by none.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check duckdb==2.0.1 polars==2.1.0 pyarrow==25.0.1 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

table = pa.table({"miou": [0.5, float("nan"), 0.5]})
pq.write_table(table, "runs.parquet")
duckdb.sql("create table runs as select * from 'runs.parquet'")
miou, column = pc.field("miou"), pl.col("miou")


def rows(arrow, sql, polars):
    return {
        "pyarrow": (table.filter(arrow).num_rows, pq.read_table("runs.parquet", filters=arrow).num_rows),
        "DuckDB": tuple(
            duckdb.sql(f"select count(*) from {source} where {sql}").fetchall()[0][0]
            for source in ("runs", "'runs.parquet'")
        ),
        "Polars": (
            pl.read_parquet("runs.parquet").filter(polars).height,
            pl.scan_parquet("runs.parquet").filter(polars).collect().height,
        ),
    }


print("Versions: pyarrow", pa.__version__, "DuckDB", duckdb.__version__, "Polars", pl.__version__)
seen = {
    "is NaN": rows(miou.is_nan(), "isnan(miou)", column.is_nan()),
    "not 0.5": rows(miou != 0.5, "miou != 0.5", column != 0.5),
    "not (<= 0.5)": rows(~(miou <= 0.5), "not (miou <= 0.5)", ~(column <= 0.5)),
}
for question, answers in seen.items():
    for reader, (memory, file) in answers.items():
        print(f"{question:12s} {reader:8s} rows in memory {memory}, from the file {file}")
as_stated = all(
    answers["pyarrow"] == answers["DuckDB"] == (1, 0) and answers["Polars"] == (1, 1) for answers in seen.values()
)
raise SystemExit(None if as_stated else "changed: parquet-filter-nan is no longer as stated")
PROGRAM
