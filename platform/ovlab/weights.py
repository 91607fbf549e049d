"""From what a person gives, a run or a file, to a network."""

from pathlib import Path

from logoseg.checkpoint import Weights, load_weights
from ovlab.specs.errors import InputError


def weights_file(run: Path) -> Path:
    """The weights of a run folder, or the file itself. Raises InputError when there are none yet."""
    if run.is_file():
        return run
    file = run / "weights.safetensors"
    if not run.exists():
        raise InputError(
            f"{run}: no such run. Give the folder that `ovlab train --out` wrote, or a weights.safetensors."
        )
    if not file.exists():
        raise InputError(f"{run}: no weights.safetensors yet; the same `ovlab train` command finishes the run.")
    return file


def open_weights(run: Path) -> Weights:
    """The network of a run folder or of a weights file, and the names it was trained on."""
    return load_weights(weights_file(run))
