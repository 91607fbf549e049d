"""A byte that is changed anywhere in a store, a run folder, a cache or data never changes a number in silence.

At positions drawn from a seed, in every kind of file, a byte is changed and what the file is there for is read again.
It is detected: refused, or named in a warning, or another identity; made anew: the same numbers, and the file is
written again; or harmless: the same numbers. Anything else is a number that changed in silence. The files are those
that this version writes; older ones without a seal (an index of pictures, the log of steps) are not among them.
"""

import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import micro_run
import tiny_run
from logoseg.checkpoint import load_weights
from logoseg.clip.text_encoder import cached_text
from logoseg.model_error import ModelError
from logoseg.network import LoGoSeg
from ovlab.benchmarks.synthetic_download import write_download
from ovlab.cli import main
from ovlab.datasets.folder import open_folder
from ovlab.datasets.prepare import prepare
from ovlab.datasets.sharded import open_shards
from ovlab.files.content_digests import content_digests
from ovlab.specs.errors import InputError
from ovlab.store import journal
from ovlab.store.artifacts import fetch_weights
from ovlab.store.costs import costs_of
from ovlab.store.counts import counts_digest
from ovlab.store.journal import read_curve
from ovlab.store.pairs import stored_counts
from ovlab.store.pictures import pictures_of, read_pictures
from ovlab.store.store import Store, open_store

RECORDED = Path(__file__).parent / "recorded_store"
NUM_POSITIONS = 40
NUM_WIDELY = 400
# Megabytes are hashed at each.
NUM_OF_WEIGHTS = 12

Read = Callable[[], object]
Show = Callable[[str, Counter[str]], None]


class Heard(logging.Handler):
    """How many warnings there were."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.num = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.num += 1


def put(path: Path, content: bytes) -> None:
    """As a new file: weights may be mapped into memory."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    os.replace(new, path)


def outcome(path: Path, changed: bytes, read: Read, expected: object) -> str:
    """What reading gives with `changed` in place of what the file holds."""
    journal._named.clear()
    heard = Heard()
    logging.getLogger().addHandler(heard)
    put(path, changed)
    try:
        found = read()
    except (InputError, ModelError):
        return "detected"
    finally:
        logging.getLogger().removeHandler(heard)
    if found == expected:
        is_there = path.exists() and path.read_bytes() == changed
        return ("detected" if heard.num else "harmless") if is_there else "made anew"
    return "detected" if heard.num else "silent"


def positions_in(size: int, num: int, generator: np.random.Generator) -> list[int]:
    """Half of them anywhere, the others near the beginning and the end, where formats keep their books."""
    ends = min(1024, size)
    near = [generator.integers(0, ends, num // 4), size - 1 - generator.integers(0, ends, num // 4)]
    return np.concatenate([*near, generator.integers(0, size, num - 2 * (num // 4))]).tolist()


def sweep(kind: str, path: Path, read: Read, num_positions: int = NUM_POSITIONS) -> Counter[str]:
    """The outcomes at so many positions of a file. Whatever reading writes into its folder is undone."""
    content, folder = path.read_bytes(), path.parent
    before = {file: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    expected = read()
    generator = np.random.default_rng(len(content))
    found: Counter[str] = Counter()
    for position in positions_in(len(content), num_positions, generator):
        changed = bytearray(content)
        changed[position] ^= int(generator.integers(1, 256))
        result = outcome(path, bytes(changed), read, expected)
        assert result != "silent", f"{kind}, byte {position} of {path.name}: the numbers changed without a word"
        found[result] += 1
        for file in folder.iterdir():
            if file.is_file() and file not in before:
                file.unlink()
        for file, kept in before.items():
            put(file, kept)
    return found


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("OVLAB_CACHE", str(folder))
    return folder


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
    """Prints what became of a kind of file, whatever pytest keeps to itself."""

    def shown(kind: str, found: Counter[str]) -> None:
        counts = ", ".join(f"{found[name]} {name}" for name in ("detected", "made anew", "harmless"))
        with capsys.disabled():
            print(f"\n  {kind}: {counts}", end="")

    return shown


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in store/ and the run folder of its training in work/, as this version makes them; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVLAB_CACHE", str(folder / "cache"))
        patch.setattr(micro_run.shards, "IMAGES_PER_SHARD", 2)
        store = open_store(str(folder / "store"))
        training = micro_run.micro_training(store, folder / "work")
        micro_run.micro_evaluations(store, folder / "work", training)
    return folder


def read_store(store: Store) -> object:
    """All numbers that a report or a comparison is made of."""
    evaluations = list(store.evaluations())
    trainings = list(store.trainings())
    return (
        trainings,
        evaluations,
        [counts_digest(stored_counts(store, record)) for record in evaluations],
        [pictures_of(store, record.fingerprint) for record in evaluations],
        [read_curve(store, record.fingerprint) for record in trainings],
        [costs_of(store, record.fingerprint, record.fingerprint) for record in trainings],
    )


def a_file(folder: Path, pattern: str) -> Path:
    """The largest."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_size)


STORE_FILES = (
    "trainings/*/record.json",
    "evaluations/*/record.json",
    "evaluations/*/counts/*.parquet",
    "evaluations/*/pictures/index.json",
    "journals/*/*.jsonl",
)


@pytest.mark.parametrize("num_positions", [NUM_POSITIONS, pytest.param(NUM_WIDELY, marks=pytest.mark.long)])
@pytest.mark.parametrize("pattern", STORE_FILES)
def test_byte_of_a_store_never_changes_a_number_in_silence(
    made: Path, tmp_path: Path, pattern: str, num_positions: int, show: Show
) -> None:
    place = shutil.copytree(made / "store", tmp_path / "store")

    found = sweep(pattern, a_file(place, pattern), partial(read_store, open_store(str(place))), num_positions)

    show(pattern, found)
    assert found["detected"] > 0


@pytest.mark.parametrize("pattern", STORE_FILES[:3])
def test_byte_of_a_recorded_store_never_changes_a_number_in_silence(tmp_path: Path, pattern: str, show: Show) -> None:
    file = a_file(RECORDED / "store", pattern)
    kept = file.relative_to(RECORDED / "store").parts[:2]
    shutil.copytree(RECORDED.joinpath("store", *kept), tmp_path.joinpath(*kept))
    path = tmp_path / file.relative_to(RECORDED / "store")

    found = sweep(pattern, path, partial(read_store, open_store(str(tmp_path))))

    show(f"recorded {pattern}", found)
    assert found["detected"] > 0


def test_byte_of_a_picture_is_noticed(made: Path, tmp_path: Path, show: Show) -> None:
    store = open_store(str(shutil.copytree(made / "store", tmp_path / "store")))
    path = a_file(tmp_path / "store", "evaluations/*/pictures/*.webp")

    found = sweep("picture", path, lambda: read_pictures(store, path.parent.parent.name, [path.name]))

    show("picture", found)
    assert found == {"detected": NUM_POSITIONS}


@pytest.mark.parametrize(
    "pattern", ["evaluations/*/counts/*.parquet", "evaluations/*/record.json", "*/*/pictures/*.webp"]
)
def test_what_is_changed_in_an_evaluation_is_made_anew(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, show: Show
) -> None:
    monkeypatch.setattr(micro_run.shards, "IMAGES_PER_SHARD", 2)
    place = shutil.copytree(made / "store", tmp_path / "store")
    store = open_store(str(place))
    (training,) = store.trainings()

    def evaluated() -> object:
        records = micro_run.micro_evaluations(store, tmp_path / "work", training)
        pictures = [pictures_of(store, record.fingerprint) for record in records]
        sound = [
            len(read_pictures(store, record.fingerprint, list(index.files)))
            for record, index in zip(records, pictures, strict=True)
        ]
        return [(record.figures, record.classes, record.count_digests) for record in records], pictures, sound

    found = sweep(pattern, a_file(place, pattern), evaluated, num_positions=2)

    show(f"{pattern}, evaluated again", found)
    assert found["made anew"] + found["harmless"] == 2
    assert found["made anew"] > 0


def test_byte_of_weights_in_a_store_or_in_the_cache_is_noticed(made: Path, tmp_path: Path, show: Show) -> None:
    place = shutil.copytree(made / "store", tmp_path / "store")
    store = open_store(str(place))
    (training,) = store.trainings()
    stored = a_file(place, "trainings/*/weights-*.safetensors")

    def fetched() -> bytes:
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        return fetch_weights(store, training, tmp_path / "cache").read_bytes()

    in_store = sweep("weights", stored, fetched, NUM_OF_WEIGHTS)
    cached = fetch_weights(store, training, tmp_path / "cache")
    in_cache = sweep(
        "weights", cached, lambda: fetch_weights(store, training, tmp_path / "cache").read_bytes(), NUM_OF_WEIGHTS
    )

    show("weights in the store", in_store)
    show("weights in the cache", in_cache)
    assert (in_store, in_cache) == ({"detected": NUM_OF_WEIGHTS}, {"made anew": NUM_OF_WEIGHTS})


def test_byte_of_the_weights_of_a_run_folder_is_noticed(made: Path, tmp_path: Path, show: Show) -> None:
    (path,) = (made / "work").glob("*/weights.safetensors")
    copy = Path(shutil.copy(path, tmp_path))

    def loaded() -> object:
        weights = load_weights(copy)
        state = {name: tensor.numpy().tobytes() for name, tensor in weights.model.state_dict().items()}
        return state, weights.class_names, weights.model.config

    found = sweep("weights", copy, loaded, NUM_OF_WEIGHTS)

    show("weights of a run folder", found)
    assert found["detected"] > NUM_OF_WEIGHTS // 2


@pytest.mark.parametrize("name", ["checkpoints/step-00000006.pt", "spec.json", "weights.safetensors"])
def test_byte_of_a_run_folder_leads_to_the_same_weights_or_is_refused(tmp_path: Path, name: str, show: Show) -> None:
    steps: list[int] = []
    run = tmp_path / "run"
    is_over = name.startswith("weights")
    tiny_run.tiny_train(
        run, on_step=[lambda step: steps.append(step.step)], stop=lambda: not is_over and steps[-1] == 6
    )
    again = tmp_path / "again"

    def trained() -> bytes:
        shutil.rmtree(again, ignore_errors=True)
        shutil.copytree(run, again)
        tiny_run.tiny_train(again)
        return (again / "weights.safetensors").read_bytes()

    found = sweep(name, run / name, trained, num_positions=12)

    show(name, found)
    assert found["detected"] > 0


def test_byte_of_cached_text_is_computed_again(tmp_path: Path, show: Show) -> None:
    encoder = LoGoSeg(micro_run.spec().model).text_encoder
    names = [("road",), ("sky", "heaven")]

    def text() -> bytes:
        return cached_text(encoder, names, ("a {}",), tmp_path).numpy().tobytes()

    text()
    (path,) = tmp_path.iterdir()
    found = sweep("text", path, text)

    show("cached text", found)
    assert found == {"made anew": NUM_POSITIONS}


def write_folder(root: Path) -> None:
    generator = np.random.default_rng(3)
    for kind in ("images", "labels"):
        (root / "val" / kind).mkdir(parents=True)
    said = {"classes": ["sky", ["road", "street"], "car"], "ignore_index": 255, "seen": ["sky", "road"]}
    (root / "classes.json").write_text(json.dumps(said))
    for stem in "abc":
        Image.fromarray(generator.integers(0, 256, (8, 9, 3), dtype=np.uint8)).save(root / f"val/images/{stem}.jpg")
        Image.fromarray(generator.integers(0, 3, (8, 9), dtype=np.uint8)).save(root / f"val/labels/{stem}.png")


@pytest.mark.parametrize("name", ["val/images/b.jpg", "val/labels/b.png", "classes.json"])
def test_byte_of_a_folder_changes_its_identity(tmp_path: Path, name: str, show: Show) -> None:
    write_folder(tmp_path)
    path = tmp_path / name
    content, before = path.read_bytes(), identity(tmp_path)
    found: Counter[str] = Counter()
    generator = np.random.default_rng(0)
    for position in positions_in(len(content), NUM_POSITIONS, generator):
        changed = bytearray(content)
        changed[position] ^= int(generator.integers(1, 256))
        put(path, bytes(changed))
        found["harmless" if identity(tmp_path) == before else "detected"] += 1

    show(name, found)
    # Between the words of JSON, a space may become a line.
    assert found["harmless"] <= (3 if name == "classes.json" else 0)


def identity(root: Path) -> object:
    """What a training and an evaluation know the folder by; None where it is refused."""
    try:
        dataset = open_folder(root, "val")
    except InputError:
        return None
    labels = dataset.label_space("average")
    return dataset.digest, labels.digest


def test_byte_of_remembered_digests_is_no_digest(tmp_path: Path, cache: Path, show: Show) -> None:
    write_folder(tmp_path)
    paths = sorted(tmp_path.glob("val/*/*"))
    for path in paths:
        os.utime(path, (1e9, 1e9))  # what has just been written is not remembered
    content_digests(paths)
    (memory,) = (cache / "digests").iterdir()

    found = sweep("digests", memory, lambda: content_digests(paths))

    show("remembered digests", found)
    assert found["made anew"] > 0


@pytest.mark.parametrize("num_positions", [NUM_POSITIONS, pytest.param(NUM_WIDELY, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", ["manifest.json", "index.parquet", "shards/00001.parquet"])
def test_byte_of_prepared_data_is_refused_or_changes_no_sample(
    tmp_path: Path, name: str, num_positions: int, show: Show
) -> None:
    split = write_download(tmp_path / "download", num_images=8, height=24, width=36, num_classes=5)
    prepare(split, str(tmp_path / "out"), num_samples_per_shard=4)

    def samples() -> object:
        dataset = open_shards(str(tmp_path / "out"))
        read = [dataset[index] for index in range(len(dataset))]
        pixels = [(one.id, one.image.tobytes(), one.label.tobytes()) for one in read]
        return pixels, dataset.digest, dataset.class_names, dataset.shapes

    found = sweep(name, tmp_path / "out" / name, samples, num_positions)

    show(name, found)
    assert found["detected"] > 0


@pytest.mark.parametrize("pattern", STORE_FILES[:3])
def test_report_of_a_changed_store_says_so_or_is_the_same(
    tmp_path: Path, pattern: str, capsys: pytest.CaptureFixture[str], show: Show
) -> None:
    shutil.copytree(RECORDED / "store", tmp_path / "store")
    limits = ("--suite", "shapes", "--limit-steps", "4", "--limit-images", "6")

    def report() -> object:
        code = main(["report", "first_run", *limits, "--format", "csv", "--store", str(tmp_path / "store")])
        out = capsys.readouterr().out
        if code:
            raise InputError("said in one line")
        return out

    store = open_store(str(tmp_path / "store"))
    ours = [record for record in store.evaluations() if record.evaluation.subject.startswith("2dcbafbb453d")]
    place = "*/{}*/" + pattern.split("/", 2)[2]
    run = ours[0].evaluation.subject if pattern.startswith("trainings") else ours[0].fingerprint
    found = sweep(pattern, a_file(tmp_path / "store", place.format(run)), report, num_positions=8)

    show(f"report, {pattern}", found)
