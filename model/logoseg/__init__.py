"""LoGoSeg, the model: `logoseg.load("runs/first")` opens a trained one, `logoseg.LoGoSeg(logoseg.tiny())` a new one,
and `model.predict("street.jpg", ["road", "a red car"])` segments a photograph."""

import importlib
from typing import TYPE_CHECKING, Any

from logoseg.presets import (
    PRESETS,
    convnext_b,
    convnext_l,
    photo_lite0,
    shapes_convnext_l,
    shapes_convnext_s,
    shapes_vit_l,
    shapes_vit_s,
    tiny,
    vit_b16,
    vit_l14,
)

if TYPE_CHECKING:
    from logoseg.checkpoint import load
    from logoseg.network import LoGoSeg
    from logoseg.predictor import Prediction, Predictor

__all__ = [
    "PRESETS",
    "LoGoSeg",
    "Prediction",
    "Predictor",
    "convnext_b",
    "convnext_l",
    "load",
    "photo_lite0",
    "shapes_convnext_l",
    "shapes_convnext_s",
    "shapes_vit_l",
    "shapes_vit_s",
    "tiny",
    "vit_b16",
    "vit_l14",
]

# Imported when they are asked for: torch takes seconds, and a spec has no need of it.
_ASKED_FOR = {
    "LoGoSeg": "logoseg.network",
    "Prediction": "logoseg.predictor",
    "Predictor": "logoseg.predictor",
    "load": "logoseg.checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _ASKED_FOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_ASKED_FOR[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
