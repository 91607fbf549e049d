"""What the page of one run shows: its training, and each of its evaluations with classes, confusions and pictures."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ovlab.metrics.counting import SparseCounts
from ovlab.metrics.image_scores import best_and_worst, image_scores
from ovlab.report.charts import Panel, curve_panel
from ovlab.report.confusions import Confused, most_confused
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import DenseClip, Untrained
from ovlab.specs.fields import leaves
from ovlab.specs.run_limits import limits_text
from ovlab.specs.scores import SCORES, Score
from ovlab.specs.wording import gap_text
from ovlab.store.journal import read_curve, read_journal, validations_of
from ovlab.store.pairs import SHORT, stored_counts, tables
from ovlab.store.pictures import Picture, PictureClass, Pictures, pictures_of
from ovlab.store.record import DamagedError, EvaluationRecord, TrainingRecord
from ovlab.store.store import Store

NUM_CONFUSED = 15
NUM_EXTREMES = 8
# Of the words that are only predicted, those that the legend of a picture names at once.
NUM_ABSENT = 6

_log = logging.getLogger(__name__)


class Place(NamedTuple):
    """A row of a table that a run stands behind, with its seed there, if it has one. `key` is the row's: labels may
    repeat."""

    table: str
    key: str
    label: str
    seed: int | None


class Sibling(NamedTuple):
    """Another seed of the same row. `page` is the name of its file."""

    seed: int
    page: str


class ClassRow(NamedTuple):
    """A class of a benchmark, as in ClassFigures. seen: whether training has named it; None where that is not known."""

    name: str
    iou: float | None
    accuracy: float | None
    num_gt_pixels: int
    num_pred_pixels: int
    seen: bool | None


class Shown(NamedTuple):
    """A picture of the gallery. words: the classes of its legend, those that are in the ground truth first; more: those
    that are only predicted, in smaller areas."""

    picture: Picture
    words: tuple[PictureClass, ...]
    more: tuple[PictureClass, ...]


class ImageScore(NamedTuple):
    """An image and its own mIoU as a fraction. is_shown: whether the gallery has it."""

    id: str
    miou: float
    is_shown: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationPart:
    """One benchmark on the page of a run. `anchor` is its place there. classes: those that are in the ground truth, the
    best first; only_predicted: those that are not, the largest first. settings: what was evaluated, and how, by dotted
    name. problem: why something is missing, or ""."""

    record: EvaluationRecord
    anchor: str
    classes: tuple[ClassRow, ...]
    only_predicted: tuple[ClassRow, ...]
    settings: tuple[tuple[str, str], ...]
    confused: tuple[Confused, ...]
    best: tuple[ImageScore, ...]
    worst: tuple[ImageScore, ...]
    pictures: tuple[Shown, ...]
    problem: str

    @property
    def gap(self) -> str:
        """What its gap to 100 % is made of, in words, or ""."""
        return gap_text(self.record.figures)

    @property
    def num_absent(self) -> int:
        """Classes that are in neither map of any image."""
        return self.record.num_classes - len(self.classes) - len(self.only_predicted)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPage:
    """The page of a training, or of what needs none. summary: what it is, in words. places: the rows of tables that it
    stands behind; siblings: the other seeds of the first of them. settings: every value of its spec by dotted name;
    provenance alike. limits: what it was limited to, in words, or ""."""

    fingerprint: str
    summary: str
    weights_digest: str | None
    training: TrainingRecord | None
    places: tuple[Place, ...]
    siblings: tuple[Sibling, ...]
    settings: tuple[tuple[str, str], ...]
    provenance: tuple[tuple[str, str], ...]
    curves: tuple[Panel, ...]
    evaluations: tuple[EvaluationPart, ...]
    limits: str

    @property
    def scores(self) -> tuple[Score, ...]:
        """Those that any of its evaluations holds."""
        held = {name for part in self.evaluations for name in part.record.figures}
        return tuple(score for name, score in SCORES.items() if name in held)


def page_name(subject: str) -> str:
    """The file of a run's page, from the fingerprint of its training, or of what needs none."""
    return f"{subject[:SHORT]}.html"


def anchor(record: EvaluationRecord) -> str:
    """The place of an evaluation on the page of its run."""
    return f"{record.evaluation.benchmark}-{record.fingerprint[:8]}"


def summary_of(subject: TrainingRecord | Untrained) -> str:
    """What it is, in a few words."""
    if isinstance(subject, TrainingRecord):
        spec = subject.training.spec
        return f"{spec.model.clip.name} on {spec.dataset}"
    if isinstance(subject, DenseClip):
        return f"{subject.clip.name} alone, not trained"
    return f"{subject.model.method} on {subject.model.clip.name}, not trained"


def run_page(
    subject: TrainingRecord | Untrained,
    evaluations: Sequence[EvaluationRecord],
    store: Store,
    places: Sequence[Place],
    siblings: Sequence[Sibling],
) -> RunPage:
    """Everything that the page of a run shows; what is not trained has one evaluation at least. What is damaged in the
    store is named there and in a warning."""
    training = subject if isinstance(subject, TrainingRecord) else None
    spec = subject.training.spec if isinstance(subject, TrainingRecord) else None
    return RunPage(
        fingerprint=evaluations[0].evaluation.subject if training is None else training.fingerprint,
        summary=summary_of(subject),
        weights_digest=(
            subject.training.weights_digest if isinstance(subject, TrainingRecord) else subject.weights_digest
        ),
        training=training,
        places=tuple(places),
        siblings=tuple(siblings),
        settings=_settings(subject if spec is None else spec),
        provenance=tuple(_flat((training or evaluations[0]).provenance, "")),
        curves=() if training is None else _curves(store, training),
        evaluations=tuple(_evaluation(record, store) for record in evaluations),
        limits=limits_text(spec, [record.evaluation for record in evaluations]),
    )


def _evaluation(record: EvaluationRecord, store: Store) -> EvaluationPart:
    problems = []
    confused: list[Confused] = []
    best: list[ImageScore] = []
    worst: list[ImageScore] = []
    pictures = Pictures(pictures=())
    try:
        pictures = pictures_of(store, record.fingerprint) or pictures
    except DamagedError as error:
        problems.append(str(error))
    try:
        sparse = stored_counts(store, record)
        counts = tables(sparse, record.num_classes)
    except InputError as error:
        problems.append(str(error))
    else:
        names = [figures.name for figures in record.classes]
        confused = most_confused(SparseCounts(sparse.gt, sparse.pred, sparse.count), names, NUM_CONFUSED)
        scores, shown = image_scores(counts), {picture.id for picture in pictures.pictures}
        best, worst = (
            [ImageScore(counts.ids[row], float(scores[row]), counts.ids[row] in shown) for row in rows]
            for rows in best_and_worst(scores, NUM_EXTREMES)
        )
    classes = list(_classes(record))
    for problem in problems:
        _log.warning("%s It is left out of the page of its run.", problem)
    return EvaluationPart(
        record=record,
        anchor=anchor(record),
        classes=tuple(sorted((row for row in classes if row.num_gt_pixels), key=lambda row: -(row.iou or 0))),
        only_predicted=tuple(
            sorted((row for row in classes if not row.num_gt_pixels), key=lambda row: -row.num_pred_pixels)
        ),
        settings=_settings(record.evaluation),
        confused=tuple(confused),
        best=tuple(best),
        worst=tuple(worst),
        pictures=tuple(map(_shown, pictures.pictures)),
        problem=" ".join(problems),
    )


def _shown(picture: Picture) -> Shown:
    in_truth = tuple(found for found in picture.classes if found.num_gt_pixels)
    absent = tuple(found for found in picture.classes if not found.num_gt_pixels)
    return Shown(picture, in_truth + absent[:NUM_ABSENT], absent[NUM_ABSENT:])


def _classes(record: EvaluationRecord) -> Iterator[ClassRow]:
    seen = record.seen_classes
    is_seen: Sequence[bool | None] = [None] * record.num_classes if seen is None else seen.tolist()
    for found, known in zip(record.classes, is_seen, strict=True):
        if found.num_gt_pixels or found.num_pred_pixels:
            yield ClassRow(found.name, found.iou, found.accuracy, found.num_gt_pixels, found.num_pred_pixels, known)


def _curves(store: Store, training: TrainingRecord) -> tuple[Panel, ...]:
    """Loss, scores on the way, learning rate and gradient over the updates; none where nothing was told of them."""
    steps = read_curve(store, training.fingerprint)
    told = (
        ("Training loss", "loss", [step.loss for step in steps]),
        ("Learning rate", "rate", [step.learning_rate for step in steps]),
        ("Gradient before clipping", "norm", [step.grad_norm for step in steps]),
    )
    updates = [float(step.step) for step in steps]
    loss, *others = (curve_panel(title, "update", unit, updates, values) for title, unit, values in told)
    panels = (loss, _validation(store, training), *others)
    return tuple(panel for panel in panels if panel is not None)


def _validation(store: Store, training: TrainingRecord) -> Panel | None:
    scored = [one for one in validations_of(read_journal(store, training.fingerprint)) if "miou" in one.figures]
    if not scored:
        return None
    title = f"mIoU on {scored[0].num_images} images of {scored[0].benchmark} {scored[0].split}"
    updates, scores = [float(one.step) for one in scored], [100 * one.figures["miou"] for one in scored]
    return curve_panel(title, "update", "mIoU, %", updates, scores)


def _settings(spec: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in leaves(spec).items())


def _flat(values: object, prefix: str) -> list[tuple[str, str]]:
    """Nested JSON as dotted names and text."""
    if isinstance(values, dict):
        return [item for name, value in values.items() for item in _flat(value, f"{prefix}.{name}" if prefix else name)]
    if isinstance(values, list | tuple):
        return [(prefix, ", ".join(map(str, values)))]
    return [(prefix, str(values))]
