"""Commands with a fault at each of their calls of a bucket in turn: each ends right, or with one line and continues."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fault_proxy import FAULTS, Fault, FaultProxy
from forking_commands import Commands, Outcome, forking_commands
from ovlab.files.storage import Folder
from ovlab.store.store import open_store

Command = Callable[[str], list[str]]
CPU = ["--device", "cpu"]
WORKERS = ["--loader-workers", "0"]
SMALL = [
    *("--preset", "tiny", "--set", "model.clip.image_size=64", "--set", "augmentation.crop_size=64"),
    *("--set", "model.guidance_dim=16", "--set", "model.state_dim=4", "--set", "model.region_grid=2"),
    *("--steps", "2", "--batch-size", "1", "--checkpoint-every", "1", *CPU, *WORKERS),
]
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
LIMITS = ["--limit-steps", "1", "--limit-images", "1"]


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
    random = np.random.default_rng(0)
    for split, number in (("training", 3), ("validation", 2)):
        for part in ("images", "annotations"):
            (tmp_path / "download" / part / split).mkdir(parents=True)
        for index in range(number):
            blocks = random.integers(0, 5, (4, 5), np.uint8).repeat(20, 0).repeat(20, 1)
            pixels = np.stack([blocks * 50] * 3, -1)
            Image.fromarray(pixels).save(tmp_path / "download" / "images" / split / f"{index}.jpg")
            Image.fromarray(blocks).save(tmp_path / "download" / "annotations" / split / f"{index}.png")
    (tmp_path / "mine.py").write_text(TABLE)
    proxy = FaultProxy(s3_server)
    proxy.delay = 0.2
    with forking_commands() as commands:
        yield World(tmp_path, s3_bucket, proxy, commands)
    proxy.close()


def made(place: str) -> dict[str, object]:
    """What the records in a store say, and which weights lie there."""
    store = open_store(place)
    trainings = {record.fingerprint: record.weights for record in store.trainings()}
    for fingerprint, weights in trainings.items():
        assert store.folder.sizes(f"trainings/{fingerprint}")[weights.name] == weights.num_bytes
    return trainings | {record.fingerprint: record.figures for record in store.evaluations()}


def prepared(place: str) -> dict[str, object]:
    folder = Folder(place)
    return {"manifest": folder.read("manifest.json"), "shards": folder.sizes("shards")}


def prepare(place: str) -> list[str]:
    return ["data", "prepare", "a-150", "--source", "download", "--split", "train", "--workers", "1", "--out", place]


def train(place: str) -> list[str]:
    return ["train", "--data", beside(place, "data"), *SMALL, "--store", place, "--out", number_of(place)]


def evaluate(place: str) -> list[str]:
    return ["evaluate", "first", "--data", beside(place, "data"), "--split", "train", *CPU, "--store", place]


def run(place: str) -> list[str]:
    work = ["--clip", "shapes-vit-s=none", "--runs-at-once", "1", "--no-tracking", *CPU, *WORKERS]
    return ["run", "./mine.py", *LIMITS, *work, "--store", place, "--workdir", number_of(place)]


def report(place: str) -> list[str]:
    return ["report", "./mine.py", *LIMITS, "--store", beside(place, "results"), "--out", number_of(place)]


def beside(place: str, name: str) -> str:
    return f"{place.rpartition('/')[0]}/{name}"


def number_of(place: str) -> str:
    return place.rpartition("/")[2]


def before(command: Command, place: str) -> list[list[str]]:
    """What the command works on, made without a fault."""
    data = beside(place, "data")
    return {
        train: [prepare(data)],
        evaluate: [prepare(data), ["train", "--data", data, *SMALL, "--out", "first"]],
        report: [run(beside(place, "results"))],
    }.get(command, [])


def sweep(world: World, command: Command, fault: Fault, stride: int) -> Counter[tuple[str, int]]:
    """The fault at every `stride`-th call of the command, at it alone and from there on; how often it ended how."""

    def result(place: str) -> dict[str, object]:
        if command is report:
            folder = world.folder / number_of(place)
            return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}
        return prepared(place) if command is prepare else made(place)

    undisturbed = world.place()
    for arguments in before(command, undisturbed):
        assert world(arguments)[0].code == 0
    outcome, num_calls = world(command(undisturbed))
    assert outcome.code == 0, outcome.stderr
    expected = result(undisturbed)
    outcomes: Counter[tuple[str, int]] = Counter()
    for first, is_once in product(range(num_calls // 2 % stride, num_calls, stride), (True, False)):
        place = world.place()
        faulty = range(first, first + 1 if is_once else 100 * num_calls)
        outcome, _ = world(command(place), dict.fromkeys(faulty, fault).get)
        what = f"{fault} at {first}, once: {is_once}; ended with {outcome.code}: {outcome.stderr}"
        assert outcome.is_told, what
        outcomes["once" if is_once else "for good", outcome.code] += 1
        if outcome.code != 0:
            outcome, _ = world(command(place))
            assert outcome.code == 0, f"{what}, then with {outcome.stderr}"
        assert result(place) == expected, what
    return outcomes


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", [prepare, train, evaluate, run, report])
@pytest.mark.long
def test_command_with_a_fault_of_the_bucket_ends_right_or_with_one_line(
    world: World, command: Command, fault: Fault
) -> None:
    outcomes = sweep(world, command, fault, 1)

    print(f"{command.__name__}, {fault}: {sum(outcomes.values())} trials, {dict(outcomes)}")


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("command", "fault"), [(prepare, "html"), (train, "cut")])
def test_command_with_a_fault_at_its_middle_call_ends_right_or_with_one_line(
    world: World, command: Command, fault: Fault
) -> None:
    sweep(world, command, fault, 1000)
