"""ovlab.ray.jobs against a head that answers as it is told; tests/cluster asks a real one."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import ray

from ovlab.cli import main
from ovlab.ray import jobs as ray_jobs
from ovlab.ray.jobs import Jobs
from ovlab.specs.errors import InputError, WorkError
from ovlab.tracking.provenance import read_stamp

JOB = "raysubmit_1"


class Head(ThreadingHTTPServer):
    """`refusals` are the answers to the first calls that hand a job in, `job` is what is known of it then."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.refusals: list[tuple[int, str]] = []
        self.job: dict[str, object] = {}
        self.handed_in: list[dict] = []
        self.needs_token = False
        self.address = f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Head

    def do_GET(self) -> None:
        if self.server.needs_token:
            self.say(401, "Unauthorized: Missing authentication token")
        elif self.path == "/api/version":
            self.say(200, json.dumps({"ray_version": ray.__version__, "version": "4"}))
        elif self.path == f"/api/jobs/{JOB}":
            known = {"type": "SUBMISSION", "submission_id": JOB, "entrypoint": "python"}
            self.say(200, json.dumps({**known, **self.server.job}))
        else:
            self.say(404, "nothing here")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.say(200, "")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.refusals:
            self.say(*self.server.refusals.pop(0))
            return
        self.server.handed_in.append(asked)
        self.say(200, json.dumps({"job_id": JOB, "submission_id": JOB}))

    def say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    # Set by Jobs for Ray's client; here it ends with the test.
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "")
    monkeypatch.setattr(ray_jobs, "_PAUSE_SECONDS", 0.01)
    with Head() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("1")
    return tmp_path


def test_job_is_handed_in_with_its_folder_and_variables(head: Head, folder: Path) -> None:
    assert Jobs(head.address).submit("python -V", folder, {"A": "1"}, {"commit": "c0ffee"}) == JOB

    (asked,) = head.handed_in
    assert asked["entrypoint"] == "python -V"
    assert asked["runtime_env"]["env_vars"] == {"A": "1"}
    assert asked["runtime_env"]["working_dir"].startswith("gcs://_ray_pkg_")
    assert asked["metadata"] == {"commit": "c0ffee"}


def test_job_is_handed_in_again_while_the_head_is_starting(head: Head, folder: Path) -> None:
    refused = "Traceback\n  File x\nClientConnectorError: Cannot connect to host 127.0.0.1:52365 ssl:default"
    head.refusals = [(500, "No available agent to submit job, please try again later.")] * 2 + [(500, refused)]

    assert Jobs(head.address).submit("python -V", folder, {}, {}) == JOB


def test_job_that_the_head_refuses_is_one_line(head: Head, folder: Path) -> None:
    head.refusals = [(500, "Traceback (most recent call last):\n  File x\nValueError: the reason\n")]

    with pytest.raises(WorkError, match=r"status code 500.* ValueError: the reason") as error:
        Jobs(head.address).submit("python -V", folder, {}, {})

    assert "\n" not in str(error.value)
    assert head.handed_in == []


def test_head_that_wants_a_token_says_how_to_get_one(head: Head) -> None:
    head.needs_token = True

    with pytest.raises(InputError, match="ray get-auth-token") as error:
        Jobs(head.address)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("job", "code", "said"),
    [
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, 0, ""),
        ({"status": "FAILED", "driver_exit_code": 2, "message": "exited"}, 2, ""),
        ({"status": "FAILED", "message": "node died"}, 1, f"{JOB}: FAILED: node died\n"),
        ({"status": "FAILED", "driver_exit_code": -9, "message": "killed"}, 1, f"{JOB}: FAILED: killed\n"),
        ({"status": "STOPPED"}, 1, f"{JOB}: STOPPED: no reason given\n"),
    ],
)
def test_job_that_has_ended_gives_its_exit_code(head: Head, job: dict[str, object], code: int, said: str) -> None:
    head.job = job
    written: list[str] = []

    assert Jobs(head.address).follow(JOB, written.append) == code
    assert "".join(written) == said


def test_submit_without_waiting_prints_the_job_and_sends_stamp_and_store(
    head: Head, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OVLAB_STORE", "s3://bucket/store")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")

    code = main(["submit", "--no-wait", "--address", head.address, "--env", "A=1", "--", "run", "table4"])

    assert code == 0
    assert capsys.readouterr().out == f"{JOB}\n"
    (asked,) = head.handed_in
    assert asked["entrypoint"] == "python -m ovlab run table4 --store s3://bucket/store"
    variables = asked["runtime_env"]["env_vars"]
    assert (variables["A"], variables["PYTHONPATH"]) == ("1", "platform:model")
    assert read_stamp(variables["OVLAB_PROVENANCE"]).commit == asked["metadata"]["commit"]
