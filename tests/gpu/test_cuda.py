"""What only a GPU can show: the same answers as the CPU, and mamba-ssm's kernel where it is installed."""

import pytest
import torch

from logoseg.network import LoGoSeg
from logoseg.ops.selective_scan import backend_for, mamba_ssm_kernel, selective_scan
from logoseg.presets import tiny

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def scan_inputs() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    u, delta = (torch.randn(2, 8, 100, generator=generator) for _ in range(2))
    A = -torch.rand(8, 4, generator=generator)
    B, C = (torch.randn(2, 4, 100, generator=generator) for _ in range(2))
    return [u, delta, A, B, C, torch.randn(8, generator=generator), torch.randn(8, generator=generator)]


def test_selective_scan_cuda_equals_cpu() -> None:
    inputs = scan_inputs()

    on_gpu = selective_scan(*(x.cuda() for x in inputs), delta_softplus=True)

    torch.testing.assert_close(on_gpu.cpu(), selective_scan(*inputs, delta_softplus=True), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(mamba_ssm_kernel() is None, reason="needs mamba-ssm: pip install '.[gpu]'")
def test_selective_scan_cuda_float32_takes_the_kernel() -> None:
    assert backend_for(torch.device("cuda"), torch.float32) == "mamba_ssm"


@torch.no_grad()
def test_network_cuda_equals_cpu() -> None:
    torch.manual_seed(0)
    network = LoGoSeg(tiny()).eval()
    images, text = torch.rand(1, 3, 384, 384), network.encode_text(["road", "tree", "sky"])
    expected = network(images, text)

    network.cuda()

    torch.testing.assert_close(network(images.cuda(), text.cuda()).cpu(), expected, rtol=1e-2, atol=1e-2)
