"""Photographs and words to segmentations, with any network that has the calls of LoGoSeg.

    model = logoseg.load("runs/first")
    answer = model.predict("street.jpg", ["road", "a red car"])
    answer.shares, answer.overlay()

    predictor = Predictor(model, ["road", "a red car"])  # the words are read once
    for answer in predictor.all(paths):
        ...

Axes: N words, H x W pixels of the photograph.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8, UInt16
from PIL import Image

from logoseg.answer import Answer
from logoseg.config import Inference, WholeImage
from logoseg.model_error import ModelError
from logoseg.overlay import OPACITY, overlay
from logoseg.photo_pixels import Photo, pixels_of
from logoseg.prompts import is_template
from logoseg.token_grid import OnGrid, require_views
from logoseg.views import views


@dataclass(frozen=True, eq=False, slots=True)
class Prediction:
    """labels: the index of the best of `words` at every pixel; scores: its score. A notebook shows it as a picture."""

    image: UInt8[np.ndarray, "H W 3"]
    words: tuple[str, ...]
    labels: UInt16[np.ndarray, "H W"]
    scores: Float32[np.ndarray, "H W"]
    answer: Answer
    inference: Inference

    @property
    def shares(self) -> dict[str, float]:
        """Of each word, the share of the photograph that it has."""
        counts = np.bincount(self.labels.reshape(-1), minlength=len(self.words))
        return {word: int(count) / self.labels.size for word, count in zip(self.words, counts, strict=True)}

    def score_map(self, word: str) -> Float32[np.ndarray, "H W"]:
        """The score of one word at every pixel, whether it is the best or not."""
        if word not in self.words:
            raise ModelError(f"{word!r} was not asked for; the words are {', '.join(self.words)}.")
        alone = self.answer.among(torch.tensor([self.words.index(word)]))
        return _numpy(alone.winners(self.inference, self.labels.shape).scores, np.float32)

    def overlay(self, opacity: float = OPACITY) -> Image.Image:
        """The photograph under the colours of its words, and a legend; opacity: 0 (photograph) .. 1 (colours)."""
        return overlay(self.image, self.labels, self.words, opacity)

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.overlay().save(file, format="PNG")
        return file.getvalue()


class Predictor:
    """A network that is asked for the same words again and again; it stays on its device.

    synonyms: other names of a word, whose features are averaged. templates: each with {} for a name, averaged or read
    as the network was trained to; by default those that it was trained with. inference: whole, aspect kept, at the
    network's own size, unless another is given. Raises ModelError for words or templates that cannot be.
    """

    def __init__(
        self,
        network: Any,
        words: Sequence[str],
        *,
        synonyms: Mapping[str, Sequence[str]] | None = None,
        templates: Sequence[str] | None = None,
        inference: Inference | None = None,
    ) -> None:
        names = _names(words, synonyms or {})
        self.network, self.words = network.eval(), tuple(words)
        self.inference = WholeImage(size=network.input_size, resize="keep_aspect") if inference is None else inference
        config = getattr(network, "config", None)
        if isinstance(config, OnGrid):
            require_views(config, self.inference)
        templates = tuple(network.prompt_templates if templates is None else templates)
        if not templates or not all(map(is_template, templates)):
            raise ModelError(f"templates must each hold one {{}} for the word, got {templates}.")
        with torch.inference_mode():
            self.text = network.encode_text(names, templates)

    def __call__(self, photo: Photo) -> Prediction:
        """One photograph: an image of Pillow, an RGB array, or a path."""
        return next(self.all([photo]))

    def all(self, photos: Iterable[Photo], batch_size: int = 1) -> Iterator[Prediction]:
        """Photograph by photograph, in order. `batch_size` neighbours of one size are shown to the network at once."""
        images = map(pixels_of, photos)
        while batch := list(islice(images, batch_size)):
            for _, alike in groupby(batch, key=lambda image: image.shape):
                yield from self._together(list(alike))

    def _together(self, images: Sequence[UInt8[np.ndarray, "H W 3"]]) -> Iterator[Prediction]:
        device = self.text.device
        with torch.inference_mode():
            shown = [
                views(torch.tensor(image, device=device).permute(2, 0, 1).float().div_(255), self.inference)
                for image in images
            ]
            features = self.network.encode_image(torch.cat(shown))
            answers = Answer(self.network.head(features, self.text), self.network.activation)
        for number, image in enumerate(images):
            answer = answers.of_image(number, len(shown[0]))
            labels, scores = answer.winners(self.inference, (image.shape[0], image.shape[1]))
            yield Prediction(
                image, self.words, _numpy(labels, np.uint16), _numpy(scores, np.float32), answer, self.inference
            )


class Predicts:
    """Gives a network a `predict`."""

    def predict(
        self,
        image: Photo,
        words: Sequence[str],
        *,
        synonyms: Mapping[str, Sequence[str]] | None = None,
        templates: Sequence[str] | None = None,
        inference: Inference | None = None,
    ) -> Prediction:
        """One photograph and a few words. For many of them, a Predictor, which takes the same, reads the words once."""
        return Predictor(self, words, synonyms=synonyms, templates=templates, inference=inference)(image)


def _names(words: Sequence[str], synonyms: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """The names of each word, itself first."""
    if isinstance(words, str) or not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise ModelError(f'words must be a list of one or more, such as ["road", "a red car"]; got {words!r}.')
    twice = [word for word in words if list(words).count(word) > 1]
    if twice:
        raise ModelError(f"{twice[0]!r} is among the words twice; give every word once.")
    for word in synonyms:
        if word not in words:
            raise ModelError(f"synonyms of {word!r}, which is none of the words {', '.join(words)}.")
    return [(word, *synonyms.get(word, ())) for word in words]


def _numpy(values: torch.Tensor, dtype: type[np.generic]) -> np.ndarray:
    return values.cpu().numpy().astype(dtype)
