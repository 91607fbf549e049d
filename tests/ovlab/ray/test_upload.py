"""ovlab.ray.upload: what is sent to a cluster, where to, and what is refused before anything is sent."""

import argparse
import re
import shlex
import socket
import sys
from pathlib import Path

import pytest

from ovlab.cli import main
from ovlab.ray import upload
from ovlab.ray.upload import (
    DEFAULT_ADDRESS,
    Package,
    authentication,
    cluster_address,
    entrypoint,
    files_of,
    job_command,
    job_environment,
    source_package,
)
from ovlab.specs.errors import InputError
from ovlab.tracking.provenance import ENVIRONMENT, git, source_of, stamp


@pytest.fixture(autouse=True)
def _no_cluster_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "OVLAB_STORE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def parsers() -> dict[str, argparse.ArgumentParser]:
    run, predict = argparse.ArgumentParser(), argparse.ArgumentParser()
    run.add_argument("table")
    run.add_argument("--store", default="ovlab-store")
    predict.add_argument("image")
    return {"run": run, "predict": predict}


def test_package_holds_sources_and_tables_and_nothing_compiled() -> None:
    package = source_package()

    assert {"platform/ovlab/cli.py", "model/logoseg/network.py", "experiments/table4.py"} <= package.files.keys()
    assert [name for name in package.files if "__pycache__" in name] == []
    assert {name.split("/")[0] for name in package.files} == {"platform", "model", "experiments"}
    package.require_small()


def test_package_without_git_is_that_of_a_checkout(tmp_path: Path) -> None:
    """So the digest of the sources on a node is that of the submitter."""
    package = source_package()

    package.copy_to(tmp_path)
    folders = ("platform/ovlab", "model/logoseg", "model/rivals", "experiments")
    sent = {name for folder in folders for name in files_of(tmp_path / folder, folder)}

    assert sent == package.files.keys()


@pytest.fixture(params=["git", "no git"])
def sources(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A source among files that are nobody's business, and links."""
    folder = tmp_path / "sources"
    (folder / "__pycache__").mkdir(parents=True)
    outside = tmp_path / "outside.py"
    for path in (folder / "code.py", folder / ".env", folder / "a.pem", folder / "__pycache__" / "code.pyc", outside):
        path.write_text("marker")
    (folder / "inner.py").symlink_to("code.py")
    (folder / "outer.py").symlink_to(outside)
    (folder / "deeper").symlink_to(tmp_path)
    if request.param == "git":
        (folder / "gone.py").write_text("")
        git(folder, "init", "-q")
        git(folder, "add", "code.py", "inner.py", "outer.py", "deeper", "gone.py")
        (folder / "gone.py").unlink()
        (folder / "new.py").write_text("git does not know it yet")
    return folder


def test_files_sent_are_those_of_git_or_sources_and_none_behind_a_link_that_leads_out(sources: Path) -> None:
    assert files_of(sources, "model/x") == {
        "model/x/code.py": sources / "code.py",
        "model/x/inner.py": sources / "inner.py",
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".env", "marker"),
        (".env.local", "marker"),
        ("server.pem", "marker"),
        ("id_ed25519", "marker"),
        ("table.py", "-----BEGIN RSA " + "PRIVATE KEY-----\nmarker"),
        ("settings.json", '{"key": "AKIA' + 'MARKERMARKERMARK"}'),
    ],
)
def test_package_with_what_looks_like_a_secret_is_refused(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)

    with pytest.raises(InputError, match=f"experiments/{re.escape(name)}: looks like a secret"):
        Package({f"experiments/{name}": tmp_path / name}).require_no_secret()


def test_package_of_the_sources_holds_no_secret() -> None:
    source_package().require_no_secret()


def test_package_listing_says_what_and_how_much(tmp_path: Path) -> None:
    for name, size in (("a.py", 10), ("b.py", 4000)):
        (tmp_path / name).write_bytes(bytes(size))

    listing = Package({f"model/{name}": tmp_path / name for name in ("a.py", "b.py")}).listing()

    assert [line.split() for line in listing.splitlines()] == [
        ["10", "model/a.py"],
        ["4,000", "model/b.py"],
        ["4,010", "bytes", "in", "2", "files"],
    ]


def test_submit_dry_run_prints_what_would_be_sent_and_asks_no_cluster(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "cluster_address", lambda _: pytest.fail("a cluster was asked"))

    code = main(["submit", "--dry-run", "--env", "TOKEN=marker", "--", "run", "table4", "--store", "s3://b/s"])

    out = capsys.readouterr().out
    assert code == 0
    assert "  platform/ovlab/cli.py\n" in out
    assert f"bytes in {len(source_package().files)} files" in out
    assert "and the command: ovlab run table4 --store s3://b/s" in out
    assert "marker" not in out


def test_job_environment_holds_a_given_value_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["ovlab", "submit", "--env", "TOKEN=marker", "--", "run", "table4"])

    variables = job_environment(stamp(source_of(tmp_path)), ["TOKEN=marker"])

    assert [name for name, value in variables.items() if "marker" in value] == ["TOKEN"]


@pytest.mark.parametrize("address", ["http://me:marker@127.0.0.1:1", "ftp://me:marker@host"])
def test_cluster_address_that_is_refused_is_shown_without_its_password(address: str) -> None:
    with pytest.raises(InputError) as error:
        cluster_address(address)

    assert "no Ray at " in str(error.value)
    assert "marker" not in str(error.value)


def test_package_copied_is_the_same(tmp_path: Path) -> None:
    package = source_package()

    package.copy_to(tmp_path)

    copied = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*") if path.is_file()}
    assert copied.keys() == package.files.keys()
    assert Package(copied).digest == package.digest


def test_package_digest_changes_with_a_byte_and_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")

    first = Package({"model/a": tmp_path / "a"}).digest

    assert Package({"model/a": tmp_path / "b"}).digest != first
    assert Package({"model/b": tmp_path / "a"}).digest != first
    assert Package({"model/a": tmp_path / "a", "experiments/t": tmp_path / "b"}).digest == first


def test_package_too_large_names_the_largest_files(tmp_path: Path) -> None:
    sizes = {"small": 10, "large": 3 * 2**20, "larger": 5 * 2**20, "middle": 2**20}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(bytes(size))
    package = Package({f"model/{name}": tmp_path / name for name in sizes})

    package.require_small(package.num_bytes)
    with pytest.raises(InputError, match=r"9\.0 MiB, allowed are 8\.0 MiB.*larger \(5\.0 MiB\), model/large") as error:
        package.require_small(8 * 2**20)

    assert "small" not in str(error.value)


def test_job_command_gets_the_store_of_the_environment(
    parsers: dict[str, argparse.ArgumentParser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVLAB_STORE", "s3://bucket/store")

    assert job_command(["run", "table4"], parsers) == ("run", "table4", "--store", "s3://bucket/store")
    assert job_command(["run", "table4", "--store", "/nfs"], parsers) == ("run", "table4", "--store", "/nfs")
    assert job_command(["predict", "a.jpg"], parsers) == ("predict", "a.jpg")


@pytest.mark.parametrize("options", [[], ["--store", "results"], ["--store=./ovlab-store"]])
def test_job_command_with_a_store_that_dies_with_the_job_is_refused(
    options: list[str], parsers: dict[str, argparse.ArgumentParser]
) -> None:
    with pytest.raises(InputError, match="deleted afterwards"):
        job_command(["run", "table4", *options], parsers)


def test_job_command_that_does_not_parse_ends_here(
    parsers: dict[str, argparse.ArgumentParser], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        job_command(["run", "table4", "--sote", "s3://b/s"], parsers)
    with pytest.raises(InputError, match="There are run, predict"):
        job_command(["runn"], parsers)

    assert end.value.code == 2
    assert "--sote" in capsys.readouterr().err


def test_entrypoint_keeps_words_with_spaces() -> None:
    assert shlex.split(entrypoint(("predict", "--classes", "road, car"))) == [
        *("python", "-m", "ovlab", "predict", "--classes", "road, car")
    ]


def test_job_environment_holds_stamp_sources_and_what_is_given() -> None:
    variables = job_environment("{}", ["A=1=2"])

    assert variables == {"A": "1=2", "PYTHONPATH": "platform:model", ENVIRONMENT: "{}"}
    with pytest.raises(InputError, match="write NAME=VALUE"):
        job_environment("{}", ["A"])


def test_cluster_address_is_the_given_one_else_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", here)
        assert cluster_address(None) == here
        monkeypatch.setenv("RAY_API_SERVER_ADDRESS", f"http://{here}")
        assert cluster_address(None) == f"http://{here}"
        assert cluster_address(f"http://{here}/") == f"http://{here}/"


def test_cluster_address_where_nothing_listens_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"http://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", closed)

    with pytest.raises(InputError, match=f"no Ray at {closed}: Connection refused") as error:
        cluster_address(None)

    assert DEFAULT_ADDRESS in str(error.value)


@pytest.mark.parametrize("address", ["head", "http://:8265", "http://head:port", "ftp://head"])
def test_cluster_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="neither HOST:PORT nor"):
        cluster_address(address)


def test_authentication_is_asked_for_where_there_is_a_token(tmp_path: Path) -> None:
    nobody, somebody = tmp_path / "nobody", tmp_path / "somebody"
    (somebody / ".ray").mkdir(parents=True)
    (somebody / ".ray" / "auth_token").write_text("t")

    assert authentication({}, nobody) == {}
    assert authentication({}, somebody) == {"RAY_AUTH_MODE": "token"}
    assert authentication({"RAY_AUTH_TOKEN": "t"}, nobody) == {"RAY_AUTH_MODE": "token"}
    assert authentication({"RAY_AUTH_MODE": "disabled"}, somebody) == {}
