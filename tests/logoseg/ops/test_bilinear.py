import numpy as np
import pytest
import torch
import torch.nn.functional as F

from logoseg.ops.bilinear import bilinear_taps


def test_bilinear_taps_twofold_up_sampling_lies_at_quarters() -> None:
    taps = bilinear_taps(2, 4, np.dtype(np.float32))  # positions -1/4 -> 0, 1/4, 3/4, 5/4

    mixed = taps.lower_weight * np.array([0.0, 1.0])[taps.lower] + taps.upper_weight * np.array([0.0, 1.0])[taps.upper]
    assert mixed.tolist() == [0.0, 0.25, 0.75, 1.0]


def test_bilinear_taps_halving_averages_neighbours() -> None:
    taps = bilinear_taps(4, 2, np.dtype(np.float32))  # positions 1/2 and 5/2

    assert taps.lower.tolist() == [0, 2]
    assert taps.upper.tolist() == [1, 3]
    assert taps.upper_weight.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("sources", "pixels"), [(96, 683), (640, 512), (1, 7), (7, 1), (5, 5), (33, 32), (3, 1000)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bilinear_taps_any_size_agree_with_torch(sources: int, pixels: int, dtype: torch.dtype) -> None:
    taps = bilinear_taps(sources, pixels, torch.empty(0, dtype=dtype).numpy().dtype)

    weights = torch.zeros(pixels, sources, dtype=dtype)
    everywhere = torch.arange(pixels)
    weights.index_put_((everywhere, torch.from_numpy(taps.lower)), torch.from_numpy(taps.lower_weight), accumulate=True)
    weights.index_put_((everywhere, torch.from_numpy(taps.upper)), torch.from_numpy(taps.upper_weight), accumulate=True)
    torch_weights = F.interpolate(torch.eye(sources, dtype=dtype)[None], pixels, mode="linear")[0].T
    tolerance = 4 * sources * torch.finfo(dtype).eps  # of a position between 0 and `sources`
    torch.testing.assert_close(weights, torch_weights, atol=tolerance, rtol=0)
