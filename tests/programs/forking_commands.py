"""Commands of ovlab, each in a fork of one process that has imported everything already.

As a program: each line of its input is {"arguments": [..], "folder": "..", "environment": {..}}, each of its output the
exit code. What a command says is in the files stdout and stderr of the folder.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_SECONDS = 600


class Outcome(NamedTuple):
    """How a command ended; `code` is negative for the signal that ended it."""

    code: int
    stdout: str
    stderr: str

    @property
    def is_told(self) -> bool:
        """Whether it is done, or says in one line why not."""
        lines = self.stderr.splitlines()
        says_why = bool(lines) and lines[-1].startswith(("ovlab: ", "failed: "))
        return "Traceback" not in self.stderr and (self.code == 0 or (self.code in (1, 2) and says_why))


class Commands:
    """Made by `forking_commands`."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server

    def __call__(self, *arguments: str, folder: Path, **environment: str) -> Outcome:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        order = {"arguments": arguments, "folder": str(folder), "environment": environment}
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        return Outcome(code, (folder / "stdout").read_text(), (folder / "stderr").read_text())


@contextmanager
def forking_commands() -> Iterator[Commands]:
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        yield Commands(server)
        assert server.stdin is not None
        server.stdin.close()


def run(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> int:
    """The exit code of a command, in a process of its own."""
    child = os.fork()
    if child == 0:
        _become(arguments, folder, environment)
    deadline = time.monotonic() + _SECONDS
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(ended[1])


def _become(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.update(environment)
    os.chdir(folder)
    code = 1
    try:
        code = main(arguments)
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    import torch

    from ovlab.cli import main

    for name in (
        "ovlab.commands.evaluate",
        "ovlab.runs.evaluations",
        "ovlab.runs.trainings",
        "s3fs",
        "pyarrow.parquet",
    ):
        importlib.import_module(name)
    torch.set_num_threads(1)
    for line in sys.stdin:
        order = json.loads(line)
        print(run(order["arguments"], Path(order["folder"]), order["environment"]), flush=True)
