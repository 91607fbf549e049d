import pytest
import torch
import torch.nn.functional as F

from logoseg.model_error import ModelError
from logoseg.ops.mask_classification import MaskClassification, Shown, winners_from_masks


@pytest.mark.parametrize("size", [(5, 7), (33, 21), (64, 64)])
@pytest.mark.parametrize("limit", [1, 2**24])
def test_scores_are_sums_over_masks_of_weight_times_the_sigmoid_of_the_up_sampled_mask(
    size: tuple[int, int], limit: int
) -> None:
    torch.manual_seed(0)
    found = MaskClassification(4 * torch.randn(1, 6, 9, 8), torch.rand(1, 6, 4))

    labels, scores = winners_from_masks(found, size, memory_limit_bytes=limit)

    masks = F.interpolate(found.masks.double(), size, mode="bilinear", align_corners=False)[0].sigmoid()
    expected = torch.stack([sum(found.weights[0, q, n].double() * masks[q] for q in range(6)) for n in range(4)])
    best = expected.max(dim=0)
    assert torch.allclose(scores.double(), best.values, atol=1e-5)
    assert (labels.long() == best.indices).float().mean() > 0.999


@pytest.mark.parametrize("limit", [1, 2**24])
def test_masks_of_a_padded_view_are_cut_before_they_get_the_size_of_the_photograph(limit: int) -> None:
    """40 x 70 pixels in a view of 64 x 96, whose masks are of 8 x 12 tokens."""
    torch.manual_seed(0)
    found = MaskClassification(4 * torch.randn(1, 6, 8, 12), torch.rand(1, 6, 4))

    labels, scores = winners_from_masks(found, (27, 47), shown=Shown(40, 70, 32), memory_limit_bytes=limit)

    in_view = F.interpolate(found.masks.double(), (64, 96), mode="bilinear", align_corners=False)[..., :40, :70]
    masks = F.interpolate(in_view, (27, 47), mode="bilinear", align_corners=False)[0].sigmoid()
    best = torch.einsum("qn,qyx->nyx", found.weights[0].double(), masks).max(dim=0)
    assert torch.allclose(scores.double(), best.values, atol=1e-5)
    assert (labels.long() == best.indices).float().mean() > 0.999


def test_equal_scores_go_to_the_lowest_class() -> None:
    found = MaskClassification(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 3))

    assert not winners_from_masks(found, (3, 3), memory_limit_bytes=2**20).labels.any()


def test_masks_of_several_views_and_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="one view"):
        winners_from_masks(
            MaskClassification(torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 3)), (3, 3), memory_limit_bytes=2**20
        )
    with pytest.raises(ModelError, match="finite"):
        winners_from_masks(
            MaskClassification(torch.full((1, 1, 2, 2), torch.nan), torch.ones(1, 1, 3)),
            (3, 3),
            memory_limit_bytes=2**20,
        )
