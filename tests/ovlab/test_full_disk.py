"""Commands on a disk that is full at each of their writes in turn: each says where in one line, and goes on later; and
on one that is read-only."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import small_study
from forking_commands import Commands, Outcome, forking_commands
from small_study import prepared, recorded, write_study, written

PAGE = 4096
PLENTY = 400 << 20
PREPARE = small_study.prepare("disk/data")
TRAIN = small_study.train("data", "--store", "disk/store", "--out", "disk/work")
EVALUATE = small_study.evaluate("first", "data", "--store", "disk/store")
RUN = small_study.run("disk/store", "disk/work")
REPORT = small_study.report("results", "disk/report")
COMMANDS = pytest.mark.parametrize(
    "command", [PREPARE, TRAIN, EVALUATE, RUN, REPORT], ids=["prepare", "train", "evaluate", "run", "report"]
)


class World:
    """A folder to work in; its folder `disk` is a file system in memory of the size that each command is given."""

    def __init__(self, folder: Path, commands: Commands) -> None:
        self.folder, self.disk, self._commands = folder, folder / "disk", commands

    def __call__(self, command: list[str]) -> Outcome:
        return self._commands(*command, folder=self.folder, OVLAB_CACHE=str(self.folder / "cache"))

    def result(self, command: list[str]) -> dict[str, object]:
        if command is REPORT:
            return written(self.disk / "report")
        return prepared(str(self.disk / "data")) if command is PREPARE else recorded(str(self.disk / "store"))

    def mount(self, size: int) -> str:
        """Gives the disk anew; why not, where mounting is not allowed."""
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.disk)]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()
        except FileNotFoundError:
            return "there is no mount command"

    def enlarge(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.disk)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.disk)], check=True)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with forking_commands() as commands:
        world = World(tmp_path, commands)
        world.disk.mkdir()
        if reason := world.mount(PLENTY):
            pytest.skip(f"no file system can be mounted here: {reason}")
        write_study(tmp_path)
        for arguments in (
            small_study.prepare("data"),
            small_study.train("data", "--out", "first"),
            small_study.run("results", "runs"),
        ):
            assert world(arguments).code == 0
        yield world
        if world.disk.is_mount():
            world.unmount()


def test_store_on_a_disk_that_is_read_only_is_read_and_what_would_write_says_so(world: World) -> None:
    shutil.copytree(world.folder / "results", world.disk / "results")
    store = "disk/results"
    reading = [
        small_study.report(store, "report"),
        ["plan", "./mine.py", *small_study.LIMITS, "--clip", "shapes-vit-s=none", "--store", store],
        ["runs", "list", "--store", store],
        small_study.run(store, "runs"),
    ]
    before = [world(command) for command in reading]
    pages = written(world.folder / "report")
    subprocess.run(["mount", "-o", "remount,ro", str(world.disk)], check=True)

    assert [outcome.code for outcome in before] == [0, 0, 0, 0]
    assert [world(command) for command in reading] == before
    assert written(world.folder / "report") == pages
    for command in (PREPARE, TRAIN, EVALUATE, RUN, REPORT):
        outcome = world(command)
        assert outcome.code in (1, 2)
        assert outcome.is_told, outcome.stderr
        assert "Read-only file system" in outcome.stderr.splitlines()[-1]


def size_used(world: World, command: list[str]) -> int:
    """Bytes that a command leaves on a disk with plenty of room."""
    outcome = world(command)
    assert outcome.code == 0, outcome.stderr
    du = subprocess.run(["du", "-s", "-B1", str(world.disk)], capture_output=True, text=True, check=True)
    return int(du.stdout.split()[0])


def trial(world: World, command: list[str], size: int, expected: dict[str, object]) -> str:
    """What a command says on a disk of this size: "" for done. Checked: one line, nothing half-written, goes on."""
    world.unmount()
    assert world.mount(size) == ""
    outcome = world(command)
    what = f"{size} bytes; ended with {outcome.code}: {outcome.stderr}"
    assert outcome.is_told, what
    assert not [path for path in world.disk.rglob("*") if path.name.endswith(".partial")], what
    said = ""
    if outcome.code != 0:
        said = outcome.stderr.splitlines()[-1]
        assert "No space left on device" in said, what
        world.enlarge(PLENTY)
        outcome = world(command)
        assert outcome.code == 0, f"{what}, then with {outcome.stderr}"
    assert world.result(command) == expected, what
    return re.sub(r"[0-9a-f]{12,}", "", said)


def pages_between(low: int, high: int, said: Callable[[int], str]) -> dict[int, str]:
    """What is said on disks of so many pages, so many between that neighbours of unlike words are one page apart."""
    heard: dict[int, str] = {}

    def split(low: int, high: int) -> None:
        for pages in (low, high):
            if pages not in heard:
                heard[pages] = said(pages)
        if high - low > 1 and heard[low] != heard[high]:
            middle = (low + high) // 2
            split(low, middle)
            split(middle, high)

    split(low, high)
    return heard


@pytest.mark.timeout(3600)
@pytest.mark.long
@COMMANDS
def test_command_on_a_disk_full_at_each_write_in_turn_says_so_and_goes_on(world: World, command: list[str]) -> None:
    used = size_used(world, command)
    expected = world.result(command)

    heard = pages_between(1, 2 * used // PAGE + 8, lambda pages: trial(world, command, pages * PAGE, expected))

    assert "" in heard.values()
    places = {said for said in heard.values() if said}
    assert places
    print(f"{used} bytes: {len(heard)} trials, {len(places)} places", *sorted(places), sep="\n  ")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("command", [PREPARE, EVALUATE, REPORT], ids=["prepare", "evaluate", "report"])
def test_command_on_a_disk_full_at_half_of_its_writes_says_so_and_goes_on(world: World, command: list[str]) -> None:
    used = size_used(world, command)
    expected = world.result(command)

    assert "No space left on device" in trial(world, command, max(used // 2, PAGE), expected)
