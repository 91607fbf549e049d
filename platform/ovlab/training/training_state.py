"""The state of a run between two steps, on disk.

It holds the weights that learn, the buffers, the optimiser, the number of updates done and with it the position in
the stream of samples. The state of the random generators needs no file: `seed_step` sets it before every update from
the seed and the step alone, so neither a restart nor anything that runs between two updates can shift it. Frozen
weights are not written, since the same command builds them again; `frozen_digest` proves it.
"""

import logging
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from logoseg.weights_file import tensors_digest
from ovlab.files.sealed import append_seal, is_sealed
from ovlab.files.whole_file import remove_partials, writing
from ovlab.specs.errors import InputError
from ovlab.specs.fingerprint import fingerprint
from ovlab.specs.serialization import spec_to_json
from ovlab.training.run_folder import RunIdentity

FORMAT = "ovlab-training-1"
# The one before the last is there in case the disk has damaged the last.
NUM_KEPT = 2
# In place of .pt.
DAMAGED = ".damaged"

_log = logging.getLogger(__name__)


class TrainingState(NamedTuple):
    """What a run continues from. `step` counts the updates done, `position` the samples drawn from the stream.

    `spec` is the run's spec as JSON, so that a file tells what it is wherever it is copied to, and `fingerprint` the
    spec's; `run` is the digest of all that the run follows from, None in files of before.
    """

    step: int
    position: int
    fingerprint: str
    spec: str
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    run: str | None = None


def capture(step: int, position: int, run: RunIdentity, model: nn.Module, optimizer: Optimizer) -> TrainingState:
    """The present state, sharing memory with the model and the optimiser."""
    frozen = {name for name, _ in _frozen(model)}
    weights = {name: value for name, value in model.state_dict().items() if name not in frozen}
    known_by = fingerprint(run.spec), spec_to_json(run.spec)
    return TrainingState(step, position, *known_by, weights, optimizer.state_dict(), run.digest)


def restore(state: TrainingState, run: RunIdentity, model: nn.Module, optimizer: Optimizer) -> None:
    """Put the weights and the optimiser back. Raises InputError when they are of another run or another model."""
    if state.fingerprint != fingerprint(run.spec):
        raise InputError(f"the checkpoint of step {state.step} was made by another spec. Give another run folder.")
    if state.run not in (None, run.digest):
        raise InputError(
            f"the checkpoint of step {state.step} is of a run with other data, classes or CLIP weights. Remove it, or "
            f"give another run folder."
        )
    frozen = {name for name, _ in _frozen(model)}
    own = {name: value.shape for name, value in model.state_dict().items() if name not in frozen}
    found = {name: value.shape for name, value in state.model.items()}
    if own != found:
        name = sorted(own.items() ^ found.items())[0][0]
        raise InputError(
            f"the checkpoint of step {state.step} is another model's: {name} is {_shape(found.get(name))} there and "
            f"{_shape(own.get(name))} here. Give another run folder."
        )
    model.load_state_dict(state.model, strict=False)
    optimizer.load_state_dict(state.optimizer)


def save_state(folder: Path, state: TrainingState) -> Path:
    """Write `state` into `folder`, atomically, and keep the NUM_KEPT newest files there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{state.step:08d}.pt"
    # Given a name instead of a file, torch writes it into the file, and no two would be equal.
    with writing(path) as partial:
        with partial.open("wb") as file:
            torch.save({"format": FORMAT, **state._asdict()}, file)
        append_seal(partial)
    for old in _newest_first(folder)[NUM_KEPT:]:
        old.unlink()
    return path


def load_newest_state(folder: Path) -> TrainingState | None:
    """The newest sound state in `folder`; None when it holds none.

    Damaged files are set aside and named in one warning.
    """
    remove_partials(folder)
    state, problems = None, []
    for path in _newest_first(folder):
        try:
            state = _read(path)
            break
        except (OSError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
            problems.append(f"{path} ({str(error).splitlines()[0] if str(error) else type(error).__name__})")
            # Otherwise it would be taken for newer than those to come.
            path.rename(path.with_suffix(DAMAGED))
    if problems:
        then = "begins from the start" if state is None else f"goes on from step {state.step}"
        _log.warning("damaged: %s; the training %s.", ", ".join(problems), then)
    return state


def seed_step(seed: int, step: int) -> None:
    """Set torch's generators, on every device, to a state that depends on `seed` and `step` only."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0]))


def frozen_digest(model: nn.Module) -> str:
    """sha256 of the names and values of the weights that do not learn, as 64 hexadecimal digits."""
    return tensors_digest(dict(_frozen(model)), "")


def _frozen(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, weight) for name, weight in model.named_parameters() if not weight.requires_grad)


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.pt"), reverse=True)


def _read(path: Path) -> TrainingState:
    if not is_sealed(path):
        with zipfile.ZipFile(path) as archive:  # torch.load does not look at the checksums
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} does not match")
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content.pop("format", None) != FORMAT:
        raise ValueError(f"not of the format {FORMAT}")
    return TrainingState(**content)


def _shape(shape: torch.Size | None) -> str:
    return "missing" if shape is None else str(tuple(shape))
