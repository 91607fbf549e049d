"""What the head of a method says of one photograph, before its pixels have classes.

Axes: V views, N classes, M of them, h x w logits, H x W pixels of the photograph.
"""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from logoseg.config import Activation, Inference, PaddedImage, SlidingWindow
from logoseg.inference import winners_from_views
from logoseg.model_error import ModelError
from logoseg.ops.mask_classification import MaskClassification, Shown, winners_from_masks
from logoseg.ops.upsample_argmax import MEMORY_LIMIT_BYTES, Winners
from logoseg.views import loaded_size


class Answer(NamedTuple):
    """`scores`: logits of every class in every view, which `activation` makes scores, or masks."""

    scores: Float[Tensor, "V N h w"] | MaskClassification
    activation: Activation

    def winners(self, inference: Inference, size: tuple[int, int]) -> Winners:
        """The class of each of `size` = (H, W) pixels, and its score. Errors as `winners_from_views`; ModelError for
        masks of windows."""
        if isinstance(self.scores, MaskClassification):
            if isinstance(inference, SlidingWindow):
                raise ModelError("A method that gives masks sees the whole image; evaluate it with --protocol whole.")
            shown = None
            if isinstance(inference, PaddedImage):
                height, width = loaded_size(size, inference.loader)
                shown = Shown(height, width, inference.multiple)
            return winners_from_masks(self.scores, size, shown=shown, memory_limit_bytes=MEMORY_LIMIT_BYTES)
        return winners_from_views(self.scores, inference, size, activation=self.activation)

    def among(self, classes: Int[Tensor, "M"]) -> "Answer":
        """The same scores of some classes alone, so that no other one wins."""
        if isinstance(self.scores, MaskClassification):
            return self._replace(scores=self.scores._replace(weights=self.scores.weights[..., classes]))
        if self.activation == "softmax":  # over all of them
            return Answer(self.scores.softmax(dim=1)[:, classes], "identity")
        return self._replace(scores=self.scores[:, classes])

    def of_image(self, number: int, num_views: int) -> "Answer":
        """That of one of the images that were asked together, each in so many views."""
        part = slice(number * num_views, (number + 1) * num_views)
        if isinstance(self.scores, MaskClassification):
            return self._replace(scores=MaskClassification(*(values[part] for values in self.scores)))
        return self._replace(scores=self.scores[part])
