"""ovlab.files.whole_file: nobody ever sees a half file, one of many creators wins, a killed one leaves nothing."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ovlab.files.whole_file import remove_partials, write_text, write_unsynced, writing

_RACE = """
import sys, time
from pathlib import Path
from ovlab.files.whole_file import create
folder, who = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
print(*(number for number in range(200) if create(folder / f"{number}", who.encode() * 5000)))
"""
_KILLED = """
import os, signal, sys
from pathlib import Path
from ovlab.files.whole_file import writing
with writing(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_writing_shows_the_file_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_text(path, "old")

    with writing(path) as partial, writing(path) as other:
        partial.write_text("new")
        other.write_text("newer")
        assert path.read_text() == "old"

    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_writing_syncs_the_data_before_the_name_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink()))

    write_text(tmp_path / "a.txt", "whole")

    assert [path.name.partition(".")[0] for path in synced] == ["a", tmp_path.name]


def write_bytes(path: Path) -> None:
    path.write_bytes(b"1" * 100_000)


def save_tensors(path: Path) -> None:
    with path.open("wb") as file:
        torch.save({"weights": torch.zeros(1000, 1000)}, file)


@pytest.mark.parametrize("write", [write_bytes, save_tensors])
def test_writing_to_a_full_disk_names_the_file_and_leaves_nothing(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    def write_full() -> None:
        with writing(tmp_path / "a") as partial:
            partial.symlink_to("/dev/full")
            write(partial)

    with pytest.raises(OSError, match="No space left") as error:
        write_full()

    assert error.value.filename == str(tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_writing_that_raises_keeps_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write_half() -> None:
        with writing(path) as partial:
            partial.write_text("ne")
            raise error

    with pytest.raises(error):
        write_half()

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [write_text, lambda path, text: write_unsynced(path, text.encode())])
def test_write_puts_the_text_over_the_old_one(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    for text in ("Größe", "Grüße"):
        write(tmp_path / "sub" / "a.txt", text)

    assert (tmp_path / "sub" / "a.txt").read_text(encoding="utf-8") == "Grüße"
    assert [path.name for path in tmp_path.rglob("*")] == ["sub", "a.txt"]


def test_remove_partials_takes_away_only_what_a_killed_writer_left(tmp_path: Path) -> None:
    kept = {"kept.txt", "film.mkv.partial"}
    for name in kept:
        (tmp_path / "sub").mkdir(exist_ok=True)
        write_text(tmp_path / "sub" / name, "Grüße")
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "sub" / "lost.txt")], check=False)
    assert len(list((tmp_path / "sub").iterdir())) == 3

    remove_partials(tmp_path)

    assert {path.name for path in (tmp_path / "sub").iterdir()} == kept


def test_create_four_racing_processes_each_file_has_one_winner_and_is_whole(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACE, str(tmp_path), who], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for who in "abcd"
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    won = {who: racer.communicate()[0].split() for who, racer in zip("abcd", racers, strict=True)}

    assert sorted(int(number) for numbers in won.values() for number in numbers) == list(range(200))
    for who, numbers in won.items():
        assert all((tmp_path / number).read_text() == who * 5000 for number in numbers)
    assert not list(tmp_path.glob("*.partial"))
