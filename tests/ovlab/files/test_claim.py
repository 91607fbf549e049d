"""ovlab.files.claim: one process at a time, and a dead one holds nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from ovlab.files.claim import claimed
from ovlab.specs.errors import InputError

HOLD = """
import sys, time
from pathlib import Path
from ovlab.files.claim import claimed
with claimed(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(300)
"""


def test_claim_of_another_process_is_refused_until_that_process_is_dead(tmp_path: Path) -> None:
    lock = tmp_path / "claims" / "a.lock"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"

    with pytest.raises(InputError, match="table4 full-6: another process is at it"), claimed(lock, "table4 full-6"):
        raise AssertionError("both have it")
    other.kill()
    other.wait()
    other.stdout.close()

    with claimed(lock, "table4 full-6", seconds=10.0):
        pass
    with claimed(lock, "table4 full-6"):
        pass
