"""The folder of one run: what belongs to it, which run it is, and that one process at a time works in it.

spec.json             the spec, and what else the run follows from; written first
checkpoints/          the last two states
weights.safetensors   written last: a run that has it is finished
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ovlab.files.lock import locked
from ovlab.files.whole_file import PARTIAL, remove_partials, write_text
from ovlab.specs.errors import InputError
from ovlab.specs.fields import differences
from ovlab.specs.fingerprint import fingerprint
from ovlab.specs.serialization import spec_from_json, spec_to_json
from ovlab.specs.training import TrainingSpec

LOCK = ".lock"
# Differences that an error names; more would not fit a line.
NUM_NAMED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class RunIdentity:
    """What the final weights follow from: the spec, the samples by name and by content, the class names, the weights
    that do not learn, the file of all of CLIP's, and the version of the training. What is None in folders of before is
    not asked of them."""

    spec: TrainingSpec
    class_names: tuple[str, ...]
    samples_digest: str
    frozen_digest: str
    data_digest: str | None = None
    weights_digest: str | None = None
    training_version: int | None = None

    @property
    def digest(self) -> str:
        """64 hexadecimal digits: equal if and only if two runs are the same."""
        return fingerprint(self)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The places in the folder `path`."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "spec.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def weights(self) -> Path:
        return self.path / "weights.safetensors"

    def begin(self, identity: RunIdentity) -> None:
        """Write down which run this is, unless it is written already."""
        if not self.spec.exists():
            write_text(self.spec, _to_json(identity))


@contextmanager
def open_run_folder(path: Path, identity: RunIdentity) -> Iterator[RunFolder]:
    """Lock `path` for the run `identity`: a new folder, or the one in which it was begun.

    When the block ends without a call of `RunFolder.begin`, a new folder is removed again. Raises InputError, and
    changes nothing, when another process works in it, when it holds another run, or when it holds other files.
    """
    folder = RunFolder(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: not a folder. Give the folder of a run, or a new one.")
    if path.is_dir() and not folder.spec.exists() and any(not _is_ours(file) for file in path.iterdir()):
        raise InputError(f"{path}: has files but no spec.json, so it is not the folder of a run. Give a new folder.")
    is_new = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    with locked(path / LOCK, str(path)):
        remove_partials(path)
        if folder.spec.exists():
            _require_same(folder, identity)
        try:
            yield folder
        finally:
            if not folder.spec.exists():
                (path / LOCK).unlink()
                if is_new:
                    path.rmdir()


def wait_until_free(path: Path, *, seconds: float) -> None:
    """Wait until no other process works in `path`, or `seconds` have passed; one that was killed may yet be ending."""
    if (path / LOCK).exists():
        with suppress(InputError), locked(path / LOCK, str(path), seconds=seconds):
            pass


def _is_ours(file: Path) -> bool:
    # Where the folder is a store as well, and workers of a Ray train, the journal begins before spec.json, and with it
    # what publishes it.
    return file.name in (LOCK, "journals", "tracking", "tensorboard", "wandb") or file.name.endswith(PARTIAL)


def _to_json(identity: RunIdentity) -> str:
    content = {
        "fingerprint": fingerprint(identity.spec),
        "training": json.loads(spec_to_json(identity.spec)),
        "class_names": identity.class_names,
        "samples_digest": identity.samples_digest,
        "frozen_digest": identity.frozen_digest,
        "data_digest": identity.data_digest,
        "weights_digest": identity.weights_digest,
        "training_version": identity.training_version,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _read(folder: RunFolder) -> RunIdentity:
    try:
        content = json.loads(folder.spec.read_text(encoding="utf-8"))
        return RunIdentity(
            spec=spec_from_json(TrainingSpec, json.dumps(content["training"]), place=str(folder.spec)),
            class_names=tuple(content["class_names"]),
            samples_digest=content["samples_digest"],
            frozen_digest=content["frozen_digest"],
            data_digest=content.get("data_digest"),
            weights_digest=content.get("weights_digest"),
            training_version=content.get("training_version"),
        )
    except FileNotFoundError:
        raise InputError(f"{folder.path}: no spec.json there; give the folder that `ovlab train` made.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise InputError(f"{folder.spec}: not the spec.json of a run. Give another folder.") from None


def _require_same(folder: RunFolder, identity: RunIdentity) -> None:
    begun = _read(folder)
    changed = differences(begun.spec, identity.spec)
    if changed:
        named = "; ".join(f"{name} is {before!r} there, {after!r} here" for name, before, after in changed[:NUM_NAMED])
        more = f" (and {len(changed) - NUM_NAMED} more)" if len(changed) > NUM_NAMED else ""
        raise InputError(f"{folder.path}: holds another run: {named}{more}. Give another folder, or that run's values.")
    if begun.class_names != identity.class_names:
        raise InputError(
            f"{folder.path}: the classes of {identity.spec.dataset} have changed since this run began: "
            f"{len(begun.class_names)} then, {len(identity.class_names)} now. Give another folder."
        )
    if begun.samples_digest != identity.samples_digest or begun.data_digest not in (None, identity.data_digest):
        raise InputError(
            f"{folder.path}: the samples of {identity.spec.dataset} {identity.spec.split} have changed since this run "
            f"began. Give another folder."
        )
    if begun.frozen_digest != identity.frozen_digest or begun.weights_digest not in (None, identity.weights_digest):
        raise InputError(f"{folder.path}: this run began with other CLIP weights. Give those, or another folder.")
    if begun.training_version not in (None, identity.training_version):
        raise InputError(
            f"{folder.path}: this run began with training version {begun.training_version}, which ends in other "
            f"weights than version {identity.training_version} of now. Give another folder."
        )
