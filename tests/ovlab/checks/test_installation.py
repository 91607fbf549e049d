"""ovlab.checks.installation: each check with a situation in which it must not say ok."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ovlab.checks import installation as doctor
from ovlab.checks.installation import Finding
from ovlab.checks.torch_probe import TorchProbe, probe_torch
from ovlab.commands.doctor import line
from ovlab.ray import cluster

WORKING = TorchProbe("2.13.0+cu130", "0.28.0+cu130", "13.0")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "OVLAB_DATA"):
        monkeypatch.delenv(name, raising=False)


def test_packages_that_are_declared_are_installed() -> None:
    declared = doctor.declared_requirements()

    assert any(line.startswith("torch>") for line in declared)
    assert doctor.packages(declared).status == "ok"


@pytest.mark.parametrize(
    ("requirement", "found"),
    [("no-such-package>=1", "no-such-package is missing"), ("numpy<1", "is not <1")],
)
def test_packages_missing_or_of_another_version_are_named(requirement: str, found: str) -> None:
    finding = doctor.packages(["ray>=2", requirement])

    assert finding.status == "failed"
    assert found in finding.found
    assert "ray" not in finding.found
    assert "constraints.txt" in finding.mend


def test_torch_pair_of_one_build_is_ok() -> None:
    assert doctor.torch_pair(WORKING).status == "ok"
    assert "without CUDA" in doctor.torch_pair(TorchProbe("2.13.0+cpu", "0.28.0+cpu")).found


def test_torch_pair_that_does_not_match_is_told_with_the_cure() -> None:
    probe = TorchProbe("2.13.0+cpu", None, error="operator torchvision::nms does not exist")

    finding = doctor.torch_pair(probe)

    assert finding.status == "failed"
    assert "torchvision::nms" in finding.found
    assert "--reinstall" in finding.mend


def test_torch_probe_of_this_machine_finds_a_pair() -> None:
    probe = probe_torch()

    assert probe.error is None
    assert probe.torch is not None
    assert probe.torchvision is not None


def test_torch_probe_whose_import_dies_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        "import os, sys\nsys.stderr.write('bad kernel\\n')\nos._exit(134)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    probe = probe_torch()

    assert probe.torch is None
    assert probe.error == "the import ended with 134: bad kernel"


@pytest.mark.parametrize(
    ("gpus", "driver_gpus", "status"),
    [(("L40S",), ("L40S",), "ok"), ((), (), "ok"), ((), ("L40S",), "failed")],
)
def test_gpu_that_torch_cannot_use_fails(gpus: tuple[str, ...], driver_gpus: tuple[str, ...], status: str) -> None:
    finding = doctor.gpu(TorchProbe("2.13.0", "0.28.0", None, gpus), driver_gpus)

    assert finding.status == status
    assert ("L40S" in finding.found) == bool(driver_gpus)


@pytest.mark.parametrize(
    ("gpus", "mamba", "status"),
    [
        ((), "absent", "ok"),
        (("L40S",), "works", "ok"),
        (("L40S",), "absent", "warning"),
        ((), "undefined symbol: _ZN3c10", "warning"),
    ],
)
def test_mamba_is_missed_where_there_is_a_gpu(gpus: tuple[str, ...], mamba: str, status: str) -> None:
    finding = doctor.mamba(TorchProbe("2.13.0", "0.28.0", "13.0", gpus, mamba))

    assert finding.status == status
    assert bool(finding.mend) == (status != "ok")


def test_shared_memory_too_small_is_a_warning(tmp_path: Path) -> None:
    assert doctor.shared_memory(tmp_path, needed=0).status == "ok"
    assert doctor.shared_memory(tmp_path / "none", needed=1).status == "ok"

    finding = doctor.shared_memory(tmp_path, needed=2**62)

    assert finding.status == "warning"
    assert "--shm-size" in finding.mend


def test_shared_memory_asked_for_holds_the_objects_of_ray() -> None:
    assert doctor.SHARED_MEMORY_BYTES > cluster.OBJECT_STORE_BYTES


def test_token_is_found_in_variable_or_file(tmp_path: Path) -> None:
    file = tmp_path / ".ray" / "auth_token"
    file.parent.mkdir()
    file.write_text("t")
    file.chmod(0o600)

    assert doctor.token({"RAY_AUTH_TOKEN": "t"}, tmp_path / "nobody").status == "ok"
    assert doctor.token({}, tmp_path).status == "ok"
    assert doctor.token({"RAY_AUTH_TOKEN_PATH": str(file)}, tmp_path / "nobody").status == "ok"


def _nothing(file: Path) -> dict[str, str]:
    return {}


def _empty(file: Path) -> dict[str, str]:
    file.touch(0o600)
    return {}


def _readable_by_all(file: Path) -> dict[str, str]:
    file.write_text("t")
    file.chmod(0o644)
    return {}


def _disabled(file: Path) -> dict[str, str]:
    file.write_text("t")
    file.chmod(0o600)
    return {"RAY_AUTH_MODE": "disabled"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o777])
def test_token_file_that_is_open_to_others_is_mended_by_the_command_that_is_said(mode: int, tmp_path: Path) -> None:
    file = tmp_path / "it is here" / "auth_token"
    file.parent.mkdir()
    file.write_text("t")
    file.chmod(mode)

    finding = doctor.token({"RAY_AUTH_TOKEN_PATH": str(file)}, tmp_path)
    subprocess.run(finding.mend, shell=True, check=True)

    assert finding.status == "warning"
    assert file.stat().st_mode & 0o777 == 0o600
    assert doctor.token({"RAY_AUTH_TOKEN_PATH": str(file)}, tmp_path).status == "ok"


@pytest.mark.parametrize("situation", [_nothing, _empty, _readable_by_all, _disabled])
def test_token_missing_open_or_unused_is_a_warning(situation: Callable[[Path], dict[str, str]], tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    environment = situation(tmp_path / ".ray" / "auth_token")

    finding = doctor.token(environment, tmp_path)

    assert finding.status == "warning"
    assert finding.mend


def test_store_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("1")

    assert doctor.store(str(tmp_path)).status == "ok"

    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_store_in_a_bucket_is_written_and_read(s3_bucket: str) -> None:
    assert doctor.store(f"s3://{s3_bucket}/store").status == "ok"

    finding = doctor.store(f"s3://{s3_bucket}-missing/store")

    assert finding.status == "failed"
    assert "credentials" in finding.mend


def test_store_that_is_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    finding = doctor.store(str(tmp_path / "file" / "store"))

    assert finding.status == "failed"
    assert finding.found.startswith("this process: ")


def test_mlflow_of_a_new_store_is_made_later_and_not_by_the_doctor(tmp_path: Path) -> None:
    assert doctor.mlflow(str(tmp_path / "store")).status == "ok"

    assert list(tmp_path.iterdir()) == []


def test_mlflow_of_a_bucket_without_a_server_is_a_warning() -> None:
    finding = doctor.mlflow("s3://bucket/store")

    assert finding.status == "warning"
    assert "MLFLOW_TRACKING_URI" in finding.mend


def test_mlflow_server_that_does_not_answer_fails_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hunter2@127.0.0.1:9")

    finding = doctor.mlflow("ovlab-store")

    assert finding.status == "failed"
    assert "waits in the store" in finding.mend
    assert "hunter2" not in str(finding)


def test_mlflow_database_of_another_version_fails_with_the_upgrade(tmp_path: Path) -> None:
    import sqlite3

    from ovlab.tracking.mlflow_client import prepare_schema

    database = tmp_path / "tracking" / "mlflow.db"
    prepare_schema(f"sqlite:///{database}")
    assert doctor.mlflow(str(tmp_path)).status == "ok"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    connection.close()
    # A process that has seen the database as it was believes it unchanged.
    program = (
        "import json, dataclasses; from ovlab.checks.installation import mlflow; "
        f"print(json.dumps(dataclasses.asdict(mlflow({str(tmp_path)!r}))))"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    finding = Finding(**json.loads(said.splitlines()[-1]))
    assert finding.status == "failed"
    assert "mlflow db upgrade" in finding.mend


def test_data_is_not_needed_where_none_is_named() -> None:
    assert [finding.status for finding in doctor.data({}, {})] == ["ok"]


def test_data_that_is_named_and_missing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (named,) = doctor.data({"a-150": str(tmp_path)}, {})
    monkeypatch.setenv("OVLAB_DATA", str(tmp_path))
    below = doctor.data({}, {"OVLAB_DATA": str(tmp_path)})

    assert named.status == "failed"
    assert "ovlab data prepare a-150" in named.mend
    assert {finding.status for finding in below} == {"warning"}
    assert len(below) > 5


def test_line_holds_the_cure_below() -> None:
    assert line(Finding("gpu", "ok", "L40S")) == "ok       gpu: L40S"
    assert line(Finding("gpu", "failed", "none", "Buy one.")).splitlines()[1].strip() == "Buy one."
