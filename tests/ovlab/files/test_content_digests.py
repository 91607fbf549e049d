"""ovlab.files.content_digests: the sha256 of what the files hold now, whatever is remembered of them."""

import hashlib
import os
from pathlib import Path

import pytest

from ovlab.files import content_digests as digests
from ovlab.files.content_digests import content_digests

LONG_AGO = (1e9, 1e9)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("OVLAB_CACHE", str(folder))
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read."""
    names: list[str] = []
    digest = digests._digest

    def noted(path: Path) -> str:
        names.append(path.name)
        return digest(path)

    monkeypatch.setattr(digests, "_digest", noted)
    return names


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Files of long ago."""
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file in files:
        file.write_text(file.name * 9)
        os.utime(file, LONG_AGO)
    return files


def expected(paths: list[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_digests_are_those_of_the_bytes_and_files_are_read_once(paths: list[Path], read: list[str]) -> None:
    assert content_digests(paths) == expected(paths)
    assert content_digests(paths) == expected(paths)
    assert sorted(read) == ["a", "b", "c"]


def test_file_written_over_at_the_same_size_and_time_is_read_again(paths: list[Path], read: list[str]) -> None:
    content_digests(paths)
    read.clear()
    with paths[1].open("r+b") as file:
        file.write(b"x")
    os.utime(paths[1], LONG_AGO)

    assert content_digests(paths) == expected(paths)
    assert read == ["b"]


def test_file_written_just_now_is_not_remembered(paths: list[Path], read: list[str]) -> None:
    paths[0].write_text("new")
    content_digests(paths)
    read.clear()

    assert content_digests(paths) == expected(paths)
    assert read == ["a"]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1]"])
def test_memory_that_is_damaged_or_gone_costs_time_alone(
    paths: list[Path], read: list[str], cache: Path, content: bytes
) -> None:
    content_digests(paths)
    (memory,) = (cache / "digests").iterdir()
    memory.write_bytes(content)
    read.clear()

    assert content_digests(paths) == expected(paths)
    assert sorted(read) == ["a", "b", "c"]
    memory.unlink()
    assert content_digests(paths) == expected(paths)


def test_digest_that_was_written_in_place_of_another_is_not_believed(paths: list[Path], cache: Path) -> None:
    content_digests(paths)
    (memory,) = (cache / "digests").iterdir()
    first, second = expected(paths)[:2]
    memory.write_text(memory.read_text().replace(first, second))

    assert content_digests(paths) == expected(paths)


def test_cache_folder_that_cannot_be_made_costs_time_alone(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "a"))

    assert content_digests(paths) == expected(paths)
