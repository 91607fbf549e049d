"""ovlab.files.lock: one process at a time, and a dead one holds nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ovlab.files.lock import locked
from ovlab.specs.errors import InputError

# Forks a child while the lock is held, as the workers of a data loader are; the child prints its id once it runs.
HOLD = """
import os, sys, time
from pathlib import Path
from ovlab.files.lock import locked
with locked(Path(sys.argv[1]), "it"):
    if os.fork() == 0:
        print(os.getpid(), flush=True)
    time.sleep(300)
"""


def test_lock_of_another_process_is_refused_until_that_process_is_dead(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "a.lock"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    child = int(other.stdout.readline())
    try:
        with pytest.raises(InputError) as error, locked(lock, "table4 full-6"):
            raise AssertionError("both have it")
        assert str(error.value).startswith("table4 full-6: another process is at it")
        assert str(lock) in str(error.value)
        assert "\n" not in str(error.value)

        other.kill()
        other.wait()
        with locked(lock, "table4 full-6"):
            os.kill(child, 0)  # it outlives its parent and does not hold the lock
    finally:
        os.kill(child, signal.SIGKILL)
        other.kill()
        other.wait()
        other.stdout.close()


def test_lock_is_awaited_for_as_long_as_a_dying_process_may_take(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    program = f"import time\nfrom pathlib import Path\nfrom ovlab.files.lock import locked\n\
with locked(Path({str(lock)!r}), 'it'):\n    print('held', flush=True)\n    time.sleep(1)\n"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"

        with locked(lock, "it", seconds=60.0):
            pass


def test_lock_where_none_can_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")

    with (
        pytest.raises(InputError, match=r"^the run: .*letter\.txt/a\.lock cannot be locked \("),
        locked(tmp_path / "letter.txt" / "a.lock", "the run"),
    ):
        pass
