"""What a file of weights is, told by its first bytes: files are renamed, and what was downloaded may have ended early,
or be the pointer or the page that stood in place of the file."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from logoseg.model_error import ModelError

_ZIP, _LFS = b"PK\x03\x04", b"version https://git-lfs.github.com/"
_PICKLE_PROTOCOLS = range(2, 6)
_AGAIN = "copy or download it again"


def file_kind(path: Path) -> Literal["safetensors", "archive", "pickle"]:
    """safetensors, an archive of torch.save or TorchScript, or a pickle of before PyTorch 1.6.

    Raises ModelError, which says what it is, for anything else.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}).") from None
    if not head:
        raise ModelError(f"{path}: an empty file; {_AGAIN}.")
    if head.startswith(_LFS):
        raise ModelError(f"{path}: a pointer of Git LFS, not the weights; `git lfs pull` fetches them.")
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise ModelError(f"{path}: a web page (HTML), not weights, as a download that needs a login leaves; {_AGAIN}.")
    if head.startswith(_ZIP):
        if not zipfile.is_zipfile(path):
            raise ModelError(f"{path}: a PyTorch archive that is cut off; {_AGAIN}.")
        return "archive"
    # A length of 8 bytes, then the header as JSON.
    if head[8:9] == b"{":
        return "safetensors"
    if head[0] == 0x80 and head[1:2] and head[1] in _PICKLE_PROTOCOLS:
        return "pickle"
    raise ModelError(
        f"{path}: not safetensors, and neither a state dict nor a TorchScript archive; it begins with {head[:12]!r}."
    )


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file. Raises ModelError for one that is cut off or damaged."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"{path}: a safetensors file that is cut off or damaged ({error}); {_AGAIN}.") from None


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file alone. Errors as `read_safetensors`."""
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise ModelError(f"{path}: a safetensors file that is cut off or damaged ({error}); {_AGAIN}.") from None


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
