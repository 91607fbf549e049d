from dataclasses import replace

import torch
from torch import nn

from logoseg.network import LoGoSeg
from logoseg.presets import tiny
from ovlab.benchmarks import head_speed as head


def test_count_flops_counts_products_in_place_and_convolutions() -> None:
    out, left, right = torch.zeros(2, 3, 5), torch.randn(2, 3, 7), torch.randn(2, 7, 5)
    image, kernel = torch.randn(1, 4, 6, 6), torch.randn(8, 4, 3, 3)

    assert head.count_flops(lambda: out.baddbmm_(left, right)) == 2 * 2 * 3 * 7 * 5
    assert head.count_flops(lambda: nn.functional.conv2d(image, kernel)) == 2 * 8 * 4 * 9 * 16


def test_count_flops_counts_attention_in_inference_mode() -> None:
    attention = nn.MultiheadAttention(8, num_heads=2, batch_first=True).eval()
    tokens = torch.randn(1, 5, 8)

    with torch.inference_mode():
        found = head.count_flops(lambda: attention(tokens, tokens, tokens, need_weights=False))

    projections, products = 4 * 2 * 5 * 8 * 8, 2 * 2 * 5 * 5 * 8
    assert found == projections + products
    assert torch.backends.mha.get_fastpath_enabled()


def test_decoder_call_repeats_the_decoder_of_the_head() -> None:
    torch.manual_seed(0)
    base = tiny()
    config = replace(base, clip=replace(base.clip, image_size=96), guidance_dim=16, decoder_dims=(8, 8))
    network = LoGoSeg(config).eval()

    with torch.inference_mode():
        text = head.random_text(3, len(network.prompt_templates), 128)
        call = head.head_call(network, network.encode_image(torch.rand(1, 3, 96, 96)), text, class_cap=None)
        found = head.decoder_call(network, call)()

        torch.testing.assert_close(found, call())
