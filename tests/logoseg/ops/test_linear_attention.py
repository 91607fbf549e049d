"""Linear attention against its definition in float64 loops."""

import math

import torch

from logoseg.ops.linear_attention import EPSILON, linear_attention


def phi(x: float) -> float:
    return x + 1 if x > 0 else math.exp(x)


def test_linear_attention_random_input_equals_loops() -> None:
    query, key, value = (torch.randn(1, 2, length, 3, dtype=torch.float64) for length in (4, 5, 5))

    result = linear_attention(query, key, value)

    for head in range(2):
        for t in range(4):
            weights = [
                sum(phi(float(query[0, head, t, d])) * phi(float(key[0, head, s, d])) for d in range(3))
                for s in range(5)
            ]
            for d in range(3):
                total = sum(w * float(value[0, head, s, d]) for s, w in enumerate(weights))
                torch.testing.assert_close(result[0, head, t, d].item(), total / (sum(weights) + EPSILON))


def test_linear_attention_masked_sources_equal_their_absence() -> None:
    query, key, value = (torch.randn(2, 1, length, 3) for length in (4, 6, 6))
    mask = torch.tensor([True, True, False, True, False, False])

    masked = linear_attention(query, key, value, mask)

    torch.testing.assert_close(masked, linear_attention(query, key[:, :, mask], value[:, :, mask]))


def test_linear_attention_bfloat16_sums_in_float32() -> None:
    query, key = torch.zeros(1, 1, 1, 4, dtype=torch.bfloat16), torch.zeros(1, 1, 4096, 4, dtype=torch.bfloat16)
    value = torch.ones(1, 1, 4096, 4, dtype=torch.bfloat16)

    # a running bfloat16 sum of ones stops growing at 256
    torch.testing.assert_close(linear_attention(query, key, value), value[:, :, :1])
