"""The tracked model answers as `ovlab predict` does, and holds no pickle."""

import base64
import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from logoseg.checkpoint import save_weights
from logoseg.network import LoGoSeg
from logoseg.presets import tiny
from ovlab.evaluation.prediction import predict_photograph
from ovlab.methods.networks import build_network, read_network, write_network
from ovlab.methods.registry import named_method
from ovlab.specs.evaluation import whole
from ovlab.tracking.destination import Destination
from ovlab.tracking.mlflow_models import TrackedModel
from ovlab.tracking.mlflow_server import MlflowServer

CLASSES = ["road", "a red car", "tree"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    preset = tiny()
    config = replace(preset, clip=replace(preset.clip, image_size=64), guidance_dim=32, region_grid=2)
    torch.manual_seed(0)
    save_weights(LoGoSeg(config), config, CLASSES[:2], path)
    return path


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(noise.repeat(8, axis=0).repeat(8, axis=1)).save(path)
    return path


def show_model(to: Destination, weights: Path) -> tuple[MlflowServer, str]:
    """The server, and the id of the run with the model."""
    server = MlflowServer(to.require_uri(), to.artifacts)
    id = server.open("ovlab", "a", "a", 1000)
    server.model(id, model_of(weights))
    return server, id


def model_of(weights: Path) -> TrackedModel:
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    return TrackedModel(weights=str(weights), sha256=sha256, class_names=tuple(CLASSES[:2]))


def load(server: MlflowServer, id: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    from mlflow.pyfunc import load_model

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    return load_model(f"runs:/{id}/model")


def label_map(answer: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer))))


def test_model_of_a_run_gives_the_labels_of_predict(
    tracking: Destination, weights: Path, photograph: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from logoseg.checkpoint import load_weights

    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))
    server, id = show_model(tracking, weights)

    model = load(server, id, monkeypatch)
    encoded = base64.b64encode(photograph.read_bytes()).decode()
    answer = model.predict([{"image": str(photograph), "classes": CLASSES}, {"image": encoded, "classes": CLASSES[:1]}])

    image = np.asarray(Image.open(photograph).convert("RGB"))
    expected = predict_photograph(load_weights(weights).model, image, CLASSES, whole(64), torch.device("cpu"))
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(label_map(answer["labels_png"][0]), expected)
    assert list(answer["classes"][0]) == CLASSES
    assert label_map(answer["labels_png"][1]).max() == 0
    finer = model.predict([{"image": str(photograph), "classes": CLASSES}], params={"size": 128})
    expected = predict_photograph(load_weights(weights).model, image, CLASSES, whole(128), torch.device("cpu"))
    np.testing.assert_array_equal(label_map(finer["labels_png"][0]), expected)
    for bad in ({"image": "no such file", "classes": CLASSES}, {"image": encoded, "classes": ["a", "a"]}):
        with pytest.raises(ValueError, match=r"image|classes"):
            model.predict([bad])


def test_model_of_another_method_gives_the_labels_of_predict(
    tracking: Destination, photograph: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """SAN gives masks where LoGoSeg gives logits."""
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))
    options = {"dim": 24, "num_blocks": 4, "num_heads": 2, "num_queries": 5, "mask_dim": 12, "supervised_blocks": [4]}
    config = named_method("san", "shapes-vit-s", {**options, "fused_layers": [0, 1]})
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    write_network(build_network(config, None, {}), config, CLASSES[:2], path)
    words = ["red square", "blue circle", "green triangle"]
    server, id = show_model(tracking, path)

    answer = load(server, id, monkeypatch).predict([{"image": str(photograph), "classes": words}])

    image = np.asarray(Image.open(photograph).convert("RGB"))
    expected = predict_photograph(read_network(path, {}), image, words, whole(96), torch.device("cpu"))
    np.testing.assert_array_equal(label_map(answer["labels_png"][0]), expected)


def test_model_is_code_and_an_address_told_once(
    tracking: Destination, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, id = show_model(tracking, weights)
    run = server.client.get_run(id)

    server.model(id, model_of(weights))

    again = server.client.get_run(id)
    assert len(run.outputs.model_outputs) == 1
    assert [output.model_id for output in again.outputs.model_outputs] == [
        output.model_id for output in run.outputs.model_outputs
    ]
    assert tracking.artifacts is not None
    files = [path for path in tracking.artifacts.rglob("*") if path.is_file()]
    assert "pyfunc_model.py" in {path.name for path in files}
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".safetensors", ".pt")]
    assert sum(path.stat().st_size for path in files) < 50_000


def test_weights_that_changed_since_are_refused(
    tracking: Destination, weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = tmp_path / "weights.safetensors"
    copy.write_bytes(weights.read_bytes())
    server, id = show_model(tracking, copy)
    copy.write_bytes(weights.read_bytes() + b" ")

    with pytest.raises(ValueError, match="other weights than those of the run"):
        load(server, id, monkeypatch)
