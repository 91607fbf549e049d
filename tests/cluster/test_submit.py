"""`ovlab submit` and `ovlab doctor` against a real Ray with a token, as a person calls them."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _load(name: str) -> object:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def head() -> Iterator[object]:
    with _load("ray_head").ray_head() as head:
        yield head


def ovlab(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ovlab", *arguments], env=environment, capture_output=True, text=True, timeout=180
    )


def ray(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    call = [str(Path(sys.executable).with_name("ray")), *arguments]
    return subprocess.run(call, env=environment, capture_output=True, text=True, timeout=180, cwd=ROOT)


def test_job_prints_what_the_command_prints_here(head: object, tmp_path: Path) -> None:
    command = ["plan", "table4", "--suite", "shapes", "--seeds", "0", "--store", str(tmp_path / "store"), "--json"]

    result = ovlab(head.environment(), "submit", "--address", head.dashboard, "--", *command)

    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == json.loads(ovlab(head.environment(), *command).stdout)


def test_job_with_a_wrong_call_gives_its_exit_code_and_reason(head: object, tmp_path: Path) -> None:
    command = ["plan", "table44", "--store", str(tmp_path)]

    result = ovlab(head.environment(), "submit", "--address", head.dashboard, "--", *command)

    assert result.returncode == 2
    assert "no table 'table44'" in result.stdout


def test_job_imports_what_was_sent_and_is_stamped(
    head: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**head.environment(), "RAY_AUTH_MODE": "token"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    from ovlab.jobs import job_environment, source_package
    from ovlab.ray_jobs import Jobs
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


def test_submit_without_a_token_says_how_to_get_one(head: object, tmp_path: Path) -> None:
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


def test_submit_interrupted_leaves_the_job_running(head: object, tmp_path: Path) -> None:
    endless = ["train", "--data", "shapes-coco", "--steps", "1000000", "--store", str(tmp_path)]
    call = [sys.executable, "-m", "ovlab", "submit", "--address", head.dashboard, "--", *endless]
    environment = {**head.environment(), "RAY_AUTH_MODE": "token", "RAY_API_SERVER_ADDRESS": head.dashboard}
    with subprocess.Popen(
        call, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
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


def test_ray_job_submit_of_the_checkout_runs_a_command(head: object, tmp_path: Path) -> None:
    environment = {**head.environment(), "RAY_AUTH_MODE": "token", "RAY_API_SERVER_ADDRESS": head.dashboard}
    sources = json.dumps({"env_vars": {"PYTHONPATH": "platform:model"}})
    command = ["python", "-m", "ovlab", "plan", "table4", "--seeds", "0", "--store", str(tmp_path)]

    result = ray(environment, "job", "submit", "--working-dir", ".", "--runtime-env-json", sources, "--", *command)

    assert result.returncode == 0, result.stderr
    assert "7 trainings" in result.stdout


def test_doctor_asks_a_worker_of_the_cluster(head: object, tmp_path: Path) -> None:
    asked = ["doctor", "--address", head.address, "--store", str(tmp_path), "--json"]

    result = ovlab(head.environment() | {"RAY_AUTH_MODE": "token"}, *asked)

    found = json.loads(result.stdout.splitlines()[-1])
    assert [finding for finding in found if finding["status"] == "failed"] == []
    assert result.returncode == 0, result.stderr
    ray_found = next(finding["found"] for finding in found if finding["check"] == "ray")
    assert f"at {head.address}: 1 nodes, 2 CPUs, 0 GPUs" in ray_found
    stores = [finding["found"] for finding in found if finding["check"] == "store"]
    assert len(stores) == 2
    assert "a worker on" in stores[1]
