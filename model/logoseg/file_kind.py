"""What a file of weights is, told by its first bytes: files are renamed, and what was downloaded may have ended early,
or be the pointer or the page that stood in place of the file. No torch here.
"""

import zipfile
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open

from logoseg.model_error import ModelError

_ZIP, _LFS = b"PK\x03\x04", b"version https://git-lfs.github.com/"
_PICKLE_PROTOCOLS = range(2, 6)
AGAIN = "copy or download it again"


def file_kind(path: Path) -> Literal["safetensors", "archive", "pickle"]:
    """safetensors, an archive of torch.save or TorchScript, or a pickle of before PyTorch 1.6.

    Raises ModelError, which says what it is, for anything else, and for safetensors and archives that are cut off.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}).") from None
    if not head:
        raise ModelError(f"{path}: an empty file; {AGAIN}.")
    if head.startswith(_LFS):
        raise ModelError(f"{path}: a pointer of Git LFS, not the weights; `git lfs pull` fetches them.")
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise ModelError(f"{path}: a web page (HTML), not weights, as a download that needs a login leaves; {AGAIN}.")
    if head.startswith(_ZIP):
        if not zipfile.is_zipfile(path):
            raise ModelError(f"{path}: a PyTorch archive that is cut off; {AGAIN}.")
        return "archive"
    # A length of 8 bytes, then the header as JSON.
    if head[8:9] == b"{":
        read_metadata(path)
        return "safetensors"
    if head[0] == 0x80 and head[1:2] and head[1] in _PICKLE_PROTOCOLS:
        return "pickle"
    raise ModelError(
        f"{path}: not safetensors, and neither a state dict nor a TorchScript archive; it begins with {head[:12]!r}."
    )


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file alone. Errors as `read_safetensors`."""
    try:
        with safe_open(path, "np") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise ModelError(f"{path}: a safetensors file that is cut off or damaged ({error}); {AGAIN}.") from None
