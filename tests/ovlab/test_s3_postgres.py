"""Commands as real processes against a bucket behind HTTP, and MLflow on a PostgreSQL: nothing of it is a mock."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.store.store import Store, open_store
from shown_runs import runs_at

# A LoGoSeg of some 100,000 weights, from random ones.
SMALL = [
    *("--preset", "tiny", "--set", "model.clip.image_size=64", "--set", "augmentation.crop_size=64"),
    *("--set", "model.guidance_dim=16", "--set", "model.state_dim=4", "--set", "model.region_grid=2"),
]
TABLE = """\
from ovlab.specs.table import Column, Row, Table, Variation

SMALL = {"guidance_dim": 16, "attention_heads": 2, "state_dim": 4, "fusion_depth": 1, "decoder_dims": [16, 16]}

TABLE = Table(
    name="mine",
    title="Mine",
    columns=(Column(title="PAS-20", benchmark="pas-20"), Column(title="PAS-20b", benchmark="pas-20b")),
    rows=(Row(key="full", label="", run=Variation(training_set="pc-59", model=SMALL, schedule={"batch_size": 1})),),
)
"""


@pytest.fixture
def environment(s3_bucket: str, tmp_path: Path) -> dict[str, str]:
    """Of commands that reach the bucket and share nothing with this process or with each other but a cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "OVLAB_", "MLFLOW_"))}
    return {**kept, "OVLAB_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}


def ovlab(environment: dict[str, str], folder: Path, *arguments: str) -> dict:
    """The JSON document that the command prints, run in `folder`."""
    call = [sys.executable, "-m", "ovlab", *arguments, "--json"]
    done = subprocess.run(call, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def write_ade20k(folder: Path) -> None:
    """ADEChallengeData2016 of six photographs to train on and three to score."""
    random = np.random.default_rng(0)
    for split, number in (("training", 6), ("validation", 3)):
        for part in ("images", "annotations"):
            (folder / part / split).mkdir(parents=True)
        for index in range(number):
            blocks = random.integers(0, 5, (4, 5), np.uint8).repeat(20, 0).repeat(20, 1)
            pixels = np.stack([blocks * 50] * 3, -1) + random.integers(0, 50, (80, 100, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "images" / split / f"{index}.jpg")
            Image.fromarray(blocks).save(folder / "annotations" / split / f"{index}.png")


def kill_after_the_first_checkpoint(call: list[str], environment: dict[str, str], folder: Path, store: Store) -> None:
    """SIGKILL as soon as a checkpoint lies in the bucket."""
    with subprocess.Popen(call, env=environment, cwd=folder, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if any(store.folder.sizes(f"trainings/{name}/checkpoints") for name in store.folder.folders("trainings")):
                process.kill()
                break
            time.sleep(0.02)
    assert process.returncode == -9


@pytest.mark.timeout(900)
def test_bucket_prepared_data_train_after_a_kill_to_the_same_weights_and_are_scored(
    s3_bucket: str, environment: dict[str, str], tmp_path: Path
) -> None:
    bucket = f"s3://{s3_bucket}"
    write_ade20k(tmp_path / "download")
    for split in ("train", "val"):
        prepare = ["data", "prepare", "a-150", "--source", "download", "--split", split, "--workers", "1"]
        assert ovlab(environment, tmp_path, *prepare, "--out", f"{bucket}/a-150/{split}")["num_bad_samples"] == 0

    train = ["train", "--data", f"{bucket}/a-150/train", *SMALL, "--steps", "24", "--batch-size", "2"]
    train += ["--checkpoint-every", "4", "--device", "cpu", "--loader-workers", "0"]
    undisturbed = ovlab(environment, tmp_path, *train, "--store", f"{bucket}/undisturbed", "--out", "one")
    store = open_store(f"{bucket}/store")
    train += ["--store", f"{bucket}/store"]
    call = [sys.executable, "-m", "ovlab", *train, "--out", "two"]
    kill_after_the_first_checkpoint(call, environment, tmp_path, store)
    # Another working folder, as on another machine: all that is left is in the bucket.
    resumed = ovlab(environment, tmp_path, *train, "--out", "three")

    assert resumed["fingerprint"] == undisturbed["fingerprint"]
    assert Path(resumed["weights"]).name == Path(undisturbed["weights"]).name
    record = store.training(resumed["fingerprint"])
    assert record is not None
    assert [attempt.status for attempt in record.cost.attempts][-1] == "finished"
    assert len(record.cost.attempts) == 2
    assert store.folder.folders(f"trainings/{record.fingerprint}") == []

    figures = score(store, f"{bucket}/a-150", tmp_path)
    assert figures["num_images"] == 3
    assert 0 <= figures["miou"] <= 1
    assert score(store, f"{bucket}/a-150", tmp_path) == figures


def score(store: Store, place: str, workdir: Path) -> dict:
    """Of the one training in the store, on the prepared val split; the second call finds it done."""
    from ovlab.datasets.places import open_named
    from ovlab.runs.context import RunContext
    from ovlab.runs.evaluations import ensure_evaluations
    from ovlab.runs.here import Here
    from ovlab.runs.identity import resolve_evaluation
    from ovlab.runs.journaling import journaled
    from ovlab.runs.subject import open_stored
    from ovlab.runs.work import EvaluationJob
    from ovlab.specs.evaluation import whole
    from ovlab.specs.events import RunHeader

    (training,) = store.trainings()
    dataset = open_named("a-150", "val", {"a-150": place})
    job = EvaluationJob(resolve_evaluation(training.fingerprint, dataset, "val", whole(64)), dataset)
    context = RunContext(store=store, workdir=workdir, device="cpu")
    subject = {training.fingerprint: partial(open_stored, store, training)}
    with journaled(RunHeader(run=training.fingerprint, name="scored"), context) as inner:
        (record,) = ensure_evaluations([job], subject, inner, Here())
    return dict(record.figures)


@contextmanager
def mlflow_server(database: str, folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    call = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    call += ["--backend-store-uri", database, "--artifacts-destination", str(folder / "artifacts")]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            call, env={**os.environ, **quiet}, stdout=output, stderr=output, cwd=folder, start_new_session=True
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    pytest.fail(log.read_text()[-3000:])


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty database."""
    pgserver = pytest.importorskip("pgserver", reason="pgserver has no wheel for this system")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    # Without its driver in the name, SQLAlchemy takes another one than psycopg2.
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
    server.cleanup()


@pytest.mark.timeout(900)
def test_table_in_a_bucket_is_tracked_in_postgres_and_made_once(
    s3_bucket: str, environment: dict[str, str], postgres: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(TABLE)
    run = ["run", "./mine.py", "--clip", "shapes-vit-s=none", "--limit-steps", "2", "--limit-images", "2"]
    run += ["--runs-at-once", "1", "--device", "cpu", "--loader-workers", "0", "--store", f"s3://{s3_bucket}/store"]
    with mlflow_server(postgres, tmp_path) as uri:
        environment["MLFLOW_TRACKING_URI"] = uri
        made = ovlab(environment, tmp_path, *run)
        ovlab(environment, tmp_path, "runs", "publish", "--store", f"s3://{s3_bucket}/store")
        again = ovlab(environment, tmp_path, *run)
        found = runs_at(uri)

    parts = [part for run in made["runs"] for part in (run["training"], *run["evaluations"])]
    assert [part["status"] for part in parts] == ["done"] * 3
    assert again == made
    store = open_store(f"s3://{s3_bucket}/store")
    assert {record.fingerprint for record in store.records()} == {part["fingerprint"] for part in parts}
    assert [run.info.status for run in found.values()] == ["FINISHED"] * len(found)
    assert len(found) >= 2
    assert sum("ovlab.parent" not in run.data.tags for run in found.values()) == 1
