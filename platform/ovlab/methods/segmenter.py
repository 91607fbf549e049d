"""What a method must have to be trained and scored beside LoGoSeg. A class of one's own needs nothing else of this
package: it is a torch module with these names, and a frozen dataclass `Config`.

Axes: V views or images, N classes, P prompts, C width of the text, S side of a view, h x w logits.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol, get_args, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor, nn

from logoseg.config import Activation
from logoseg.ops.mask_classification import MaskClassification
from ovlab.specs.errors import InputError


@runtime_checkable
class Segmenter(Protocol):
    """Made as `Class(config, clip)`: `config` is a `Class.Config`, which has a ClipConfig `clip` and the words
    `prompt_templates`; `clip` is a CLIP of open_clip, or None for one with random weights.

    prompt_templates: each with {} for a name. input_size: side in pixels at which it runs. activation: what makes its
    logits scores: "sigmoid" and "identity" by class, "softmax" over the classes.
    """

    Config: ClassVar[type]
    prompt_templates: tuple[str, ...]
    input_size: int
    activation: Activation

    def encode_text(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Float[Tensor, "N P C"]:
        """The features of classes, each of which is one or more synonyms."""

    def text_digest(self) -> str:
        """sha256 of all that `encode_text` depends on beside its arguments: equal digests share cached features."""

    def encode_image(self, images: Float[Tensor, "V 3 S S"]) -> Any:
        """Of RGB in [0, 1], what `head` needs of the images; the same for every vocabulary."""

    def head(
        self,
        features: Any,
        text: Float[Tensor, "N P C"],
        *,
        class_mask: Bool[Tensor, "N"] | None = None,
        class_cap: int | None = None,
    ) -> Float[Tensor, "V N h w"] | MaskClassification:
        """Finite logits, or, of a whole image, masks and the weights of the classes in each. A class that is False in
        the mask, or not among the `class_cap` likeliest, is far below all others."""


@runtime_checkable
class Trainable(Segmenter, Protocol):
    """A segmenter with a loss of its own. Without one it is trained as LoGoSeg is, by eq. 13 of its logits.

    learns_text: whether `encode_text` changes in training, so that words are encoded anew in every update.

    A loss that is no mean over images has a `loss_weights(labels) -> tuple` too: `training_loss` then gives as many
    terms, each a mean over what the weight counts, and any division of a batch gives the loss of the whole.
    """

    learns_text: bool

    def training_loss(
        self, images: Float[Tensor, "B 3 H W"], labels: Any, text: Float[Tensor, "N P C"]
    ) -> Float[Tensor, ""]:
        """The mean over the images. labels: int64 (B, H, W), 0 .. N-1 or 65535 for a pixel that does not count."""

    def parameter_groups(self) -> Iterable[tuple[str, Sequence[nn.Parameter], float]]:
        """All weights that learn, in named groups, each with what its learning rate is multiplied by."""


# Both are asked for before anything runs, so that a class that lacks one is told in one line.
_NEEDED = ("Config", "encode_text", "text_digest", "encode_image", "head")
_NEEDED_OF_NETWORK = ("prompt_templates", "input_size", "activation")
_ACTIVATIONS = get_args(Activation)


def require_segmenter(found: object, what: str) -> None:
    """Raises InputError, which begins with `what`, for a class that lacks a call of a Segmenter."""
    missing = [name for name in _NEEDED if not hasattr(found, name)]
    if not isinstance(found, type) or not issubclass(found, nn.Module):
        raise InputError(f"{what} is no torch.nn.Module class; see ovlab.methods.segmenter for what a method has.")
    if missing:
        raise InputError(f"{what} lacks {', '.join(missing)}; see ovlab.methods.segmenter for what a method has.")


def require_attributes(network: object, what: str) -> None:
    """The same for a network that was made."""
    missing = [name for name in _NEEDED_OF_NETWORK if not hasattr(network, name)]
    if missing:
        raise InputError(f"{what} lacks {', '.join(missing)}; see ovlab.methods.segmenter for what a method has.")
    activation = getattr(network, "activation", None)
    if activation not in _ACTIVATIONS:
        raise InputError(f"{what}: its activation is {activation!r}; write one of {', '.join(_ACTIVATIONS)}.")


def require_logits(logits: object, num_classes: int) -> None:
    """Raises InputError unless a head gave logits of one map a class and view."""
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if not isinstance(logits, Tensor) or logits.ndim != 4 or logits.shape[1] != num_classes:
        raise InputError(f"the method's head gave {shape}; it needs logits of V views, {num_classes} classes, h, w.")
