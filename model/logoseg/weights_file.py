"""Files of weights: their tensors, a digest of them, and words for what is wrong."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from logoseg.file_kind import AGAIN
from logoseg.model_error import ModelError


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file. Raises ModelError for one that is cut off or damaged."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"{path}: a safetensors file that is cut off or damaged ({error}); {AGAIN}.") from None


def tensors_digest(tensors: Mapping[str, Tensor], said: str) -> str:
    """sha256 over names, types, shapes and values, and over what is said of them, as 64 hexadecimal digits: safetensors
    have no checksum of their own."""
    digest = hashlib.sha256(said.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def kind_of(value: Any) -> str:
    """What a value is, for a message: "a list"."""
    return f"a {type(value).__name__}"


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its type: torch writes pages."""
    said = str(error).splitlines()
    return said[0].rstrip(". ")[:200] if said and said[0] else type(error).__name__
