"""The evaluation protocol as data: everything between a network and its score that is a choice.

The field's scores differ as much by protocol as by model: the resize rule, one template or fourteen, which of a
class's synonyms are read, and above all what mIoU is divided by (on PC-459 that alone moves a score by a third). So
every result carries `protocol_hash`, and scores stand in one column only when their `scoring_hash` agrees.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Literal

from logoseg.config import ClipConfig, Inference, PaddedImage, ShortestEdge, SlidingWindow, WholeImage
from logoseg.prompts import PAPER, is_template
from ovlab.specs.errors import InputError
from ovlab.specs.fingerprint import ADDED_LATER, added_later, fingerprint
from ovlab.specs.method import MethodConfig
from ovlab.specs.resolved import require_digest
from ovlab.specs.scores import Kind

# Raised whenever the same weights would predict otherwise: by another view, encoder, head or up-sampling.
PREDICTION_VERSION = 3
# That of the evaluations that name none, which is no matter of what today's is.
_FIRST_PREDICTION_VERSION = 1
# Raised whenever the same predictions would be given another score.
EVALUATOR_VERSION = 1

# The trim width of Boundary IoU in its paper, as a share of the image diagonal.
BOUNDARY = 0.02

# A class with several names is read by its first ("first", CAT-Seg), by the mean of the normalised embeddings of all
# ("average", SED), or by all as if they were one ("joined", SAN: "a photo of a road, route.").
SynonymRule = Literal["first", "average", "joined"]

# What a prediction may be told of the ground truth of its image: which classes are in it, or where its regions are.
Oracle = Literal["classes", "regions"]
ORACLES: tuple[Oracle, ...] = ("classes", "regions")
_TOLD: dict[Kind, tuple[Oracle, ...]] = {
    "classes_oracle": ("classes",),
    "regions_oracle": ("regions",),
    "both_oracles": ORACLES,
}

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
    where boundaries are not counted. `oracles`: those whose predictions are counted too, and with both also those of
    the two together.
    """

    headline: Literal["ground_truth", "ground_truth_or_prediction"] = "ground_truth"
    collapse: Collapse | None = None
    evaluator_version: int = EVALUATOR_VERSION
    boundary: float | None = field(default=None, metadata=ADDED_LATER)
    oracles: tuple[Oracle, ...] = field(default=(), metadata=added_later(()))

    def __post_init__(self) -> None:
        if self.boundary is not None and not 0 < self.boundary < 1:
            raise InputError(f"Scoring.boundary must be a share between 0 and 1, or None; got {self.boundary}.")
        if self.oracles != _ordered(self.oracles):
            raise InputError(
                f"Scoring.oracles must be some of {', '.join(ORACLES)}, each once, in this order; got {self.oracles}."
            )

    @property
    def kinds(self) -> frozenset[Kind]:
        """What is counted beside the pixels."""
        near: set[Kind] = set() if self.boundary is None else {"boundary"}
        return frozenset(near | {kind for kind, told in _TOLD.items() if set(told) <= set(self.oracles)})


def _ordered(oracles: Collection[str]) -> tuple[Oracle, ...]:
    return tuple(oracle for oracle in ORACLES if oracle in oracles)


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How a network is asked, and how its answers are scored. The label maps are scored at their own resolution.

    `synonyms`: by which of its names a class is read. `class_cap`: the largest number of classes scored in one view;
    None is no limit. `early_rejection`: of a model with auxiliary heads, how many classes of a view go on from the
    coarsest maps and from the next; None decodes all.
    """

    inference: Inference
    prompt_templates: tuple[str, ...] = PAPER
    synonyms: SynonymRule = "first"
    class_cap: int | None = None
    scoring: Scoring = field(default_factory=Scoring)
    early_rejection: tuple[int, int] | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        if not self.prompt_templates or not all(map(is_template, self.prompt_templates)):
            raise InputError("Protocol.prompt_templates must be templates that each hold {} for the class name.")
        if self.class_cap is not None and self.class_cap < 1:
            raise InputError(f"Protocol.class_cap must be at least 1, or None for no limit; got {self.class_cap}.")
        if self.early_rejection is not None and not self.early_rejection[0] >= self.early_rejection[1] >= 1:
            raise InputError(
                f"Protocol.early_rejection must be two numbers from 1 on, the second no larger; got "
                f"{self.early_rejection}."
            )


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
    prediction_version: PREDICTION_VERSION when the predictions were made. longest_side: the bound, in pixels, of the
    long side of a view, where a picture of the split is so narrow that it is squeezed to that; None where none is.
    """

    subject: str
    benchmark: str
    split: str
    data_digest: str
    vocabulary_digest: str
    protocol: Protocol
    num_images: int | None = None
    prediction_version: int = field(default=_FIRST_PREDICTION_VERSION, metadata=added_later(_FIRST_PREDICTION_VERSION))
    longest_side: int | None = field(default=None, metadata=ADDED_LATER)

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


def cat_seg(input_size: int = 384) -> Protocol:
    """`sliding_window` behind CAT-Seg's own loader."""
    return replace(sliding_window(input_size), inference=SlidingWindow(input_size=input_size, loader=ShortestEdge()))


def sed() -> Protocol:
    """SED's own: loaded at a short side of 640, stretched to 768 square, any number of classes, the mean of all names
    of a class. Its 80 templates are the model's."""
    return Protocol(inference=WholeImage(size=768, loader=ShortestEdge()), synonyms="average")


def san() -> Protocol:
    """SAN's own: loaded at a short side of 640, the aspect kept, padded to multiples of 32, any number of classes, all
    names of a class as one. The model itself shows CLIP the same at half the size (ViT-L/14: 0.7), and brings its 14
    templates."""
    return Protocol(inference=PaddedImage(), synonyms="joined")


# Those that run a model at a given side, and those that say themselves at which.
SIZED_PROTOCOLS = {"sliding-window": sliding_window, "whole": whole, "cat-seg": cat_seg}
FIXED_PROTOCOLS = {"whole-768": whole_768, "sed": sed, "san": san}
PROTOCOLS = {**SIZED_PROTOCOLS, **FIXED_PROTOCOLS}


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
    """As `scoring_hash`, of one score: what else is counted is no matter to it."""
    protocol = with_oracles(protocol, ())
    return scoring_hash(protocol if of_boundary else with_boundary(protocol, None))


def with_boundary(protocol: Protocol, share: float | None = BOUNDARY) -> Protocol:
    """The protocol with boundaries counted beside all else."""
    return replace(protocol, scoring=replace(protocol.scoring, boundary=share))


def with_oracles(protocol: Protocol, oracles: Collection[Oracle]) -> Protocol:
    """The protocol with the predictions of these oracles counted beside all else."""
    return replace(protocol, scoring=replace(protocol.scoring, oracles=_ordered(oracles)))


def counting(protocol: Protocol, kinds: Collection[Kind]) -> Protocol:
    """The protocol with `kinds` counted beside all else."""
    return with_oracles(with_boundary(protocol) if "boundary" in kinds else protocol, oracles_for(kinds))


def oracles_for(kinds: Collection[Kind]) -> tuple[Oracle, ...]:
    """The oracles that have to be asked for `kinds` to be counted."""
    return _ordered({oracle for kind, told in _TOLD.items() if kind in kinds for oracle in told})


def plain(protocol: Protocol) -> Protocol:
    """The protocol with nothing counted beside the pixels."""
    return with_oracles(with_boundary(protocol, None), ())
