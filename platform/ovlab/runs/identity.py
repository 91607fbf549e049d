"""From a spec and the data it names to the identity of a run, without computing anything and without torch."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from logoseg.config import LARGEST_SIDE, WholeImage
from ovlab.datasets.opening import open_dataset
from ovlab.datasets.sample import SegmentationDataset
from ovlab.methods.registry import NO_FILES
from ovlab.runs.planned import PlannedTraining
from ovlab.runs.sources import Sources
from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import PREDICTION_VERSION, DenseClip, EvaluationSpec, Protocol, Released, Scoring, Untrained
from ovlab.specs.method import MethodConfig, Model
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.specs.training import TrainingSpec
from ovlab.store.artifacts import file_sha256


def plan_training(
    spec: TrainingSpec, preset: str, clip: str | None, method_files: Mapping[str, str] = NO_FILES
) -> tuple[PlannedTraining, Sources]:
    """A training, and where its data and its CLIP weights lie here, from what a person names: `spec.dataset` is a place
    or a name, `clip` a file of CLIP weights for the preset.

    Raises InputError for data and weights that are not there.
    """
    dataset = open_dataset(spec.dataset, spec.split)
    is_painted = spec.dataset in SHAPES_NAMES
    sources = Sources(
        places={} if is_painted else {dataset.name: spec.dataset},
        clip_files={} if clip is None else {preset: clip},
        method_files=method_files,
    ).absolute()
    resolved = resolve_training(spec, dataset, sources.clip_file(preset))
    training = PlannedTraining(
        spec=resolved.spec,
        preset=preset,
        status="missing",
        resolved=resolved,
        fingerprint=training_fingerprint(resolved),
    )
    return training, sources


def resolve_training(
    spec: TrainingSpec, dataset: SegmentationDataset, clip_file: Path | None = None
) -> ResolvedTraining:
    """What the weights of `spec` follow from. `dataset` is its split, opened; a place in `spec.dataset` gives way to
    the name of the data set. Raises InputError for a CLIP file that is not there."""
    if clip_file is not None and not clip_file.is_file():
        raise InputError(f"{clip_file}: no such file. Give the path of a CLIP checkpoint.")
    return ResolvedTraining(
        spec=replace(spec, dataset=dataset.name),
        data_digest=dataset.digest,
        weights_digest=None if clip_file is None else file_sha256(clip_file),
    )


def resolve_untrained(model: Model, clip_file: Path | None, name: str) -> Untrained:
    """A model that needs no training as a subject. `name` is for the message.

    Raises InputError where CLIP's weights are random: nothing would be known.
    """
    if clip_file is None:
        raise InputError(f"{name}: needs the weights of {model.clip.name}, and is not trained here; give --clip.")
    if not clip_file.is_file():
        raise InputError(f"{clip_file}: no such file. Give the path of a CLIP checkpoint.")
    digest = file_sha256(clip_file)
    if isinstance(model, MethodConfig):
        return Released(model=model, weights_digest=digest)
    return DenseClip(clip=model.clip, weights_digest=digest, prompt_templates=model.prompt_templates)


def resolve_evaluation(
    subject: str, dataset: SegmentationDataset, split: str, protocol: Protocol, *, num_images: int | None = None
) -> EvaluationSpec:
    """The evaluation of `subject`, a fingerprint, on `dataset`, which is the whole split, opened.

    A limit `num_images` that leaves nothing out is none: such an evaluation is that of the whole split. The label space
    of the data set becomes part of the protocol. Raises InputError for a headline that no figure is made by.
    """
    if protocol.scoring.headline != Scoring().headline:
        raise InputError("Scoring.headline: miou is over the classes in the ground truth; the other is legacy_miou.")
    labels = dataset.label_space(protocol.synonyms)
    return EvaluationSpec(
        subject=subject,
        benchmark=dataset.name,
        split=split,
        data_digest=dataset.digest,
        vocabulary_digest=labels.digest,
        protocol=replace(protocol, scoring=replace(protocol.scoring, collapse=labels.collapse)),
        num_images=None if num_images is None or num_images >= len(dataset) else num_images,
        prediction_version=PREDICTION_VERSION,
        longest_side=longest_side(dataset, protocol),
    )


def longest_side(dataset: SegmentationDataset, protocol: Protocol) -> int | None:
    """See EvaluationSpec."""
    view = protocol.inference
    is_squeezed = isinstance(view, WholeImage) and any(map(view.squeezes, dataset.shapes or ()))
    return LARGEST_SIDE if is_squeezed else None
