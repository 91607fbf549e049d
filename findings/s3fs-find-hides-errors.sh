#!/bin/sh
# Guess: where a server answers 500, every call of a file system raises, so that an empty answer means an empty prefix.
# Found: walk(), and find() with a maxdepth, pass over what ls() raises and return nothing: a prefix on a server that is
# down looks empty. find() without a maxdepth and ls() raise. Whoever asks a bounded find() whether results are there
# computes, or copies, them anew.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check s3fs==2026.9.0 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import s3fs


class Failing(BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = do_POST = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Failing)
threading.Thread(target=server.serve_forever, daemon=True).start()
s3fs.S3FileSystem.retries = 1
files = s3fs.S3FileSystem(
    key="k",
    secret="s",
    endpoint_url=f"http://127.0.0.1:{server.server_port}",
    config_kwargs={"retries": {"max_attempts": 1}},
    use_listings_cache=False,
)


def outcome(call):
    try:
        return repr(call())
    except Exception as error:
        return f"raises {type(error).__name__}"


print("Versions: s3fs", s3fs.__version__)
found = {
    "bounded find": outcome(lambda: files.find("bucket/results", maxdepth=2)),
    "walk": outcome(lambda: [name for _, _, names in files.walk("bucket/results") for name in names]),
    "find": outcome(lambda: files.find("bucket/results")),
    "ls": outcome(lambda: files.ls("bucket/results")),
}
for name, what in found.items():
    print(f"{name}(bucket/results): {what}")
empty = found["bounded find"] == found["walk"] == "[]"
as_stated = empty and found["find"].startswith("raises") and found["ls"].startswith("raises")
raise SystemExit(None if as_stated else "changed: s3fs-find-hides-errors is no longer as stated")
PROGRAM
