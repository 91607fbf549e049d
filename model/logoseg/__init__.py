"""LoGoSeg, the model: `logoseg.load("runs/first")` opens a trained one, `logoseg.LoGoSeg(logoseg.tiny())` a new one."""

import importlib
from typing import TYPE_CHECKING, Any

from logoseg.presets import (
    PRESETS,
    convnext_b,
    convnext_l,
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

__all__ = [
    "PRESETS",
    "LoGoSeg",
    "convnext_b",
    "convnext_l",
    "load",
    "shapes_convnext_l",
    "shapes_convnext_s",
    "shapes_vit_l",
    "shapes_vit_s",
    "tiny",
    "vit_b16",
    "vit_l14",
]

# Imported when they are asked for: torch takes seconds, and a spec has no need of it.
_ASKED_FOR = {"LoGoSeg": "logoseg.network", "load": "logoseg.checkpoint"}


def __getattr__(name: str) -> Any:
    if name not in _ASKED_FOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_ASKED_FOR[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
