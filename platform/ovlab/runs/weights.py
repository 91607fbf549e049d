"""From what a person gives to a network: a run, a file of weights, or CLIP alone as "clip:PRESET"."""

from pathlib import Path

from logoseg.checkpoint import load_weights
from logoseg.clip.released_weights import load_clip
from logoseg.clip.shipped import shipped_clip
from logoseg.config import ModelConfig
from logoseg.dense_clip import DenseClip
from logoseg.network import LoGoSeg
from logoseg.presets import PRESETS
from ovlab.runs.clip_files import missing
from ovlab.specs.errors import InputError

CLIP_ALONE = "clip:"


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


def open_model(name: str, clip_file: Path | None = None) -> LoGoSeg | DenseClip:
    """The network of a run folder or weights file; for "clip:PRESET", the towers of that preset and nothing trained.

    `clip_file` holds the released weights of those towers; the presets of the shapes suite have theirs with them.
    """
    if not name.startswith(CLIP_ALONE):
        return load_weights(weights_file(Path(name))).model
    config, file = clip_alone(name, clip_file)
    return DenseClip(config, load_clip(config.clip, file)).eval()


def clip_alone(name: str, clip_file: Path | None = None) -> tuple[ModelConfig, Path]:
    """The configuration that "clip:PRESET" names, and the file of its towers: `clip_file`, or what comes with it."""
    preset = name.removeprefix(CLIP_ALONE)
    if preset not in PRESETS:
        raise InputError(f"{name}: no preset {preset!r}. There are {', '.join(sorted(PRESETS))}.")
    config = PRESETS[preset]()
    file = clip_file or shipped_clip(config.clip)
    if file is None:
        raise InputError(f"{name}: {missing(config.clip)}; give --clip FILE.")
    if not file.is_file():
        raise InputError(f"{file}: no such file. Give the path of a CLIP checkpoint.")
    return config, file
