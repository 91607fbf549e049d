"""Whose evaluation it is, from what a person names: a run, a file of weights, a method that needs no training as
"clip:PRESET", or weights that somebody published as "cat-seg:FILE"."""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from logoseg.clip.bridge_facts import BRIDGES
from logoseg.clip.released_weights import load_clip
from logoseg.clip.shipped import shipped_clip
from logoseg.dense_clip import DenseClip as DenseClipNetwork
from logoseg.presets import PRESETS
from ovlab.files.cache import text_cache_folder, weights_cache_folder
from ovlab.files.sealed import DamagedError
from ovlab.methods.networks import build_network, model_of, read_network
from ovlab.methods.registry import NO_FILES, named_method, of_network, released_network
from ovlab.runs.clip_files import given_file, missing, provenance_of
from ovlab.runs.identity import resolve_untrained
from ovlab.runs.planned import PlannedUntrained
from ovlab.runs.sources import Sources
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import Released, Untrained
from ovlab.specs.fingerprint import fingerprint
from ovlab.specs.method import MethodConfig, Model
from ovlab.specs.table import CLIP
from ovlab.store.artifacts import fetch_weights, file_sha256
from ovlab.store.record import TrainingRecord
from ovlab.store.store import Store, open_store


class Subject(NamedTuple):
    """`fingerprint` is the subject of an EvaluationSpec. `open_model` gives a Segmenter; it can be pickled and
    called in any process. `untrained` is what stands behind the fingerprint where that is no training, and
    `clip_origin` what is known of its CLIP weights."""

    fingerprint: str
    config: Model
    open_model: Callable[[], Any]
    untrained: Untrained | None = None
    clip_origin: str | None = None


def find_subject(
    name: str,
    clip: str | None = None,
    store: Store | None = None,
    method_files: Mapping[str, str] = NO_FILES,
) -> Subject:
    """That of a run folder, of a file of weights, of METHOD:PRESET, whose towers are `clip` (a file or a name) or come
    with it, or of METHOD:FILE, published weights.

    Weights in which a training of `store`, or of a run folder that is a store, ended are that training, wherever the
    file is. Others are known by their sha256. Raises InputError for what is not there, and ModelError for what cannot
    be read.
    """
    if not is_run(name):
        method, _, rest = name.partition(":")
        if rest in PRESETS:
            return _untrained(method, rest, clip, method_files)
        return _released(method, rest, method_files)
    run = Path(name)
    file = Path(os.path.realpath(weights_file(run)))
    digest = file_sha256(file)
    places = [store] if store is not None else []
    own = [open_store(name)] if run.is_dir() else []
    for place in places + own:
        for record in place.trainings():
            if record.weights.sha256 == digest:
                opener = partial(open_stored, place, record, method_files)
                return Subject(record.fingerprint, record.training.spec.model, opener)
    if any(record for place in own for record in place.trainings()):
        raise DamagedError(
            f"{file}: not the weights in which a training of {run} ended. Without it, those in trainings/ are read."
        )
    return Subject(digest, model_of(file), partial(_open_file, file, method_files))


def is_run(name: str) -> bool:
    """Whether it is the place of a run or of weights of ours, and not METHOD:PRESET or METHOD:FILE."""
    return ":" not in name or Path(name).exists()


def open_stored(store: Store, record: TrainingRecord, method_files: Mapping[str, str] = NO_FILES) -> Any:
    """The network of a training of `store`; its weights are copied into the cache, and held against their sha256."""
    return read_network(fetch_weights(store, record, weights_cache_folder()), method_files)


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


def _untrained(method: str, preset: str, clip: str | None, method_files: Mapping[str, str]) -> Subject:
    """A method that needs no training, CLIP alone among them, on the CLIP of a preset."""
    name, config = f"{method}:{preset}", PRESETS[preset]()
    if method == CLIP and config.clip.name in BRIDGES:
        raise InputError(f"{name}: {preset} stands on no CLIP; write bridge:{preset}.")
    file = shipped_clip(config.clip) if clip is None else given_file(config.clip, clip)
    if file is None:
        raise InputError(f"{name}: {missing(config.clip)}; give --clip FILE.")
    load_clip(config.clip, file, text_cache_folder())  # what cannot be read is refused before anything is written
    # CLIP alone has no regions.
    model: Model = replace(config, region_alignment=False)
    if method != CLIP:
        own = f"{method_files[method]}:{method}" if method in method_files else method
        model = named_method(own, preset, {})
    subject = resolve_untrained(model, file, name)
    opener = partial(open_untrained, model, Path(os.path.realpath(file)), method_files)
    return Subject(fingerprint(subject), model, opener, subject, provenance_of(config.clip, file))


def _released(method: str, file: str, method_files: Mapping[str, str]) -> Subject:
    """Weights that the authors of a method published."""
    path = Path(os.path.realpath(file))
    if method == CLIP or not path.is_file():
        near = difflib.get_close_matches(file, PRESETS, n=1, cutoff=0.0)[0]
        raise InputError(f"{method}:{file}: neither a preset nor a file. The nearest preset is {near!r}.")
    model = of_network(method, released_network(method, path, method_files), method_files)
    subject = Released(model=model, weights_digest=file_sha256(path))
    return Subject(fingerprint(subject), model, partial(_open_released, method, path, method_files), subject)


def _open_released(method: str, path: Path, method_files: Mapping[str, str]) -> Any:
    return released_network(method, path, method_files).eval()


def _open_file(file: Path, method_files: Mapping[str, str]) -> Any:
    return read_network(file, method_files)


def open_untrained(model: Model, clip_file: Path, method_files: Mapping[str, str]) -> Any:
    """The network of a model that needs no training: CLIP alone, or that of another method."""
    torch.manual_seed(0)  # whatever is not trained and not CLIP's is the same in every process
    clip = load_clip(model.clip, clip_file, text_cache_folder())
    if isinstance(model, MethodConfig):
        return build_network(model, clip, method_files).eval()
    return DenseClipNetwork(model, clip).eval()


def opener_of(planned: PlannedUntrained, sources: Sources) -> Callable[[], Any]:
    """What opens the network of a plan's subject that needs no training. Raises InputError where it is blocked."""
    file = sources.clip_file(planned.preset)
    if planned.subject is None or file is None:
        raise InputError(" ".join(planned.problems))
    return partial(open_untrained, planned.model, file, sources.method_files)
