"""Whose evaluation it is, from what a person names: a run, a file of weights, or CLIP alone as "clip:PRESET"."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from logoseg.checkpoint import load_weights
from logoseg.clip.released_weights import load_clip
from logoseg.clip.shipped import shipped_clip
from logoseg.config import ModelConfig
from logoseg.dense_clip import DenseClip as DenseClipNetwork
from logoseg.network import LoGoSeg
from logoseg.presets import PRESETS
from ovlab.files.cache import weights_cache_folder
from ovlab.runs.clip_files import missing
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import DenseClip
from ovlab.specs.fingerprint import fingerprint
from ovlab.store.artifacts import fetch_weights, file_sha256
from ovlab.store.record import TrainingRecord
from ovlab.store.store import Store, open_store

CLIP_ALONE = "clip:"


class Subject(NamedTuple):
    """`fingerprint` is the subject of an EvaluationSpec. `open_model` can be pickled and called in any process."""

    fingerprint: str
    config: ModelConfig
    open_model: Callable[[], LoGoSeg | DenseClipNetwork]


def find_subject(name: str, clip_file: Path | None = None, store: Store | None = None) -> Subject:
    """That of a run folder, of a file of weights, or of "clip:PRESET", whose towers are in `clip_file` or come with it.

    Weights in which a training of `store`, or of a run folder that is a store, ended are that training, wherever the
    file is. Others are known by their sha256. Raises InputError for what is not there,
    and ModelError for what cannot be read.
    """
    if name.startswith(CLIP_ALONE):
        return _clip_alone(name, clip_file)
    run = Path(name)
    file = weights_file(run).resolve()
    digest = file_sha256(file)
    places = [store] if store is not None else []
    for place in [*places, open_store(name)] if run.is_dir() else places:
        for record in place.trainings():
            if record.weights.sha256 == digest:
                return Subject(record.fingerprint, record.training.spec.model, partial(open_stored, place, record))
    return Subject(digest, load_weights(file).model.config, partial(_open_file, file))


def open_stored(store: Store, record: TrainingRecord) -> LoGoSeg:
    """The network of a training of `store`; its weights are copied into the cache, and held against their sha256."""
    return load_weights(fetch_weights(store, record, weights_cache_folder())).model


def weights_file(run: Path) -> Path:
    """The weights of a run folder, or the file itself. Raises InputError when there are none yet."""
    if run.is_file():
        return run
    if not run.exists():
        raise InputError(
            f"{run}: no such run. Give the folder that `ovlab train --out` wrote, or a weights.safetensors."
        )
    file = run / "weights.safetensors"
    if file.exists():
        return file
    stored = list((run / "trainings").glob("*/weights-*.safetensors"))
    finished = [file for file in stored if (file.parent / "record.json").exists()]
    if len(finished) > 1:
        raise InputError(
            f"{run}: {len(finished)} trainings are finished there; give the weights of one, {finished[0]}."
        )
    if not finished:
        raise InputError(f"{run}: no weights.safetensors yet; the same `ovlab train` command finishes the run.")
    return finished[0]


def _clip_alone(name: str, clip_file: Path | None) -> Subject:
    preset = name.removeprefix(CLIP_ALONE)
    if preset not in PRESETS:
        raise InputError(f"{name}: no preset {preset!r}. There are {', '.join(sorted(PRESETS))}.")
    config = PRESETS[preset]()
    file = clip_file or shipped_clip(config.clip)
    if file is None:
        raise InputError(f"{name}: {missing(config.clip)}; give --clip FILE.")
    if not file.is_file():
        raise InputError(f"{file}: no such file. Give the path of a CLIP checkpoint.")
    load_clip(config.clip, file)  # what cannot be read is refused before anything is written
    alone = DenseClip(clip=config.clip, weights_digest=file_sha256(file), prompt_templates=config.prompt_templates)
    return Subject(fingerprint(alone), config, partial(_open_clip, config, file.resolve()))


def _open_file(file: Path) -> LoGoSeg:
    return load_weights(file).model


def _open_clip(config: ModelConfig, file: Path) -> DenseClipNetwork:
    return DenseClipNetwork(config, load_clip(config.clip, file)).eval()
