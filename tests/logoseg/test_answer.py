"""An answer of some classes alone, against the scores of all of them at full resolution in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from logoseg.answer import Answer
from logoseg.config import Activation, SlidingWindow, WholeImage
from logoseg.model_error import ModelError
from logoseg.ops.mask_classification import MaskClassification

ACTIVATIONS: tuple[Activation, ...] = ("sigmoid", "softmax", "identity")
SIZE = (21, 34)
WHOLE = WholeImage(size=32)
WINDOWS = SlidingWindow(size=32, kernel=16, stride=16, input_size=16)
AMONG = torch.tensor([1, 4, 6])


def scores_of(logits: Tensor, activation: Activation) -> Tensor:
    logits = logits.double()
    return {"sigmoid": logits.sigmoid(), "softmax": logits.softmax(dim=1), "identity": logits}[activation]


def enlarged(scores: Tensor) -> Tensor:
    return F.interpolate(scores, SIZE, mode="bilinear", align_corners=False)[0]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_answer_among_some_classes_is_the_best_of_their_scores_among_all(activation: Activation) -> None:
    logits = 4 * torch.randn(1, 8, 6, 9, generator=torch.Generator().manual_seed(2))

    found = Answer(logits, activation).among(AMONG).winners(WHOLE, SIZE)

    best = enlarged(scores_of(logits, activation))[AMONG].max(dim=0)
    assert (found.labels == best.indices).float().mean() > 0.999  # float32 may part two that are equal
    torch.testing.assert_close(found.scores.double(), best.values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_answer_of_windows_among_all_that_win_is_the_same(activation: Activation) -> None:
    logits = torch.randn(5, 8, 6, 6, generator=torch.Generator().manual_seed(3))
    logits[:, [0, 2, 3, 5, 7]] -= 20

    every, few = Answer(logits, activation), Answer(logits, activation).among(AMONG)

    labels, scores = few.winners(WINDOWS, SIZE)
    assert torch.equal(AMONG[labels.long()], every.winners(WINDOWS, SIZE).labels.long())
    torch.testing.assert_close(scores, every.winners(WINDOWS, SIZE).scores)


def test_answer_of_masks_among_some_classes_is_the_best_of_their_sums() -> None:
    generator = torch.Generator().manual_seed(4)
    masks, weights = torch.randn(1, 5, 6, 9, generator=generator), torch.rand(1, 5, 8, generator=generator)

    found = Answer(MaskClassification(masks, weights), "identity").among(AMONG).winners(WHOLE, SIZE)

    every = torch.einsum("qn,qyx->nyx", weights[0].double(), enlarged(masks.double()).sigmoid())
    best = every[AMONG].max(dim=0)
    assert (found.labels == best.indices).float().mean() > 0.999
    torch.testing.assert_close(found.scores.double(), best.values, rtol=1e-5, atol=1e-5)


def test_answer_of_masks_refuses_windows() -> None:
    answer = Answer(MaskClassification(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 4)), "identity")

    with pytest.raises(ModelError, match="sees the whole image"):
        answer.winners(WINDOWS, SIZE)
