"""`ovlab submit` and `ovlab doctor` against a real Ray with a token, as a person calls them."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_head import Head, ray_head

pytestmark = pytest.mark.long

# One run of a second.
TABLE = """\
from ovlab.specs.table import Column, Row, Table, Variation

SMALL = {"guidance_dim": 16, "attention_heads": 2, "state_dim": 4, "fusion_depth": 1, "decoder_dims": [16, 16]}

TABLE = Table(
    name="mine",
    title="Mine",
    columns=(Column(title="PAS-20", benchmark="pas-20"),),
    rows=(Row(key="full", label="", run=Variation(training_set="pc-59", model=SMALL, schedule={"batch_size": 1})),),
)
"""


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head() as found:
        yield found


def ovlab(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ovlab", *arguments], env=environment, capture_output=True, text=True, timeout=400
    )


def ray(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    call = [str(Path(sys.executable).with_name("ray")), *arguments]
    return subprocess.run(call, env=environment, capture_output=True, text=True, timeout=400)


def test_job_prints_what_the_command_prints_here(head: Head, tmp_path: Path) -> None:
    command = ["plan", "table4", "--suite", "shapes", "--seeds", "0", "--store", str(tmp_path / "store"), "--json"]

    result = ovlab(head.environment(), "submit", "--address", head.dashboard, "--", *command)

    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == json.loads(ovlab(head.environment(), *command).stdout)


def test_job_with_a_wrong_call_gives_its_exit_code_and_reason(head: Head, tmp_path: Path) -> None:
    command = ["plan", "table44", "--store", str(tmp_path)]

    result = ovlab(head.environment(), "submit", "--address", head.dashboard, "--", *command)

    assert result.returncode == 2
    assert "no table 'table44'" in result.stdout


def test_job_imports_what_was_sent_and_is_stamped(head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**head.environment(), "RAY_AUTH_MODE": "token"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    from ovlab.ray.jobs import Jobs
    from ovlab.ray.upload import job_environment, source_package
    from ovlab.tracking.provenance import Source, stamp

    program = (
        "import logoseg, ovlab; from ovlab.tracking.provenance import provenance; "
        "print(ovlab.__file__, logoseg.__file__, provenance().source.commit)"
    )
    source_package().copy_to(tmp_path)
    printed: list[str] = []
    jobs = Jobs(head.dashboard)
    variables = job_environment(stamp(Source(commit="c0ffee")))

    job = jobs.submit(f'python -c "{program}"', tmp_path, variables, {})
    code = jobs.follow(job, printed.append)

    ovlab_file, logoseg_file, commit = "".join(printed).split()[-3:]
    assert code == 0
    assert "_ray_pkg_" in ovlab_file
    assert "_ray_pkg_" in logoseg_file
    assert commit == "c0ffee"


def test_submit_without_a_token_says_how_to_get_one(head: Head, tmp_path: Path) -> None:
    nobody = {name: value for name, value in head.environment().items() if name != "RAY_AUTH_TOKEN"}

    result = ovlab(
        {**nobody, "HOME": str(tmp_path)},
        "submit",
        "--address",
        head.dashboard,
        "--",
        "plan",
        "table4",
        "--store",
        "/s",
    )

    assert result.returncode == 2
    assert "ray get-auth-token" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_run_on_a_ray_that_wants_a_token_says_so_in_one_line(head: Head, tmp_path: Path) -> None:
    nobody = {name: value for name, value in head.environment().items() if name != "RAY_AUTH_TOKEN"}
    (tmp_path / "mine.py").write_text(TABLE)
    command = ["run", str(tmp_path / "mine.py"), "--clip", "shapes-vit-s=none", "--limit-steps", "1"]
    places = ["--store", str(tmp_path / "store"), "--workdir", str(tmp_path / "work"), "--no-tracking"]

    result = ovlab(
        {**nobody, "HOME": str(tmp_path), "RAY_ADDRESS": head.address}, *command, *places, "--runs-at-once", "2"
    )

    assert result.returncode == 2
    assert "its token" in result.stderr.splitlines()[-1]
    assert "gcs_client" not in result.stderr


def test_value_of_env_is_in_the_environment_of_the_job_and_nowhere_else(head: Head, tmp_path: Path) -> None:
    marker = "marker-3f7a"
    # The table looks for the value where a job has it, and fails without.
    (tmp_path / "mine.py").write_text(f"import os\n\nassert os.environ['TOKEN'] == {marker[::-1]!r}[::-1]\n{TABLE}")
    table, store = [str(tmp_path / "mine.py"), "--clip", "shapes-vit-s=none"], ["--store", str(tmp_path / "store")]
    limits = ["--limit-steps", "1", "--limit-images", "1"]
    work = ["--device", "cpu", "--runs-at-once", "1", "--workdir", str(tmp_path / "work")]
    environment = {**head.environment(), "TOKEN": marker, "OVLAB_CACHE": str(tmp_path / "cache")}
    submit = ["submit", "--address", head.dashboard, "--env", f"TOKEN={marker}"]

    job = ovlab(environment, *submit, "--", "run", *table, *limits, *store, *work)
    report = ovlab(environment, "report", *table[:1], *limits, *store, "--out", str(tmp_path / "report"))

    assert job.returncode == 0, job.stdout[-3000:] + job.stderr[-3000:]
    assert report.returncode == 0, report.stderr
    assert [text for text in (job.stdout, job.stderr, report.stdout, report.stderr) if marker in text] == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"mlflow.db", "index.html", "record.json"} <= {path.name for path in files}
    assert [path for path in files if marker.encode() in path.read_bytes()] == []


def test_submit_interrupted_leaves_the_job_running(head: Head, tmp_path: Path) -> None:
    endless = ["train", "--data", "shapes-coco", "--steps", "1000000", "--store", str(tmp_path)]
    call = [sys.executable, "-m", "ovlab", "submit", "--address", head.dashboard, "--", *endless]
    environment = {**head.environment(), "RAY_AUTH_MODE": "token", "RAY_API_SERVER_ADDRESS": head.dashboard}
    with subprocess.Popen(
        call,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # Tests that run in the background of a shell are told to ignore it, and so would this process be.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        said = ""
        while " on http" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        job = said.splitlines()[-1].split()[0]
        os.kill(process.pid, signal.SIGINT)
        said = process.stderr.read()

    assert process.returncode == 1
    assert f"ray job stop {job}" in said
    status = ray(environment, "job", "status", job)
    assert "RUNNING" in status.stdout or "PENDING" in status.stdout
    assert ray(environment, "job", "stop", job).returncode == 0


def test_ray_job_submit_of_the_checkout_makes_a_table_by_trials(head: Head, tmp_path: Path) -> None:
    from ovlab.ray.upload import source_package
    from ovlab.store.store import open_store

    # The sources of the checkout without what else may lie in it, and a table of one's own beside them.
    source_package().copy_to(tmp_path / "checkout")
    (tmp_path / "checkout" / "mine.py").write_text(TABLE)
    environment = {**head.environment(), "RAY_AUTH_MODE": "token", "RAY_API_SERVER_ADDRESS": head.dashboard}
    sources = json.dumps({"env_vars": {"PYTHONPATH": "platform:model", "OVLAB_CACHE": str(tmp_path / "cache")}})
    submit = ["job", "submit", "--working-dir", str(tmp_path / "checkout"), "--runtime-env-json", sources]
    run = ["python", "-m", "ovlab", "run", "./mine.py", "--clip", "shapes-vit-s=none", "--limit-steps", "2"]
    run += ["--limit-images", "2", "--device", "cpu", "--no-tracking", "--store", str(tmp_path / "store")]

    result = ray(environment, *submit, "--", *run)

    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    store = open_store(str(tmp_path / "store"))
    (training,) = store.trainings()
    assert training.num_steps == 2
    assert len(list(store.records())) == 2


def test_doctor_asks_a_worker_of_the_cluster(head: Head, tmp_path: Path) -> None:
    asked = ["doctor", "--address", head.address, "--store", str(tmp_path), "--json"]

    result = ovlab(head.environment() | {"RAY_AUTH_MODE": "token"}, *asked)

    found = json.loads(result.stdout.splitlines()[-1])
    assert [finding for finding in found if finding["status"] == "failed"] == []
    assert result.returncode == 0, result.stderr
    ray_found = next(finding["found"] for finding in found if finding["check"] == "ray")
    # Ray may name the head by the address of its machine
    port = head.address.rpartition(":")[2]
    assert re.search(rf" at [\w.]+:{port}: 1 nodes, 2 CPUs, 0 GPUs", ray_found), ray_found
    stores = [finding["found"] for finding in found if finding["check"] == "store"]
    assert len(stores) == 2
    assert "a worker on" in stores[1]
