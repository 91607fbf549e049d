"""What a result was made with, with git and without."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from ovlab.specs.errors import InputError
from ovlab.tracking.provenance import ENVIRONMENT, UNKNOWN, Source, provenance, read_stamp, source_of, stamp
from ovlab.tracking.tags import run_tags

COMMIT = Source(commit="c" * 40, dirty=True, diff_digest="d" * 64, lock_digest="e" * 64, command="ovlab run table4")


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
    call = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "platform").mkdir(parents=True)
    git(root, "init", "-q")
    (root / "platform" / "code.py").write_text("x = 1\n")
    (root / "constraints.txt").write_text("numpy==2.4.6\n")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


@pytest.mark.parametrize("program", ["/somewhere/bin/ovlab", "/somewhere/ovlab/__main__.py"])
def test_clean_checkout_is_its_commit(program: str, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [program, "run", "table 4"])

    source = source_of(checkout)

    assert source.commit == git(checkout, "rev-parse", "HEAD")
    assert source.dirty is False
    assert source.diff_digest == ""
    assert source.lock_digest == hashlib.sha256(b"numpy==2.4.6\n").hexdigest()
    assert source.command == "ovlab run 'table 4'"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["submit", "--env", "A=marker", "--", "run", "t"], "ovlab submit --env A=... -- run t"),
        (["submit", "--env=A=mar=ker", "--en", "B=marker"], "ovlab submit --env=A=... --en B=..."),
        (["submit", "--address", "http://me:marker@head:8265"], "ovlab submit --address http://head:8265"),
        (["run", "--set", "a=1", "--data", "x=s3://me:mar@ker@b/p"], "ovlab run --set a=1 --data x=s3://b/p"),
    ],
)
def test_command_is_kept_without_what_may_be_secret(
    arguments: list[str], expected: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["ovlab", *arguments])

    assert source_of(checkout).command == expected


def test_changes_staged_changes_and_new_files_each_make_another_digest(checkout: Path) -> None:
    digests = set()
    code, new = checkout / "platform" / "code.py", checkout / "platform" / "new.py"
    for change in (
        lambda: code.write_text("x = 2\n"),
        lambda: code.write_text("x = 3\n"),
        lambda: new.write_text("y = 1\n"),
        lambda: new.write_text("y = 2\n"),
    ):
        change()
        source = source_of(checkout)
        assert source.dirty is True
        digests.add(source.diff_digest)
    git(checkout, "add", "platform/code.py")

    assert source_of(checkout).diff_digest in digests  # staged or not: the same code
    assert len(digests) == 4


def test_new_file_outside_the_sources_is_no_change(checkout: Path) -> None:
    (checkout / "notes.txt").write_text("mine")

    assert source_of(checkout).dirty is False


def test_folder_without_git_and_folder_within_somebody_elses_repository_are_unknown(
    checkout: Path, tmp_path: Path
) -> None:
    for root in (tmp_path, checkout / "platform"):
        source = source_of(root)
        assert (source.commit, source.dirty, source.diff_digest) == (UNKNOWN, None, UNKNOWN)


def test_machine_without_git_is_unknown(checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert source_of(checkout).commit == UNKNOWN


def test_stamp_of_the_submitter_stands_for_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, stamp(COMMIT))

    found = provenance()

    assert found.source == COMMIT
    assert found.packages.keys() >= {"numpy", "torch"}
    assert found.devices
    assert all(found.devices)


@pytest.mark.parametrize("text", ["", "commit", "[1]", '{"comit": "c"}', "3"])
def test_stamp_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=ENVIRONMENT):
        read_stamp(text)


def test_run_tags_carry_what_the_run_was_made_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, stamp(COMMIT))

    tags = run_tags(
        kind="training",
        fingerprint="f" * 64,
        provenance=provenance(),
        data_digests={"a-150": "digest"},
        protocols={"a-150": "p" * 64},
    )

    assert tags["ovlab.commit"] == "c" * 40
    assert tags["ovlab.dirty"] == "true"
    assert tags["ovlab.data.a-150"] == "digest"
    assert tags["ovlab.protocol.a-150"] == "p" * 64
    assert tags["ovlab.fingerprint"] == "f" * 64
    assert all(isinstance(value, str) for value in tags.values())
