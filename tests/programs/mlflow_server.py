"""A real MLflow server that tests can kill and start again."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest


class Server:
    """`mlflow server` on a port of its own. `start` and `kill` may alternate."""

    def __init__(self, folder: Path, database: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.database = database
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        call = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        call += ["--workers", "1", "--backend-store-uri", self.database]
        call += ["--artifacts-destination", str(self.folder / "artifacts")]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self._run(call, {**os.environ, **quiet})

    def start_again(self) -> None:
        # The process that serves, without the command line that starts it: half the imports.
        self._run(*self.serving)

    def _run(self, call: list[str], environment: dict[str, str]) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                call, stdout=log, stderr=log, start_new_session=True, cwd=self.folder, env=environment
            )

    def wait(self, seconds: float = 280.0) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        pytest.fail((self.folder / "server.log").read_text()[-2000:])

    def kill(self) -> None:
        if self.process is not None:
            for child in psutil.Process(self.process.pid).children():
                self.serving = child.cmdline(), child.environ()
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
