"""The evaluation protocol as data: everything between a network and its score that is a choice.

The field's scores differ as much by protocol as by model: the resize rule, one template or fourteen, which of a
class's synonyms are read, and above all what mIoU is divided by (on PC-459 that alone moves a score by a third). So
every result carries `protocol_hash`, and scores stand in one column only when their `scoring_hash` agrees.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from logoseg.config import ClipConfig, Inference, SlidingWindow, WholeImage
from logoseg.prompts import PAPER, is_template
from ovlab.specs.errors import InputError
from ovlab.specs.fingerprint import ADDED_LATER, added_later, fingerprint
from ovlab.specs.method import MethodConfig
from ovlab.specs.resolved import require_digest

# Raised whenever the same weights would predict otherwise: by another view, encoder, head or up-sampling.
PREDICTION_VERSION = 2
# That of the evaluations that name none, which is no matter of what today's is.
_FIRST_PREDICTION_VERSION = 1
# Raised whenever the same predictions would be given another score.
EVALUATOR_VERSION = 1

# The trim width of Boundary IoU in its paper, as a share of the image diagonal.
BOUNDARY = 0.02

# A class with several names is read by its first ("first", CAT-Seg), or by the mean of the normalised embeddings of all
# ("average", SED).
SynonymRule = Literal["first", "average"]

# CAT-Seg scores at most this many classes a view, those with the largest cosine in any pixel.
CAT_SEG_CLASS_CAP = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Collapse:
    """PAS-20b: the model is asked for more names than are scored.

    Every predicted index >= `background` becomes `background`, the last class of the label space, so that
    `background` + 1 classes are scored.
    """

    background: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Scoring:
    """What a score means, whatever model and views it came from.

    `headline` is the denominator of the mIoU that is called so: the classes with ground truth ("ground_truth"), or
    those with ground truth or a prediction ("ground_truth_or_prediction", detectron2 before July 2022). The other one
    is always reported beside it. `boundary`: the trim width of Boundary IoU as a share of the image diagonal; None
    where boundaries are not counted.
    """

    headline: Literal["ground_truth", "ground_truth_or_prediction"] = "ground_truth"
    collapse: Collapse | None = None
    evaluator_version: int = EVALUATOR_VERSION
    boundary: float | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        if self.boundary is not None and not 0 < self.boundary < 1:
            raise InputError(f"Scoring.boundary must be a share between 0 and 1, or None; got {self.boundary}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How a network is asked, and how its answers are scored. The label maps are scored at their own resolution.

    `synonyms`: by which of its names a class is read. `class_cap`: the largest number of classes scored in one view;
    None is no limit.
    """

    inference: Inference
    prompt_templates: tuple[str, ...] = PAPER
    synonyms: SynonymRule = "first"
    class_cap: int | None = None
    scoring: Scoring = field(default_factory=Scoring)

    def __post_init__(self) -> None:
        if not self.prompt_templates or not all(map(is_template, self.prompt_templates)):
            raise InputError("Protocol.prompt_templates must be templates that each hold {} for the class name.")
        if self.class_cap is not None and self.class_cap < 1:
            raise InputError(f"Protocol.class_cap must be at least 1, or None for no limit; got {self.class_cap}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class DenseClip:
    """A subject that is not trained: every pixel's class is the word nearest to CLIP's dense feature there.

    `weights_digest` is the sha256 of the CLIP file.
    """

    clip: ClipConfig
    weights_digest: str
    prompt_templates: tuple[str, ...] = PAPER

    def __post_init__(self) -> None:
        require_digest("DenseClip.weights_digest", self.weights_digest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Released:
    """A subject of another method that is not trained here: one that needs no training, or weights that somebody
    published. `weights_digest` is the sha256 of the file of CLIP, or of the published weights."""

    model: MethodConfig
    weights_digest: str

    def __post_init__(self) -> None:
        require_digest("Released.weights_digest", self.weights_digest)


# A subject without a training of ours.
Untrained = DenseClip | Released


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationSpec:
    """One subject on one split: its scores follow from these values alone.

    subject: `training_fingerprint` of a training, or the fingerprint of an Untrained. benchmark: the name of the data
    set. data_digest: of the split. vocabulary_digest: of the names asked for and of what the labels mean. num_images:
    only the first so many of the split; None for all. The protocol carries the label space of the benchmark.
    prediction_version: PREDICTION_VERSION when the predictions were made.
    """

    subject: str
    benchmark: str
    split: str
    data_digest: str
    vocabulary_digest: str
    protocol: Protocol
    num_images: int | None = None
    prediction_version: int = field(default=_FIRST_PREDICTION_VERSION, metadata=added_later(_FIRST_PREDICTION_VERSION))

    def __post_init__(self) -> None:
        for name in ("subject", "data_digest", "vocabulary_digest"):
            require_digest(f"EvaluationSpec.{name}", getattr(self, name))
        for name in ("benchmark", "split"):
            if not getattr(self, name) or "/" in getattr(self, name):
                raise InputError(f"EvaluationSpec.{name} must be a name and no place, got {getattr(self, name)!r}.")
        if self.num_images is not None and self.num_images < 1:
            raise InputError(f"EvaluationSpec.num_images must be at least 1, or None for all; got {self.num_images}.")


def sliding_window(input_size: int = 384) -> Protocol:
    """CAT-Seg's protocol for a ViT: 640 square, windows of 384 at stride 256, and a global view. `input_size` is the
    side at which the model runs: 384 for ViT-B/16, 336 for ViT-L/14@336."""
    return Protocol(inference=SlidingWindow(input_size=input_size), class_cap=CAT_SEG_CLASS_CAP)


def whole_768() -> Protocol:
    """SED's views for a ConvNeXt: the whole image stretched to 768 square; class cap and template as for a ViT."""
    return Protocol(inference=WholeImage(size=768), class_cap=CAT_SEG_CLASS_CAP)


def whole(size: int = 384) -> Protocol:
    """One view of the whole image, its aspect kept, its short side `size`: for folders and the miniature world."""
    return Protocol(inference=WholeImage(size=size, resize="keep_aspect"))


PROTOCOLS = {"sliding-window": sliding_window, "whole-768": whole_768, "whole": whole}


def evaluation_fingerprint(spec: EvaluationSpec) -> str:
    """64 hexadecimal digits: equal if and only if two evaluations are the same."""
    return fingerprint(spec)


def protocol_hash(protocol: Protocol) -> str:
    """64 hexadecimal digits: equal if and only if two scores were made the same way."""
    return fingerprint(protocol)


def scoring_hash(protocol: Protocol) -> str:
    """64 hexadecimal digits: equal if and only if two scores mean the same, so that they may share a column."""
    return fingerprint(protocol.scoring)


def meaning_hash(protocol: Protocol, *, of_boundary: bool) -> str:
    """As `scoring_hash`, of one score: whether boundaries are counted is no matter to one that is not of them."""
    return scoring_hash(protocol if of_boundary else with_boundary(protocol, None))


def with_boundary(protocol: Protocol, share: float | None = BOUNDARY) -> Protocol:
    """The protocol with boundaries counted beside all else."""
    return replace(protocol, scoring=replace(protocol.scoring, boundary=share))
