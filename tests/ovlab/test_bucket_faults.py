"""Commands with a fault at each of their calls of a bucket in turn: each ends right, or with one line and continues."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, product
from pathlib import Path

import pytest

import small_study
from fault_proxy import FAULTS, Fault, FaultProxy
from forking_commands import Commands, Outcome, forking_commands
from small_study import prepared, recorded, write_study, written

Command = Callable[[str], list[str]]
RIGHT, ONE_LINE = "right", "one line"


class World:
    """A folder to work in, and a bucket behind a proxy that each command uses in a place of its own."""

    def __init__(self, folder: Path, bucket: str, proxy: FaultProxy, commands: Commands) -> None:
        self.folder, self.bucket, self.proxy, self._commands = folder, bucket, proxy, commands
        self._numbers = count()

    def place(self) -> str:
        return f"s3://{self.bucket}/{next(self._numbers)}"

    def __call__(self, arguments: list[str], fault: Callable[[int], Fault | None] = {}.get) -> tuple[Outcome, int]:
        """How the command ended, and how often it called."""
        begin = len(self.proxy.calls)
        self.proxy.fault = lambda number: fault(number - begin)
        environment = {"AWS_ENDPOINT_URL": self.proxy.uri, "OVLAB_CACHE": str(self.folder / "cache")}
        environment |= {"OVLAB_STORE_PATIENCE": "0.5", "OVLAB_JOURNAL_INTERVAL": "1"}
        outcome = self._commands(*arguments, folder=self.folder, **environment)
        self.proxy.fault = {}.get
        return outcome, len(self.proxy.calls) - begin


@pytest.fixture
def world(s3_bucket: str, s3_server: str, tmp_path: Path) -> Iterator[World]:
    write_study(tmp_path)
    proxy = FaultProxy(s3_server)
    proxy.delay = 0.2
    with forking_commands() as commands:
        yield World(tmp_path, s3_bucket, proxy, commands)
    proxy.close()


def prepare(place: str) -> list[str]:
    return small_study.prepare(place)


def train(place: str) -> list[str]:
    return small_study.train(beside(place, "data"), "--store", place, "--out", number_of(place))


def evaluate(place: str) -> list[str]:
    return small_study.evaluate("first", beside(place, "data"), "--store", place)


def run(place: str) -> list[str]:
    return small_study.run(place, number_of(place))


def report(place: str) -> list[str]:
    return small_study.report(beside(place, "results"), number_of(place))


def beside(place: str, name: str) -> str:
    return f"{place.rpartition('/')[0]}/{name}"


def number_of(place: str) -> str:
    return place.rpartition("/")[2]


def before(command: Command, place: str) -> list[list[str]]:
    """What the command works on, made without a fault."""
    data = beside(place, "data")
    return {
        train: [prepare(data)],
        evaluate: [prepare(data), small_study.train(data, "--out", "first")],
        report: [run(beside(place, "results"))],
    }.get(command, [])


def sweep(world: World, command: Command, fault: Fault, calls: slice) -> Counter[str]:
    """How often the command ended how, with the fault at each of `calls`, at it alone and from there on."""
    undisturbed = world.place()
    for arguments in before(command, undisturbed):
        assert world(arguments)[0].code == 0
    outcome, num_calls = world(command(undisturbed))
    assert outcome.code == 0, outcome.stderr
    expected = result(world, command, undisturbed)
    endings: Counter[str] = Counter()
    for first, is_once in product(range(num_calls)[calls], (True, False)):
        faulty = range(first, first + 1 if is_once else 100 * num_calls)
        ending = trial(world, command, dict.fromkeys(faulty, fault).get, expected)
        if ending not in (RIGHT, ONE_LINE):
            ending = f"{fault} at {first}, once: {is_once}: {ending}"
        endings[ending] += 1
    return endings


def trial(world: World, command: Command, fault: Callable[[int], Fault | None], expected: dict[str, object]) -> str:
    """RIGHT, ONE_LINE where the same command then ends right, or what is wrong."""
    place = world.place()
    outcome, _ = world(command(place), fault)
    said = f"ended with {outcome.code}: {outcome.stderr}"
    if not outcome.is_told:
        return said
    if outcome.code != 0 and (again := world(command(place))[0]).code != 0:
        return f"{said}, then with {again.code}: {again.stderr}"
    if result(world, command, place) != expected:
        return f"{said}; what is there is not what is there without the fault"
    return RIGHT if outcome.code == 0 else ONE_LINE


def result(world: World, command: Command, place: str) -> dict[str, object]:
    if command is report:
        return written(world.folder / number_of(place))
    return prepared(place) if command is prepare else recorded(place)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("command", "stride"), [(prepare, 1), (train, 6), (evaluate, 6), (run, 8), (report, 4)])
@pytest.mark.long
def test_command_with_a_fault_of_the_bucket_ends_right_or_with_one_line(
    world: World, command: Command, stride: int, fault: Fault
) -> None:
    # Together, the faults meet every call.
    endings = sweep(world, command, fault, slice(FAULTS.index(fault) % stride, None, stride))

    print(f"{command.__name__}, {fault}: {endings.total()} trials, {dict(endings)}")
    assert endings.keys() <= {RIGHT, ONE_LINE}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("command", "fault", "call"), [(prepare, "html", 5), (train, "cut", 25)])
def test_command_with_a_fault_at_a_middle_call_ends_right_or_with_one_line(
    world: World, command: Command, fault: Fault, call: int
) -> None:
    assert sweep(world, command, fault, slice(call, call + 1)) == {RIGHT: 1, ONE_LINE: 1}
