import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from logoseg import losses
from logoseg.losses import upsampled_masked_bce

IGNORE = 255


def bce_by_loops(logits: Tensor, labels: Tensor) -> float:
    """Eq. 13 as it is written, a pixel and a class at a time."""
    total, num_labelled = 0.0, 0
    batch, num_classes, height, width = logits.shape
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                label = int(labels[b, i, j])
                if label == IGNORE:
                    continue
                num_labelled += 1
                for n in range(num_classes):
                    probability = 1 / (1 + math.exp(-float(logits[b, n, i, j])))
                    total -= math.log(probability if n == label else 1 - probability)
    return total / num_labelled


def masked_bce(logits: Tensor, labels: Tensor) -> Tensor:
    """Eq. 13 of logits as large as the labels, in torch's own terms."""
    labelled = labels != IGNORE
    one_hot = F.one_hot(labels.where(labelled, 0), logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    losses = F.binary_cross_entropy_with_logits(logits, one_hot, reduction="none").sum(dim=1)
    return losses[labelled].sum() / labelled.sum()


def upsampled(logits: Tensor, labels: Tensor) -> Tensor:
    return F.interpolate(logits, size=labels.shape[1:], mode="bilinear", align_corners=False)


@pytest.fixture
def logits() -> Tensor:
    torch.manual_seed(0)
    return 3 * torch.randn(2, 5, 4, 6, dtype=torch.float64)


@pytest.fixture
def labels() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 5, (2, 4, 6), generator=generator)
    labels[0, 0, :3] = IGNORE
    labels[1, 3] = IGNORE
    return labels


@pytest.fixture(params=[1, 48, 2**20], ids=["one class a chunk", "two classes a chunk", "one chunk"])
def chunk_elements(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setitem(losses._CHUNK_ELEMENTS, "cpu", request.param)
    return request.param


def test_loss_of_logits_of_full_size_equals_loops_over_pixels_and_classes(
    logits: Tensor, labels: Tensor, chunk_elements: int
) -> None:
    expected = bce_by_loops(logits, labels)

    assert upsampled_masked_bce(logits, labels, IGNORE).item() == pytest.approx(expected, rel=1e-12)


def test_loss_of_logits_of_full_size_gradient_equals_finite_differences(
    logits: Tensor, labels: Tensor, chunk_elements: int
) -> None:
    def loss(logits: Tensor) -> Tensor:
        return upsampled_masked_bce(logits, labels, IGNORE)

    assert torch.autograd.gradcheck(loss, (logits.requires_grad_(),), fast_mode=True)


def test_upsampled_masked_bce_equals_masked_bce_of_the_upsampled_logits(
    logits: Tensor, labels: Tensor, chunk_elements: int
) -> None:
    coarse = logits[:, :, :2, :3].clone().requires_grad_()

    expected = masked_bce(upsampled(coarse, labels), labels)
    (expected_gradient,) = torch.autograd.grad(expected, coarse)
    found = upsampled_masked_bce(coarse, labels, IGNORE)
    (found_gradient,) = torch.autograd.grad(found, coarse)

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found_gradient, expected_gradient)


def test_upsampled_masked_bce_gradient_equals_finite_differences(labels: Tensor, chunk_elements: int) -> None:
    coarse = torch.randn(2, 5, 2, 2, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(lambda x: upsampled_masked_bce(x, labels, IGNORE), (coarse,), fast_mode=True)


def test_upsampled_masked_bce_without_gradients_gives_the_same_loss(logits: Tensor, labels: Tensor) -> None:
    with torch.no_grad():
        found = upsampled_masked_bce(logits, labels, IGNORE)

    torch.testing.assert_close(found, masked_bce(logits, labels))


def loss_and_gradient_by_loops(logits: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    """Eq. 12 and 13 in float64, a pixel and a class at a time: the loss, and its gradient at the coarse logits."""
    batch, num_classes, h, w = logits.shape
    height, width = labels.shape[1:]
    coarse, gradient, total, num_labelled = logits.double().tolist(), torch.zeros_like(logits.double()), 0.0, 0

    def taps(pixel: int, pixels: int, sources: int) -> list[tuple[int, float]]:
        place = max(0.0, (pixel + 0.5) * sources / pixels - 0.5)
        lower = min(int(place), sources - 1)
        return [(lower, 1 - (place - lower)), (min(lower + 1, sources - 1), place - lower)]

    for b in range(batch):
        for i in range(height):
            for j in range(width):
                label = int(labels[b, i, j])
                if label == IGNORE:
                    continue
                num_labelled += 1
                corners = [(y, x, u * v) for y, u in taps(i, height, h) for x, v in taps(j, width, w)]
                for n in range(num_classes):
                    value = sum(weight * coarse[b][n][y][x] for y, x, weight in corners)
                    target = float(n == label)
                    total += max(value, 0) + math.log1p(math.exp(-abs(value))) - target * value
                    for y, x, weight in corners:
                        gradient[b, n, y, x] += weight * (1 / (1 + math.exp(-value)) - target)
    return total / max(1, num_labelled), gradient / max(1, num_labelled)


@pytest.mark.parametrize(
    ("num_classes", "coarse", "fine"),
    [
        pytest.param(5, (4, 6), (8, 12), id="twice the size"),
        pytest.param(3, (3, 5), (7, 11), id="odd sizes"),
        pytest.param(3, (5, 7), (3, 4), id="smaller than the logits"),
        pytest.param(4, (5, 3), (5, 3), id="of the same size"),
        pytest.param(2, (1, 1), (14, 13), id="one logit, more pixels than one logarithm serves"),
        pytest.param(1, (4, 4), (8, 8), id="one class"),
        pytest.param(847, (2, 3), (3, 5), id="847 classes"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [True, False])
def test_loss_and_gradient_equal_float64_loops(
    num_classes: int, coarse: tuple[int, int], fine: tuple[int, int], dtype: torch.dtype, channels_last: bool
) -> None:
    generator = torch.Generator().manual_seed(num_classes)
    logits = (4 * torch.randn(2, num_classes, *coarse, generator=generator) - 2).to(dtype)
    labels = torch.randint(0, num_classes, (2, *fine), generator=generator)
    labels[labels == IGNORE] = 0
    labels[torch.rand(labels.shape, generator=generator) < 0.3] = IGNORE
    labels[1, :, -1] = IGNORE  # padding
    if channels_last:
        logits = logits.contiguous(memory_format=torch.channels_last)
    logits.requires_grad_()
    expected, expected_gradient = loss_and_gradient_by_loops(logits.detach(), labels)

    found = upsampled_masked_bce(logits, labels, IGNORE)
    found.backward()

    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected, rel=1e-6)
    assert logits.grad is not None
    rounding = {torch.float32: 1e-6, torch.bfloat16: 2**-8}[dtype]
    largest = expected_gradient.abs().max().item()
    torch.testing.assert_close(logits.grad.double(), expected_gradient, rtol=rounding, atol=1e-6 * largest)


def test_loss_of_confident_logits_keeps_terms_that_float32_cannot_add_to_one() -> None:
    logits = torch.full((1, 2, 4, 4), -18.0)
    logits[:, 0] = 18.0

    found = upsampled_masked_bce(logits, torch.zeros(1, 16, 16, dtype=torch.int64), IGNORE)

    assert found.item() == pytest.approx(2 * math.log1p(math.exp(-18)), rel=0.05)  # 3e-8


def test_loss_of_a_logit_that_is_no_number_is_none() -> None:
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 1, 0, 0] = math.nan

    assert math.isnan(upsampled_masked_bce(logits, torch.zeros(1, 4, 4, dtype=torch.int64), IGNORE).item())


def test_loss_gradient_is_scaled_by_what_comes_back(labels: Tensor) -> None:
    logits = torch.randn(2, 5, 4, 6, generator=torch.Generator().manual_seed(3), requires_grad=True)

    (once,) = torch.autograd.grad(upsampled_masked_bce(logits, labels, IGNORE), logits)
    (thrice,) = torch.autograd.grad(3 * upsampled_masked_bce(logits, labels, IGNORE), logits)

    torch.testing.assert_close(thrice, 3 * once)


def test_loss_in_float32_keeps_float32_accuracy_on_a_large_map() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = 4 * torch.randn(1, 40, 96, 96, generator=generator) - 6
    labels = torch.randint(0, 40, (1, 96, 96), generator=generator)

    exact = masked_bce(logits.double(), labels).item()

    assert upsampled_masked_bce(logits, labels, IGNORE).item() == pytest.approx(exact, rel=1e-5)


def test_loss_of_half_precision_logits_is_summed_in_float32() -> None:
    # 2,048 pixels of ln 2 each: bfloat16 stops counting near 256.
    logits = torch.zeros(1, 2, 32, 64, dtype=torch.bfloat16, requires_grad=True)
    labels = torch.zeros(1, 32, 64, dtype=torch.int64)

    found = upsampled_masked_bce(logits, labels, IGNORE)
    found.backward()

    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(2 * math.log(2), rel=1e-5)
    assert logits.grad is not None
    assert logits.grad.dtype == torch.bfloat16


def test_loss_inside_autocast_equals_loss_outside(logits: Tensor, labels: Tensor) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = upsampled_masked_bce(logits.float(), labels, IGNORE)

    torch.testing.assert_close(found, upsampled_masked_bce(logits.float(), labels, IGNORE), rtol=0, atol=0)


def test_loss_of_extreme_logits_is_finite_and_exact() -> None:
    logits = torch.tensor([1e4, -1e4, -1e4]).view(1, 3, 1, 1).requires_grad_()

    right = upsampled_masked_bce(logits, torch.zeros(1, 1, 1, dtype=torch.int64), IGNORE)
    wrong = upsampled_masked_bce(logits, torch.ones(1, 1, 1, dtype=torch.int64), IGNORE)

    assert right.item() == 0
    assert wrong.item() == 2e4  # class 0 should be off, class 1 on
    assert torch.autograd.grad(wrong, logits)[0].flatten().tolist() == [1, -1, 0]


def test_loss_without_labelled_pixels_is_zero_with_zero_gradient(logits: Tensor) -> None:
    logits.requires_grad_()
    labels = torch.full((2, 4, 6), IGNORE)

    found = upsampled_masked_bce(logits, labels, IGNORE)
    found.backward()

    assert found.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_loss_gradient_on_ignored_pixels_is_zero(logits: Tensor, labels: Tensor) -> None:
    logits.requires_grad_()

    upsampled_masked_bce(logits, labels, IGNORE).backward()

    ignored = (labels == IGNORE)[:, None].expand_as(logits)
    assert logits.grad is not None
    assert not logits.grad[ignored].any()
    assert logits.grad[~ignored].all()


def test_loss_per_pixel_and_class_is_the_loss_per_pixel_over_num_classes(logits: Tensor, labels: Tensor) -> None:
    per_pixel = upsampled_masked_bce(logits, labels, IGNORE)

    torch.testing.assert_close(upsampled_masked_bce(logits, labels, IGNORE, "pixels_and_classes"), per_pixel / 5)


@pytest.mark.parametrize("label", [5, -1, 65535])
def test_loss_label_out_of_range_is_named(logits: Tensor, labels: Tensor, label: int) -> None:
    labels[1, 2, 3] = label

    with pytest.raises(ValueError, match=rf"label {label} is neither in 0 \.\. 4 nor the ignore_index 255"):
        upsampled_masked_bce(logits, labels, IGNORE)
