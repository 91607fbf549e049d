#!/bin/sh
# Guess: an exception inside `with open(bucket object)` aborts the upload: objects appear whole or not at all.
# Found: s3fs (so fsspec.open) and pyarrow.fs complete the upload when the block ends by an exception: half a file
# stands there under its final name, and over the good one that was there. smart_open aborts, and so does s3fs inside
# `fs.transaction`. Measured against moto, whose S3 knows multipart uploads.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
    boto3==1.43.117 moto[server]==5.2.5 pyarrow==25.0.1 s3fs==2026.9.0 smart_open==9.0.2 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import contextlib
import logging
import os

os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
import boto3
import pyarrow as pa
import pyarrow.fs
import s3fs
import smart_open
from moto.server import ThreadedMotoServer

logging.disable(logging.INFO)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
bucket = s3fs.S3FileSystem(endpoint_url=f"http://{host}:{port}")
arrow = pyarrow.fs.S3FileSystem(endpoint_override=f"{host}:{port}", scheme="http", access_key="x", secret_key="x")
client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
bucket.mkdir("runs")


def size_after_error(name, opened, num_bytes, around=contextlib.nullcontext):
    with contextlib.suppress(RuntimeError), around(), opened(name) as file:
        file.write(bytes(num_bytes))
        raise RuntimeError("half of the weights")
    bucket.invalidate_cache()
    return bucket.info(name)["size"] if bucket.exists(name) else None


print("Versions: s3fs", s3fs.__version__, "pyarrow", pa.__version__, "smart_open", smart_open.__version__)
writers = {
    "s3fs": lambda name: bucket.open(name, "wb"),
    "pyarrow": arrow.open_output_stream,
    "smart_open": lambda name: smart_open.open(f"s3://{name}", "wb", transport_params={"client": client}),
}
small, large = 10, 60 * 2**20
seen = {
    (writer, size): size_after_error(f"runs/{writer}-{size}", opened, size)
    for writer, opened in writers.items()
    for size in (small, large)
}
transaction = size_after_error("runs/transaction", writers["s3fs"], small, lambda: bucket.transaction)
bucket.pipe("runs/good", b"whole and good")
over = size_after_error("runs/good", writers["s3fs"], small)
server.stop()
for (writer, size), found in seen.items():
    print(f"{writer:10s} error after {size:8d} bytes: object of size {found}")
print("s3fs in a transaction: object of size", transaction)
print("s3fs over a good object of 14 bytes: size", over)
as_stated = (transaction, over) == (None, small) and all(
    found == (None if writer == "smart_open" else size) for (writer, size), found in seen.items()
)
raise SystemExit(None if as_stated else "changed: object-store-half-written is no longer as stated")
PROGRAM
