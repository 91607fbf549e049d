"""Eq. 8-10: what each switch leaves out, and the gated query attention against float64."""

from dataclasses import replace

import pytest
import torch

from logoseg.config import ClipConfig, ModelConfig
from logoseg.fusion import ChannelAdaptation, CrossModalFusion, FusionLayer, PlainProjection, QueryAttention
from logoseg.ops.linear_attention import linear_attention

CLIP = ClipConfig(name="logoseg-tiny", image_size=384, middle_layer=4, guidance_layers="stem", stem="convolutions")
CONFIG = ModelConfig(clip=CLIP, guidance_dim=16, attention_heads=2, stripe_width=2, state_dim=4, fusion_depth=1)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def inputs(num_classes: int = 5) -> tuple[torch.Tensor, ...]:
    """F_mid or X_fused, G, queries, E_text."""
    return (
        random(2, 16, 4, 6),
        random(2, 16, 4, 6, seed=1),
        random(2, num_classes, 16, seed=2),
        random(2, num_classes, 16),
    )


def layer(**changes: object) -> FusionLayer:
    torch.manual_seed(0)
    return FusionLayer(replace(CONFIG, **changes)).double()


@torch.no_grad()
def test_fusion_layer_full_keeps_the_shapes() -> None:
    fused, queries = layer()(*inputs())

    assert fused.shape == (2, 16, 4, 6)
    assert queries.shape == (2, 5, 16)


@pytest.mark.parametrize(
    ("switch", "prefix"),
    [
        ("directional_attention", "local."),
        ("global_context", "global_context."),
        ("language_queries", "query_attention."),
    ],
)
def test_fusion_layer_switched_off_part_has_no_weights(switch: str, prefix: str) -> None:
    assert any(name.startswith(prefix) for name, _ in layer().named_parameters())
    assert not any(name.startswith(prefix) for name, _ in layer(**{switch: False}).named_parameters())


@torch.no_grad()
def test_fusion_layer_without_language_queries_returns_them_untouched() -> None:
    middle, guidance, queries, text = inputs()

    _, result = layer(language_queries=False)(middle, guidance, queries, text)

    assert torch.equal(result, queries)


@torch.no_grad()
def test_fusion_layer_without_attention_and_context_is_pointwise_before_adaptation() -> None:
    module = layer(directional_attention=False, global_context=False)
    middle, guidance, queries, text = inputs()
    captured = {}
    module.adapt.register_forward_pre_hook(lambda _, args: captured.update(x=args[0]))

    module(middle, guidance, queries, text)

    weight, bias = module.project.weight[:, :, 0, 0], module.project.bias
    for y in range(4):
        for x in range(6):
            expected = weight @ torch.cat([middle[0, :, y, x], guidance[0, :, y, x]]) + bias
            torch.testing.assert_close(captured["x"][0, :, y, x], expected)


@torch.no_grad()
def test_directional_attention_halves_go_to_their_directions() -> None:
    module = layer().local
    middle, guidance, _, _ = inputs()

    local = module(middle, guidance)

    expected_h = module.horizontal(torch.cat([middle[:, :8], guidance[:, :8]], dim=1))
    expected_v = module.vertical(torch.cat([middle[:, 8:], guidance[:, 8:]], dim=1))
    torch.testing.assert_close(local, torch.cat([expected_h, expected_v], dim=1))


@torch.no_grad()
def test_channel_adaptation_equals_its_definition_pixel_by_pixel() -> None:
    torch.manual_seed(0)
    module = ChannelAdaptation(4).double()
    x = random(1, 4, 3, 3)

    result = module(x)

    expand, project = module.expand.weight[:, :, 0, 0], module.project.weight[:, :, 0, 0]
    expanded = torch.einsum("oc,chw->ohw", expand, x[0]) + module.expand.bias[:, None, None]
    for y in range(3):
        for z in range(3):
            mixed = module.depthwise.bias.clone()
            for dy in (-1, 0, 1):
                for dz in (-1, 0, 1):
                    if 0 <= y + dy < 3 and 0 <= z + dz < 3:
                        mixed += module.depthwise.weight[:, 0, dy + 1, dz + 1] * expanded[:, y + dy, z + dz]
            gated = mixed[:4] * torch.sigmoid(mixed[4:])
            expected = module.norm(x[0, :, y, z] + project @ gated + module.project.bias)
            torch.testing.assert_close(result[0, :, y, z], expected)


@torch.no_grad()
def test_query_attention_reads_tokens_and_text_through_a_gate() -> None:
    torch.manual_seed(0)
    module = QueryAttention(dim=16, num_heads=2).double()
    fused, _, queries, text = inputs()

    result = module(queries, fused, text)

    source = module.source_norm(torch.cat([fused[1].flatten(1).T, text[1]]))  # tokens of the second image
    key, value = (module.key_value(source)[:, half].unflatten(1, (2, 8)) for half in (slice(16), slice(16, 32)))
    query = module.query(module.query_norm(queries[1])).unflatten(1, (2, 8))
    attended = linear_attention(*(x.transpose(0, 1)[None] for x in (query, key, value)))[0].transpose(0, 1).flatten(1)
    gated = queries[1] + torch.sigmoid(module.gate(torch.cat([queries[1], attended], dim=1))) * attended
    torch.testing.assert_close(result[1], gated + module.mlp(gated))


@torch.no_grad()
def test_query_attention_padded_classes_have_no_influence() -> None:
    module = QueryAttention(dim=16, num_heads=2).double()
    fused, _, queries, text = inputs()
    mask = torch.tensor([True, True, True, False, False])

    masked = module(queries, fused, text, mask)

    torch.testing.assert_close(masked[:, :3], module(queries[:, :3], fused, text[:, :3]))


@pytest.mark.parametrize("depth", [1, 2, 3])
@torch.no_grad()
def test_cross_modal_fusion_stacks_layers_and_reuses_the_guidance(depth: int) -> None:
    torch.manual_seed(0)
    module = CrossModalFusion(replace(CONFIG, fusion_depth=depth), middle_dim=7, joint_dim=5).double()
    middle, (_, guidance, queries, _) = random(2, 7, 4, 6), inputs()
    weighted = random(2, 5, 5, seed=3)

    fused, refined = module(middle, guidance, queries, weighted)

    text = module.project_text(weighted)
    x, q = module.project_middle(middle), queries
    for one in module.layers:
        x, q = one(x, guidance, q, text)
    assert len(module.layers) == depth
    torch.testing.assert_close(fused, x)
    torch.testing.assert_close(refined, q)


@torch.no_grad()
def test_plain_projection_is_a_projection_of_middle_and_guidance() -> None:
    module = PlainProjection(CONFIG, middle_dim=7, joint_dim=16).double()
    middle, (_, guidance, queries, text) = random(2, 7, 4, 6), inputs()

    fused, refined = module(middle, guidance, queries, text)

    weight = module.project.weight[:, :, 0, 0]
    expected = weight @ torch.cat([middle[0, :, 2, 3], guidance[0, :, 2, 3]]) + module.project.bias
    torch.testing.assert_close(fused[0, :, 2, 3], expected)
    assert torch.equal(refined, queries)
