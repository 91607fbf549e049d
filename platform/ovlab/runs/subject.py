"""Whose evaluation it is, from what a person names: who that is in a store, and how any process opens its network."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from torch import nn

from logoseg.checkpoint import load_weights
from logoseg.config import ModelConfig
from ovlab.files.cache import weights_cache_folder
from ovlab.runs.weights import CLIP_ALONE, clip_alone, open_model, weights_file
from ovlab.specs.evaluation import DenseClip
from ovlab.specs.fingerprint import fingerprint
from ovlab.store.artifacts import fetch_weights, file_sha256
from ovlab.store.record import TrainingRecord
from ovlab.store.store import Store


class Subject(NamedTuple):
    """`fingerprint` is the subject of an EvaluationSpec. `open_model` can be pickled and called in any process."""

    fingerprint: str
    config: ModelConfig
    open_model: Callable[[], nn.Module]


def find_subject(name: str, clip_file: Path | None, store: Store) -> Subject:
    """That of a run folder, of a file of weights, or of "clip:PRESET" with `clip_file` where no weights come with it.

    Weights in which a training of the store ended are that training, wherever the file is, and are opened from the
    store, which every machine can read. Others are known by their sha256. Raises InputError for what is not there.
    """
    if name.startswith(CLIP_ALONE):
        config, file = clip_alone(name, clip_file)
        alone = DenseClip(clip=config.clip, weights_digest=file_sha256(file), prompt_templates=config.prompt_templates)
        return Subject(fingerprint(alone), config, partial(open_model, name, file.resolve()))
    file = weights_file(Path(name)).resolve()
    digest = file_sha256(file)
    for record in store.trainings():
        if record.weights.sha256 == digest:
            return Subject(record.fingerprint, record.training.spec.model, partial(_open_stored, store, record))
    return Subject(digest, load_weights(file).model.config, partial(open_model, str(file)))


def _open_stored(store: Store, record: TrainingRecord) -> nn.Module:
    return load_weights(fetch_weights(store, record, weights_cache_folder())).model
