import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import golden
from logoseg.model_error import ModelError
from rivals.configurations import PRESETS, SanConfig, san_shapes_vit_s, sed_shapes_convnext_s
from rivals.san import (
    Guess,
    San,
    SanFeatures,
    Truth,
    at_points,
    load_official,
    match,
    matching_cost,
    set_loss,
    truth_of,
    undecided_points,
)

IGNORE = 255
NAMES = [["red square", "picture"], ["blue circle"], ["green triangle"]]
MICRO = SanConfig(
    clip=replace(san_shapes_vit_s().clip, image_size=32, guidance_layers=(0, 1), stem="patch"),
    prompt_templates=("a photo of a {}.", "a photo of the {}."),
    image_size=64,
    patch_size=8,
    dim=24,
    num_blocks=3,
    num_heads=2,
    num_queries=5,
    mask_dim=12,
    fused_layers=(0, 2, 3),
    supervised_blocks=(2, 3),
    num_points=200,
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def micro() -> San:
    torch.manual_seed(0)
    return San(MICRO).eval()


@pytest.fixture
def features(micro: San) -> SanFeatures:
    with torch.no_grad():
        return micro.encode_image(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))


def test_weights_are_a_softmax_over_the_classes_and_nothing(micro: San, features: SanFeatures) -> None:
    text = micro.encode_text(NAMES, micro.prompt_templates)
    with torch.no_grad():
        found = micro.head(features, text)
    scale = micro.text_encoder.clip.logit_scale.exp().item()

    assert found.masks is features.masks
    assert (found.masks.shape, found.weights.shape) == ((2, 5, 8, 8), (2, 5, 3))
    words = [F.normalize(prompts.mean(dim=0), dim=0) for prompts in text] + [F.normalize(micro.nothing[0], dim=0)]
    for v in range(2):
        for q in range(5):
            powers = [math.exp(scale * (features.embeddings[v, q] @ word).item()) for word in words]
            for n in range(3):
                assert found.weights[v, q, n].item() == pytest.approx(powers[n] / sum(powers), rel=1e-4)


def test_mask_and_cap_take_classes_out_of_the_softmax(micro: San, features: SanFeatures) -> None:
    text = F.normalize(torch.randn(6, 2, 128, generator=torch.Generator().manual_seed(3)), dim=-1)
    mask = torch.tensor([True, True, False, True, True, False])
    with torch.no_grad():
        masked = micro.head(features, text, class_mask=mask).weights
        capped = micro.head(features, text, class_mask=mask, class_cap=2).weights
        whole = micro.head(features, text).weights

        assert torch.allclose(masked[:, :, mask], micro.head(features, text[mask]).weights)
        assert (masked[:, :, ~mask] == 0).all()
        assert torch.equal(micro.head(features, text, class_cap=6).weights, whole)
        for v in range(2):
            kept = (capped[v] > 0).any(dim=0)
            # Its logit is the logarithm of a weight up to what all classes of the query share.
            logits = micro._class_logits(features.embeddings, text)[v, :, :-1].amax(dim=0).masked_fill(~mask, -1e9)
            assert kept.nonzero().flatten().tolist() == sorted(logits.topk(2).indices.tolist())
            alone = SanFeatures(features.masks[v : v + 1], features.embeddings[v : v + 1])
            assert torch.allclose(capped[v][:, kept], micro.head(alone, text[kept]).weights[0])


def test_images_of_a_batch_do_not_see_each_other(micro: San) -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        both, alone = micro.encode_image(images), micro.encode_image(images[1:])

    assert torch.allclose(both.masks[1:], alone.masks, atol=1e-5)
    assert torch.allclose(both.embeddings[1:], alone.embeddings, atol=1e-5)


def test_sides_may_differ(micro: San) -> None:
    with torch.no_grad():
        assert micro.encode_image(torch.rand(1, 3, 64, 96)).masks.shape == (1, 5, 8, 12)


# The loss.


def test_truth_has_one_mask_for_each_class_in_the_image() -> None:
    truth = truth_of(torch.tensor([[3, IGNORE], [0, 3]]), IGNORE)

    assert truth.classes.tolist() == [0, 3]
    assert truth.masks.tolist() == [[[0, 0], [1, 0]], [[1, 0], [0, 1]]]


def test_points_are_read_bilinearly_with_the_border_half_a_pixel_outside() -> None:
    mask = torch.tensor([[[0.0, 1.0], [2.0, 3.0]]])
    points = torch.tensor([[[0.25, 0.25], [0.75, 0.25], [0.5, 0.5], [0.25, 0.5]]])

    assert at_points(mask, points).tolist() == [[0.0, 1.0, 1.5, 1.0]]


def test_most_points_lie_where_the_mask_is_undecided() -> None:
    columns = torch.linspace(-8, 8, 16).expand(1, 16, 16)
    points = undecided_points(columns, 400, torch.Generator().manual_seed(0))
    near = (points[0, :, 0] - 0.5).abs() < 0.15

    assert points.shape == (1, 400, 2)
    assert ((points >= 0) & (points < 1)).all()
    assert near[:300].float().mean() > 0.5
    assert 0.15 < near[300:].float().mean() < 0.45


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_matching_cost_equals_loops() -> None:
    masks, targets, probabilities = random(3, 7), (random(2, 7, seed=1) > 0).double(), random(3, 2, seed=2).sigmoid()
    cost = matching_cost(masks, targets, probabilities)

    for q in range(3):
        for t in range(2):
            scores = [sigmoid(value) for value in masks[q].tolist()]
            truth = targets[t].tolist()
            entropy = -sum(math.log(s if y else 1 - s) for s, y in zip(scores, truth, strict=True)) / 7
            overlap = sum(s * y for s, y in zip(scores, truth, strict=True))
            dice = 1 - (2 * overlap + 1) / (sum(scores) + sum(truth) + 1)
            expected = 5 * entropy - 2 * probabilities[q, t].item() + 5 * dice
            assert cost[q, t].item() == pytest.approx(expected)


def stripes() -> Truth:
    """Three classes, each in a third of the columns."""
    masks = torch.zeros(3, 6, 6, dtype=torch.float64)
    for t in range(3):
        masks[t, :, 2 * t : 2 * t + 2] = 1.0
    return Truth(torch.tensor([4, 1, 2]), masks)


def test_a_match_is_the_cheapest_of_all_orders() -> None:
    truth = stripes()
    guess = Guess(2 * random(1, 4, 6, 6), random(1, 4, 6, seed=1))
    queries, order = match(guess, truth, 50, torch.Generator().manual_seed(3))
    points = torch.rand(1, 50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    at = [at_points(masks, points.expand(len(masks), -1, -1)) for masks in (guess.masks[0], truth.masks)]
    cost = matching_cost(*at, guess.classes[0].softmax(dim=1)[:, truth.classes])
    cheapest = min(
        itertools.permutations(range(4), 3), key=lambda chosen: sum(cost[q, t].item() for t, q in enumerate(chosen))
    )

    assert {(t, q) for q, t in zip(queries.tolist(), order.tolist(), strict=True)} == set(enumerate(cheapest))


def test_the_order_of_queries_does_not_matter_and_a_wrong_mask_or_class_costs() -> None:
    truth = stripes()
    masks = torch.full((1, 4, 6, 6), -6.0, dtype=torch.float64)
    masks[0, :3][truth.masks > 0] = 6.0
    classes = torch.zeros(1, 4, 6, dtype=torch.float64)
    for query, wanted in enumerate([*truth.classes.tolist(), 5]):
        classes[0, query, wanted] = 40.0
    order = [2, 0, 3, 1]

    def loss_of(guess: Guess) -> float:
        torch.manual_seed(0)
        return set_loss(guess, [truth], 4000).sum().item()

    right = loss_of(Guess(masks, classes))
    # The points are others for each mask.
    assert loss_of(Guess(masks[:, order], classes[:, order])) == pytest.approx(right, rel=0.05)
    assert loss_of(Guess(-masks, classes)) > 2 * right
    # Every query that matches is 40 logits off, and those are nearly all of the weight.
    assert loss_of(Guess(masks, classes.roll(1, dims=2))) == pytest.approx(right + 2 * 40.0, rel=0.05)


def test_a_query_that_matches_nothing_is_to_say_so_and_counts_a_tenth() -> None:
    classes, other = random(1, 3, 5), random(1, 3, 5, seed=1)
    empty = Truth(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 6, 6, dtype=torch.float64))
    of_none, of_masks = set_loss(Guess(random(1, 3, 6, 6), classes), [empty], 20).tolist()

    assert of_none == pytest.approx(-2 * classes.log_softmax(dim=2)[0, :, 4].mean().item())
    assert of_masks == 0.0

    everywhere = Truth(torch.tensor([1]), torch.ones(1, 6, 6, dtype=torch.float64))
    only_the_first = torch.full((1, 3, 6, 6), -40.0, dtype=torch.float64)
    only_the_first[:, 0] = 40.0

    def loss_of(logits: Tensor) -> float:
        torch.manual_seed(0)
        return set_loss(Guess(only_the_first, logits), [everywhere], 50)[0].item()

    def of_class(logits: Tensor) -> float:
        logs = logits.log_softmax(dim=2)[0]
        return -(logs[0, 1] + 0.1 * logs[1, 4] + 0.1 * logs[2, 4]).item() / 1.2

    assert loss_of(classes) == pytest.approx(2 * of_class(classes))
    assert loss_of(other) == pytest.approx(2 * of_class(other))


def test_mask_losses_are_the_mean_over_the_masks_of_the_batch() -> None:
    """Of constant masks, away from the border: every point says the same."""
    logit, inner = 1.5, Truth(torch.tensor([0]), torch.ones(1, 1, 1, dtype=torch.float64))
    guess = Guess(torch.full((2, 1, 1, 1), logit, dtype=torch.float64), torch.zeros(2, 1, 3, dtype=torch.float64))
    torch.manual_seed(0)
    of_class, of_masks = set_loss(guess, [inner, inner], 64).tolist()
    torch.manual_seed(0)
    seed = int(torch.randint(2**62, ()))
    points = torch.empty(2, 64, 2, dtype=torch.float64)
    for t in range(2):  # both images are asked at the same points
        generator = torch.Generator().manual_seed(seed)
        torch.rand(1, 64, 2, dtype=torch.float64, generator=generator)  # by the match
        points[t] = undecided_points(guess.masks[t], 64, generator)[0]
    expected = 0.0
    for t in range(2):
        pairs = [
            (sigmoid(x), y)
            for x, y in zip(
                at_points(guess.masks[t], points[t : t + 1])[0].tolist(),
                at_points(inner.masks, points[t : t + 1])[0].tolist(),
                strict=True,
            )
        ]
        expected -= 5 * sum(y * math.log(s) + (1 - y) * math.log(1 - s) for s, y in pairs) / 64
        overlap, total = sum(s * y for s, y in pairs), sum(s + y for s, y in pairs)
        expected += 5 * (1 - (2 * overlap + 1) / (total + 1))

    assert of_masks == pytest.approx(expected / 2)
    assert of_class == pytest.approx(2 * math.log(3))


def test_terms_of_parts_of_a_batch_by_their_weights_are_those_of_the_whole(micro: San) -> None:
    """Images of three, one and no class: no two parts have as many masks, and each is asked at the same points."""
    micro.train()
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(3, 64, 64, dtype=torch.int64)
    labels[0, 20:40], labels[0, 40:], labels[2] = 1, 2, IGNORE
    text = micro.encode_text(NAMES, micro.prompt_templates)

    def terms(part: slice) -> Tensor:
        torch.manual_seed(5)
        return micro.training_loss(images[part], labels[part], text, IGNORE)

    def weights(part: slice) -> Tensor:
        return torch.tensor(micro.loss_weights(labels[part], IGNORE))

    whole, parts = slice(0, 3), [slice(0, 1), slice(1, 3)]
    assert weights(whole).tolist() == pytest.approx([4 + 0.1 * (3 * 5 - 4), 4])
    added = sum(terms(part) * weights(part) for part in parts) / weights(whole)
    assert torch.allclose(added, terms(whole), rtol=1e-4)


def test_classes_beyond_the_queries_are_no_masks(micro: San) -> None:
    labels = torch.arange(64).remainder(7).expand(1, 64, 64)

    assert micro.loss_weights(labels, IGNORE) == pytest.approx((5, 5))


def test_training_lowers_the_loss_and_moves_exactly_what_learns() -> None:
    torch.manual_seed(0)
    network = San(MICRO)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    groups = network.parameter_groups()
    optimizer = torch.optim.AdamW([{"params": weights, "lr": 1e-3 * scale} for _, weights, scale in groups])
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(2, 64, 64, dtype=torch.int64)
    labels[:, 32:], labels[:, :, 40:] = 1, IGNORE
    text = network.encode_text(NAMES, network.prompt_templates)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = network.training_loss(images, labels, text, IGNORE).sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    moved = {name for name, weight in network.state_dict().items() if not torch.equal(weight, before[name])}

    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    assert [(name, scale) for name, _, scale in groups] == [("image_encoder", 1.0), ("head", 1.0)]
    in_groups = {id(weight) for _, weights, _ in groups for weight in weights}
    assert in_groups == {id(weight) for weight in network.parameters() if weight.requires_grad}
    for name in before:
        learns = name.startswith(("adapter.", "nothing")) or name == "image_encoder.positional_embedding"
        # An offset of all biases moves the share of the query itself alone: too little to be seen in float32 at times.
        assert (name in moved) == learns or name == "adapter.decoder.scale_bias.bias", name


def test_an_image_without_labels_gives_a_loss_with_a_gradient_for_all(micro: San) -> None:
    micro.train()
    labels = torch.full((1, 64, 64), IGNORE, dtype=torch.int64)
    micro.training_loss(
        torch.rand(1, 3, 64, 64), labels, micro.encode_text(NAMES, ("a photo of a {}.",)), IGNORE
    ).sum().backward()

    assert all(weight.grad is not None for _, weights, _ in micro.parameter_groups() for weight in weights)


def test_positions_and_queries_do_not_decay(micro: San) -> None:
    kept = {name for name, weight in micro.named_parameters() if getattr(weight, "_no_weight_decay", False)}

    embeddings = {f"adapter.{name}" for name in ("positions", "queries", "query_positions")}
    assert kept == {"image_encoder.positional_embedding", *embeddings}


@pytest.mark.parametrize("name", [name for name in PRESETS["san"] if name.startswith("shapes")])
def test_it_stands_on_both_vit_stand_ins(name: str) -> None:
    torch.manual_seed(0)
    network = San(PRESETS["san"][name]()).eval()
    with torch.no_grad():
        text = network.encode_text(NAMES, network.prompt_templates)
        found = network.head(network.encode_image(torch.rand(1, 3, 96, 96)), text)

    assert network.input_size == 96
    assert (found.masks.shape, found.weights.shape) == ((1, 32, 24, 24), (1, 32, 3))


def test_a_tower_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(ModelError, match="open_clip's own ViT"):
        San(replace(MICRO, clip=sed_shapes_convnext_s().clip))


def test_masks_and_weights_are_those_pinned(micro: San) -> None:
    grid = torch.arange(3 * 64 * 64, dtype=torch.float32).view(1, 3, 64, 64)
    with torch.no_grad():
        text = micro.encode_text(NAMES, micro.prompt_templates)
        found = micro.head(micro.encode_image((grid * 0.37).sin() / 2 + 0.5), text)

    assert golden.sketch(found.masks) == pytest.approx(MASKS_PIN, abs=1e-5 * MASKS_PIN[1])
    assert golden.sketch(found.weights) == pytest.approx(WEIGHTS_PIN, abs=1e-5 * WEIGHTS_PIN[1])


MASKS_PIN = [-0.0119883605, 1.34743589]
WEIGHTS_PIN = [0.472873092, 1.29885251]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 60}, "multiple of patch_size = 8"),
        ({"supervised_blocks": (1, 2)}, "must end with 3"),
        ({"num_heads": 5}, "num_heads = 5"),
        ({"fused_layers": ()}, "must be 1 to 3 layers"),
        ({"num_points": 0}, "SanConfig.num_points"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        replace(MICRO, **change)


# Official checkpoints.


@pytest.fixture
def official() -> dict[str, Tensor]:
    """Random weights under the names and in the shapes of a released file."""
    shapes: dict[str, tuple[int, ...]] = {}
    width, text_width, joint, dim, heads = 128, 96, 128, MICRO.dim, 4

    def affine(name: str, out_dim: int, *in_dims: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out_dim, *in_dims), (out_dim,)

    side = "side_adapter_network."
    shapes[f"{side}vit_model.pos_embed"] = (1, 64, dim)
    affine(f"{side}vit_model.patch_embed.proj", dim, 3, 8, 8)
    for block in range(3):
        prefix = f"{side}vit_model.blocks.{block}."
        for norm in ("norm1", "norm2"):
            affine(f"{prefix}{norm}", dim)
        affine(f"{prefix}attn.qkv", 3 * dim, dim)
        affine(f"{prefix}attn.proj", dim, dim)
        affine(f"{prefix}mlp.fc1", 4 * dim, dim)
        affine(f"{prefix}mlp.fc2", dim, 4 * dim)
        affine(f"{side}fusion_layers.layer_{block}.input_proj.0", width)
        affine(f"{side}fusion_layers.layer_{block}.input_proj.1", dim, width, 1, 1)
    shapes[f"{side}query_embed"] = shapes[f"{side}query_pos_embed"] = (1, 5, dim)
    for mlp, out_dim, kernel in (("query_mlp", 12, ()), ("pix_mlp", 12, (1, 1)), ("attn_mlp", 12 * heads, (1, 1))):
        for layer, (n, m) in enumerate(((dim, 12), (12, 12), (12, out_dim))):
            affine(f"{side}mask_decoder.{mlp}.layers.{layer}", m, n, *kernel)
    affine(f"{side}mask_decoder.bias_scaling", 1, 1)

    def clip_block(prefix: str, dim: int) -> None:
        shapes[f"{prefix}attn.in_proj_weight"], shapes[f"{prefix}attn.in_proj_bias"] = (3 * dim, dim), (3 * dim,)
        affine(f"{prefix}attn.out_proj", dim, dim)
        affine(f"{prefix}mlp.c_fc", 4 * dim, dim)
        affine(f"{prefix}mlp.c_proj", dim, 4 * dim)
        for norm in ("ln_1", "ln_2"):
            affine(f"{prefix}{norm}", dim)

    for block in range(3):
        clip_block(f"clip_visual_extractor.resblocks.{block}.", width)
    clip_block("clip_rec_head.resblocks.0.", width)
    for block in range(2):
        clip_block(f"ov_classifier.transformer.resblocks.{block}.", text_width)
    affine("clip_visual_extractor.ln_pre", width)
    affine("clip_rec_head.ln_post", width)
    affine("ov_classifier.ln_final", text_width)
    shapes |= {
        "clip_visual_extractor.conv1.weight": (width, 3, 8, 8),
        "clip_visual_extractor.class_embedding": (width,),
        "clip_visual_extractor.positional_embedding": (50, width),
        "clip_rec_head.proj": (width, joint),
        "ov_classifier.positional_embedding": (32, text_width),
        "ov_classifier.text_projection": (text_width, joint),
        "ov_classifier.logit_scale": (),
        "ov_classifier.token_embedding.weight": (70, text_width),
        "ov_classifier.attn_mask": (32, 32),
        "ov_classifier.bg_embed": (1, joint),
        "criterion.empty_weight": (172,),
    }
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) * 0.05 for name, shape in shapes.items()}


def write(state: dict[str, Tensor], folder: Path) -> Path:
    path = folder / "model_final.pth"
    torch.save({"model": state, "iteration": 59999}, path)
    return path


def test_an_official_checkpoint_is_read_whole(official: dict[str, Tensor], tmp_path: Path) -> None:
    network = load_official(write(official, tmp_path), MICRO)
    own = network.state_dict()
    not_weights = ("ov_classifier.attn_mask", "criterion.empty_weight")

    assert not network.training
    assert sum(map(torch.numel, own.values())) == sum(
        tensor.numel() for name, tensor in official.items() if name not in not_weights
    )
    for ours, theirs in {
        "image_encoder.positional_embedding": "clip_visual_extractor.positional_embedding",
        "image_encoder.blocks.2.mlp.c_fc.weight": "clip_visual_extractor.resblocks.2.mlp.c_fc.weight",
        "image_encoder.blocks.3.ln_2.bias": "clip_rec_head.resblocks.0.ln_2.bias",
        "image_encoder.proj": "clip_rec_head.proj",
        "text_encoder.clip.text_projection": "ov_classifier.text_projection",
        "nothing": "ov_classifier.bg_embed",
        "adapter.positions": "side_adapter_network.vit_model.pos_embed",
        "adapter.query_positions": "side_adapter_network.query_pos_embed",
        "adapter.blocks.1.attn.qkv.weight": "side_adapter_network.vit_model.blocks.1.attn.qkv.weight",
        "adapter.fusions.2.1.weight": "side_adapter_network.fusion_layers.layer_2.input_proj.1.weight",
        "adapter.decoder.bias_mlp.4.weight": "side_adapter_network.mask_decoder.attn_mlp.layers.2.weight",
        "adapter.decoder.mask_mlp.2.bias": "side_adapter_network.mask_decoder.pix_mlp.layers.1.bias",
        "adapter.decoder.scale_bias.weight": "side_adapter_network.mask_decoder.bias_scaling.weight",
    }.items():
        assert torch.equal(own[ours].flatten(), official[theirs].flatten()), ours
    with torch.no_grad():
        assert network.encode_image(torch.rand(1, 3, 64, 64)).masks.shape == (1, 5, 8, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("ov_classifier.bg_embed"), "nothing is missing"),
        (lambda state: state.update({"more.weight": torch.zeros(1)}), "more.weight is not in this one"),
        (lambda state: state.pop("clip_rec_head.proj"), "visual.proj is missing"),
        (
            lambda state: state.update({"side_adapter_network.query_embed": torch.zeros(1, 100, 24)}),
            r"adapter.queries is \(100, 24\), this one needs \(5, 24\)",
        ),
    ],
)
def test_an_official_checkpoint_that_does_not_fit_is_refused_in_one_line(
    official: dict[str, Tensor], tmp_path: Path, change: Callable[[dict], None], message: str
) -> None:
    change(official)

    with pytest.raises(ModelError, match=message) as refused:
        load_official(write(official, tmp_path), MICRO)
    assert "\n" not in str(refused.value)


def test_a_checkpoint_of_another_method_is_refused(tmp_path: Path) -> None:
    of_sed = {"sem_seg_head.predictor.transformer.decoder1.cnext.dwconv.weight": torch.zeros(1)}

    with pytest.raises(ModelError, match="a checkpoint of SED; SAN's has"):
        load_official(write(of_sed, tmp_path))


def test_a_size_that_was_not_released_needs_a_configuration(official: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"first convolution has 128 channels; released were \(768, 1024\)"):
        load_official(write(official, tmp_path))
