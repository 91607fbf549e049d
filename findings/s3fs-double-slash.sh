#!/bin/sh
# Guess: s3://bucket//results is refused, or is another way to write s3://bucket/results.
# Found: it is a third thing, and the calls disagree about it. What is written below it gets a key that begins with a
# slash; a read by the same address finds it; exists() of the folder says yes; ls() and find() of the same address
# strip the slash and list the other folder, in which nothing of it is. Results that are there are not found again.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check s3fs==2026.9.0 "moto[s3,server]==5.2.5" ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import moto
import s3fs
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
files = s3fs.S3FileSystem(key="k", secret="s", endpoint_url=f"http://{host}:{port}", use_listings_cache=False)
files.mkdir("bucket")
files.pipe_file("s3://bucket/results/plain.json", b"plain")
files.pipe_file("s3://bucket//results/slashed.json", b"slashed")


def outcome(call):
    try:
        return call()
    except Exception as error:
        return f"raises {type(error).__name__}"


print("Versions: s3fs", s3fs.__version__, "moto", moto.__version__)
keys = sorted(found["Key"] for found in files.call_s3("list_objects_v2", Bucket="bucket")["Contents"])
found = {
    "keys": keys,
    "cat": outcome(lambda: files.cat_file("s3://bucket//results/slashed.json")),
    "exists": outcome(lambda: files.exists("s3://bucket//results")),
    "ls": outcome(lambda: files.ls("s3://bucket//results", detail=False)),
    "find": outcome(lambda: files.find("s3://bucket//results")),
}
for name, what in found.items():
    print(f"{name}: {what}")
server.stop()
PROGRAM
