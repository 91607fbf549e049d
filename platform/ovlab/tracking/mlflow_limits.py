"""What MLflow refuses (mlflow.utils.validation, 3.17), and how text and batches are cut to fit."""

import hashlib
import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

MAX_PARAM_VALUE = 6000
MAX_TAG_VALUE = 8000
MAX_KEY = 250
MAX_DATASET_DIGEST = 36
MAX_PARAMS_OR_TAGS = 100
MAX_METRICS = 1000
# A request may have 1 MB; the rest is for what surrounds the entries.
MAX_REQUEST_BYTES = 900_000

_ENTRY_BYTES = 100
_REFUSED = re.compile(r"[^/\w.\- :]")
Entry = TypeVar("Entry")


def clip(text: str, limit: int) -> str:
    """`text`, or its beginning with the digest of all of it, at most `limit` characters."""
    if len(text) <= limit:
        return text
    ending = f"... [{len(text)} characters, sha256 {_digest(text)[:16]}]"
    return text[: limit - len(ending)] + ending


def valid_key(key: str) -> str:
    """`key`, or the nearest name that is allowed. Different keys stay different."""
    name = _REFUSED.sub("_", key)
    name = posixpath.normpath(name).lstrip("/.") if name else ""
    if name and name == key and len(name) <= MAX_KEY:
        return name
    return f"{name[: MAX_KEY - 9]}-{_digest(key)[:8]}".lstrip("-")


def text_batches(values: Mapping[str, str], *, max_value: int) -> Iterator[dict[str, str]]:
    """Params or tags with allowed keys and lengths, in as many requests as they need."""
    batch: dict[str, str] = {}
    size = 0
    for key, value in values.items():
        key, value = valid_key(key), clip(value, max_value)
        cost = len(json.dumps(key)) + len(json.dumps(value)) + _ENTRY_BYTES
        if batch and (len(batch) == MAX_PARAMS_OR_TAGS or size + cost > MAX_REQUEST_BYTES):
            yield batch
            batch, size = {}, 0
        batch[key] = value
        size += cost
    if batch:
        yield batch


def batches(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
    """`entries` in order, at most `size` at a time."""
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
