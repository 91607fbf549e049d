#!/bin/sh
# Guess: a lock can be released by another thread of its process, or the attempt raises.
# Found: By default a FileLock's state is local to the thread. release() in another thread does nothing and says
# nothing, is_locked is False there, and a lock taken in a thread that has ended stays held, by the same object that
# tells everyone it is free. Executors that clean up in another thread leave the folder locked until the process ends.
# With thread_local=False it is as guessed.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check filelock==4.2.11 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import subprocess
import sys
import threading

import filelock
from filelock import FileLock

PROGRAM = """
import filelock, sys
try:
    filelock.FileLock(sys.argv[1], timeout=0.1).acquire()
    print("free")
except filelock.Timeout:
    print("held")
"""


def in_thread(function):
    seen = []
    thread = threading.Thread(target=lambda: seen.append(function()))
    thread.start()
    thread.join()
    return seen[0]


def outside(path):
    """What another process finds."""
    program = [sys.executable, "-I", "-c", PROGRAM, path]
    return subprocess.run(program, check=True, capture_output=True, text=True).stdout.strip()


def story(path, **options):
    here, there = FileLock(f"{path}.here", **options), FileLock(f"{path}.there", **options)
    here.acquire()
    in_thread(here.release)
    in_thread(there.acquire)
    locked = there.is_locked
    there.release()
    return outside(f"{path}.here"), locked, outside(f"{path}.there")


print("Versions: filelock", filelock.__version__)
default, shared = story("default"), story("shared", thread_local=False)
for name, (released, locked, ended) in (("default", default), ("thread_local=False", shared)):
    print(f"{name}: released in another thread: {released} for other processes;", end=" ")
    print(f"taken in a thread that ended: is_locked {locked}, after release() {ended}")
as_stated = default == ("held", False, "held") and shared == ("free", True, "free")
raise SystemExit(None if as_stated else "changed: filelock-other-thread is no longer as stated")
PROGRAM
