"""ovlab.files.concurrent_file: one of many writers wins, and nobody ever sees a half file."""

import subprocess
import sys
from pathlib import Path

import pytest

from ovlab.files.concurrent_file import writing

_RACE = """
import sys, time
from pathlib import Path
from ovlab.files.concurrent_file import create
folder, who = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
print(*(number for number in range(200) if create(folder / f"{number}", who.encode() * 5000)))
"""


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


def test_writing_that_raises_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def write_half() -> None:
        with writing(tmp_path / "a") as partial:
            partial.write_text("half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_half()

    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"
