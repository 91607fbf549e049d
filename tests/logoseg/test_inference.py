import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from logoseg.answer import Answer
from logoseg.config import Activation, Inference, PaddedImage, ShortestEdge, SlidingWindow, WholeImage
from logoseg.inference import labels_from_views, segment, segment_with_scores, winners_from_views
from logoseg.model_error import ModelError
from logoseg.ops.mask_classification import MaskClassification
from logoseg.views import views

WINDOWS = SlidingWindow(size=80, kernel=48, stride=32, input_size=48)
PROTOCOLS = [WholeImage(size=64), WholeImage(size=64, resize="keep_aspect"), WINDOWS]


def colour_logits(views: Tensor) -> Tensor:
    """A model that knows three classes: red, green and blue. A quarter of the resolution, as the decoders give."""
    return 8 * F.avg_pool2d(views, 4) - 4


def flag(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Green above; below, red on the left and blue on the right; and the label map that says so."""
    labels = torch.ones(height, width, dtype=torch.long)
    labels[height // 2 :, : width // 2] = 0
    labels[height // 2 :, width // 2 :] = 2
    return F.one_hot(labels, 3).permute(2, 0, 1).float(), labels


@pytest.mark.parametrize("inference", PROTOCOLS)
@pytest.mark.parametrize("size", [(60, 90), (91, 47), (200, 240)])
def test_segment_coloured_photograph_gives_its_regions(size: tuple[int, int], inference: Inference) -> None:
    image, expected = flag(*size)

    labels = segment(colour_logits, image, inference)

    assert labels.shape == size
    wrong = labels != expected
    # Only the regions' borders, blurred by the model's coarse grid, may be off by a pixel or two.
    height, width = size
    assert not wrong[: height // 2 - 3].any()
    assert not wrong[height // 2 + 3 :, : width // 2 - 3].any()
    assert not wrong[height // 2 + 3 :, width // 2 + 3 :].any()


def test_segment_with_scores_are_sigmoids_of_the_winning_logits() -> None:
    image, _ = flag(40, 40)

    labels, scores = segment_with_scores(colour_logits, image, WholeImage(size=32))

    assert torch.equal(labels, segment(colour_logits, image, WholeImage(size=32)))
    assert scores[0, 0].item() == pytest.approx(1 / (1 + math.exp(-4)))  # pure green: logit 8 * 1 - 4


def test_labels_from_views_whole_image_takes_the_sigmoid_before_the_up_sampling() -> None:
    """Half way between logits 9 and -9 (mean 0) a class loses to a constant 0.5 only by the order of the two steps."""
    logits = torch.tensor([[[[9.0, -3.0]], [[0.0, 0.0]]]])

    labels = labels_from_views(logits, WholeImage(size=32), (1, 3))

    # In the middle: (sigmoid(9) + sigmoid(-3)) / 2 = 0.5236 > 0.5, but so is sigmoid(3). At the right end: 0.047.
    assert labels.tolist() == [[0, 0, 1]]
    scores = winners_from_views(logits, WholeImage(size=32), (1, 3)).scores
    assert scores[0, 1].item() == pytest.approx((1 / (1 + math.exp(-9)) + 1 / (1 + math.exp(3))) / 2)


@pytest.mark.parametrize(("inference", "num_views"), [(WholeImage(size=32), 1), (WINDOWS, 5)])
def test_labels_from_views_do_not_depend_on_the_memory_limit(inference: Inference, num_views: int) -> None:
    logits = torch.randn(num_views, 9, 12, 12, generator=torch.Generator().manual_seed(0))

    one_class_at_a_time = labels_from_views(logits, inference, (50, 41), memory_limit_bytes=1)

    assert torch.equal(one_class_at_a_time, labels_from_views(logits, inference, (50, 41)))


@pytest.mark.parametrize(("inference", "num_views"), [(WholeImage(size=32), 1), (WINDOWS, 5)])
def test_labels_from_views_half_precision_logits_that_require_gradients_are_read(
    inference: Inference, num_views: int
) -> None:
    logits = torch.randn(num_views, 4, 6, 6).bfloat16()

    labels = labels_from_views(logits.clone().requires_grad_(), inference, (20, 31))

    assert torch.equal(labels, labels_from_views(logits.float(), inference, (20, 31)))


@pytest.mark.parametrize(("inference", "num_views"), [(WholeImage(size=32), 2), (WINDOWS, 4), (WINDOWS, 6)])
def test_labels_from_views_wrong_number_of_views_is_refused(inference: Inference, num_views: int) -> None:
    with pytest.raises(ValueError, match="view"):
        labels_from_views(torch.zeros(num_views, 2, 4, 4), inference, (8, 8))


@pytest.mark.parametrize(("inference", "num_views"), [(WholeImage(size=32), 1), (WINDOWS, 5)])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_labels_from_views_logit_not_finite_is_refused(inference: Inference, num_views: int, bad: float) -> None:
    logits = torch.zeros(num_views, 2, 4, 4)
    logits[-1, 1, 2, 0] = bad

    with pytest.raises(ValueError, match="finite"):
        labels_from_views(logits, inference, (8, 8))


def test_labels_from_views_no_class_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        labels_from_views(torch.zeros(1, 0, 4, 4), WholeImage(size=32), (8, 8))


@pytest.mark.parametrize("activation", ["identity", "softmax"])
@pytest.mark.parametrize("inference", [WholeImage(size=64), WINDOWS])
def test_scores_that_are_no_sigmoids_are_made_at_the_tokens_and_then_resized_and_averaged(
    inference: Inference, activation: Activation
) -> None:
    torch.manual_seed(0)
    num_views = 1 if isinstance(inference, WholeImage) else 5
    logits = 3 * torch.randn(num_views, 6, 5, 5)

    labels, scores = winners_from_views(logits, inference, (37, 51), activation=activation)

    made = logits.double().softmax(dim=1) if activation == "softmax" else logits.double()
    expected = resized_and_averaged(made, inference, (37, 51))
    best = expected.max(dim=0)
    assert torch.allclose(scores.double(), best.values, atol=1e-5)
    assert torch.equal(labels.long(), best.indices)


def resized_and_averaged(scores: Tensor, inference: Inference, size: tuple[int, int]) -> Tensor:
    """In float64, all classes at once."""

    def resized(maps: Tensor, shape: tuple[int, int]) -> Tensor:
        return F.interpolate(maps[None], shape, mode="bilinear", align_corners=False)[0]

    if isinstance(inference, WholeImage):
        return resized(scores[0], size)
    side, kernel = inference.size, inference.kernel
    windows, seen = torch.zeros(len(scores[0]), side, side).double(), torch.zeros(side, side).double()
    for view, (top, left) in zip(scores, [(0, 0), (0, 32), (32, 0), (32, 32)], strict=False):
        windows[:, top : top + kernel, left : left + kernel] += resized(view, (kernel, kernel))
        seen[top : top + kernel, left : left + kernel] += 1
    whole = resized(resized(scores[-1], (kernel, kernel)), (side, side))
    return resized((windows / seen + whole) / 2, size)


def test_masks_of_a_padded_view_fit_the_photograph_and_logits_of_one_are_refused() -> None:
    inference = PaddedImage(loader=ShortestEdge(size=48, longest=96), multiple=32)
    image = torch.zeros(3, 24, 40)
    image[:, :, 20:] = 1.0  # loaded as 48 x 80, padded to 64 x 96
    (view,) = views(image, inference)
    right = (view[None, :1, 4::8, 4::8] - 0.5) * 40  # the padding is neither
    found = MaskClassification(torch.cat([-right, right], dim=1), torch.eye(2)[None])

    assert view.shape == (3, 64, 96)
    assert torch.equal(Answer(found, "identity").winners(inference, (24, 40)).labels, image[0].int())
    with pytest.raises(ModelError, match="padded view"):
        labels_from_views(torch.zeros(1, 2, 8, 12), inference, (24, 40))
