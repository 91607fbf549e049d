"""The trained model as MLflow serves it. This file itself is the model's code: MLflow runs it when a model is loaded.

In: a table with the columns `image` (a path, or a PNG or JPEG in base64) and `classes` (the names to segment).
Out: `labels_png`, a label map in base64 at the size of the image (8 bits a pixel, 16 from 257 names on; the value is
the index into the names), and `classes`, the names. The parameter `size` is the side at which the network runs.
"""

import base64
import binascii
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class SegmentationModel(PythonModel):
    """A segmenter, read from the weights that the model's configuration names. A method of one's own must be installed
    where it is served: its file is not part of the model."""

    def load_context(self, context: Any) -> None:
        from ovlab.methods.networks import read_network

        config = context.model_config
        self.network = read_network(_verified(config["weights"], config["sha256"]), {})

    # MLflow reads a type hint of the input as a schema of its own, beside the signature.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        import pandas as pd

        size = int((params or {}).get("size") or self.network.input_size)
        rows = zip(model_input["image"], model_input["classes"], strict=True)
        answers = [
            {"labels_png": self._label_png(image, list(classes), size), "classes": list(classes)}
            for image, classes in rows
        ]
        return pd.DataFrame(answers)

    def _label_png(self, image: str, classes: Sequence[str], size: int) -> str:
        import numpy as np
        import torch
        from PIL import Image

        from ovlab.datasets.photograph import decode_photograph
        from ovlab.datasets.texts import alike
        from ovlab.evaluation.prediction import predict_photograph
        from ovlab.specs.evaluation import whole

        if not classes or alike(classes):
            raise ValueError(f"classes must be names, each once, whatever its capitals; got {classes!r}.")
        photograph = decode_photograph(_content(image), "image", "upright")
        labels = predict_photograph(self.network, photograph.pixels, classes, whole(size), torch.device("cpu"))
        file = io.BytesIO()
        Image.fromarray(labels.astype(np.uint8 if len(classes) <= 256 else np.uint16)).save(file, format="PNG")
        return base64.b64encode(file.getvalue()).decode()


def _verified(weights: str, sha256: str) -> Path:
    """The weights as a local file. Raises ValueError when they are others than those that were tracked."""
    import fsspec

    path = Path(fsspec.open_local(f"simplecache::{weights}") if "://" in weights else weights)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(f"{weights}: other weights than those of the run (sha256 {found[:12]}, not {sha256[:12]}).")
    return path


def _content(image: str) -> bytes:
    if len(image) < 4096 and Path(image).is_file():
        return Path(image).read_bytes()
    try:
        return base64.b64decode(image, validate=True)
    except binascii.Error:
        raise ValueError(f"image: neither a file nor an image in base64: {image[:80]!r}.") from None


set_model(SegmentationModel())
