"""The large files of a training in the store: weights and checkpoints, by sha256.

Weights and checkpoints carry their sha256 in their names. So two machines that train the same run never write one
file, and what was downloaded is held against its name.
"""

import hashlib
import logging
from pathlib import Path

from ovlab.files.inside import inside
from ovlab.files.whole_file import writing
from ovlab.store.record import DamagedError, StoredFile, TrainingRecord
from ovlab.store.store import Store, training_folder

# As many as the run folder keeps: the one before the last is there in case the last is damaged.
NUM_KEPT = 2

_CHECKPOINTS = "checkpoints"
_log = logging.getLogger(__name__)


def file_sha256(path: Path) -> str:
    """64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep_weights(store: Store, fingerprint: str, path: Path) -> StoredFile:
    """Copy the final weights of a training into the store."""
    digest = file_sha256(path)
    name = f"weights-{digest}{path.suffix}"
    store.folder.upload(path, f"{training_folder(fingerprint)}/{name}")
    return StoredFile(name=name, sha256=digest, num_bytes=path.stat().st_size)


def weights_uri(store: Store, record: TrainingRecord) -> str:
    """The full address of the weights of a training."""
    return store.folder.locate(f"{training_folder(record.fingerprint)}/{record.weights.name}")


def fetch_weights(store: Store, record: TrainingRecord, folder: Path) -> Path:
    """The weights of a training as a file in `folder` on this machine, copied unless they are there already.

    Raises DamagedError when what comes is not what the record says.
    """
    path = inside(folder, record.weights.name)
    if not path.exists() or file_sha256(path) != record.weights.sha256:
        # The workers of a machine may all want the same weights at the same time.
        with writing(path) as partial:
            name = f"{training_folder(record.fingerprint)}/{record.weights.name}"
            _download(store, name, record.weights.sha256, partial)
    return path


def keep_checkpoint(store: Store, fingerprint: str, path: Path) -> None:
    """Copy a checkpoint of a run folder into the store, and remove all but the NUM_KEPT newest there."""
    folder = f"{training_folder(fingerprint)}/{_CHECKPOINTS}"
    store.folder.upload(path, f"{folder}/{path.stem}-{file_sha256(path)}{path.suffix}")
    steps = sorted({name.rpartition("-")[0] for name in store.folder.sizes(folder)}, reverse=True)
    for name in store.folder.sizes(folder):
        if name.rpartition("-")[0] in steps[NUM_KEPT:]:
            store.folder.remove(f"{folder}/{name}")


def fetch_newest_checkpoint(store: Store, fingerprint: str, folder: Path) -> Path | None:
    """Copy the newest sound checkpoint of the store into `folder`, unless one as new is there.

    Returns the copy, or None. A damaged checkpoint is named in a warning, and the one before it is taken.
    """
    there = f"{training_folder(fingerprint)}/{_CHECKPOINTS}"
    newest_here = max((path.stem for path in folder.glob("step-*.pt")), default="")
    for name in sorted(store.folder.sizes(there), reverse=True):
        stem, _, rest = name.rpartition("-")
        digest, _, suffix = rest.partition(".")
        if stem <= newest_here:
            return None
        path = inside(folder, f"{stem}.{suffix}")
        try:
            with writing(path) as partial:
                _download(store, f"{there}/{name}", digest, partial)
        except DamagedError as error:
            _log.warning("%s Trying the one before it.", error)
            store.folder.remove(f"{there}/{name}")  # it would be taken for newer than those to come
        else:
            return path
    return None


def remove_checkpoints(store: Store, fingerprint: str) -> None:
    """Remove the checkpoints of a training that is done."""
    store.folder.remove_folder(f"{training_folder(fingerprint)}/{_CHECKPOINTS}")


def _download(store: Store, name: str, digest: str, target: Path) -> None:
    store.folder.download(name, target)
    found = file_sha256(target)
    if found != digest:
        raise DamagedError(f"{store.folder.locate(name)}: damaged (its sha256 is {found[:12]}, not {digest[:12]}).")
