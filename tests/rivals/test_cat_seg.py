import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import golden
from logoseg import presets
from logoseg.model_error import ModelError
from logoseg.network import REJECTED
from rivals.cat_seg import Aggregator, CatSeg, CatSegFeatures, WindowBlock, load_official
from rivals.configurations import PRESETS, CatSegConfig
from rivals.cost_volume import bce_with_ignored_as_zeros

IGNORE = 255
NAMES = [["red square", "box"], ["blue circle"], ["green triangle"]]
CLIP = replace(presets.shapes_vit_s().clip, guidance_layers=(0, 2), stem="patch", image_size=64)
MICRO = CatSegConfig(
    clip=CLIP,
    dim=16,
    num_heads=2,
    window=4,
    num_classes=6,
    guidance_channels=(12, 10),
    guidance_dims=(6, 4),
    decoder_dims=(16, 16),
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def features(*, batch: int = 2, seed: int = 0) -> CatSegFeatures:
    appearance = random(batch, 10, 8, 8, seed=seed)
    guidance = random(batch, 12, 16, 16, seed=seed + 1), random(batch, 10, 32, 32, seed=seed + 2)
    return CatSegFeatures(F.normalize(appearance, dim=1), appearance, guidance)


def unit_text(num_classes: int) -> Tensor:
    return F.normalize(random(num_classes, 1, 10, seed=9), dim=-1)


@pytest.fixture
def micro() -> CatSeg:
    torch.manual_seed(0)
    return CatSeg(MICRO).eval()


@pytest.fixture
def head() -> Callable[..., Tensor]:
    """The head of a network whose V has 10 channels, in float64."""
    torch.manual_seed(0)
    network = CatSeg(MICRO)
    network.aggregator = Aggregator(MICRO, joint_dim=10)
    return torch.no_grad()(network.double().eval().head)


def window_attention_by_loops(block: WindowBlock, x: Tensor, appearance: Tensor, window: int, shift: int) -> Tensor:
    """One class, x: h x w x D. A place sees those that share its window of the rolled map and were not brought there
    over the border."""
    height, width, dim = x.shape
    both = torch.cat([block.norm_1(x), appearance], dim=-1)
    query, key, value = block.query(both), block.key(both), block.value(block.norm_1(x))

    def window_of(y: int, column: int) -> tuple[int, int, bool, bool]:
        rolled = (y - shift) % height, (column - shift) % width
        return rolled[0] // window, rolled[1] // window, y < shift, column < shift

    places = [(y, column) for y in range(height) for column in range(width)]
    attended = torch.zeros_like(x)
    head_dim = dim // block.num_heads
    for place in places:
        seen = [other for other in places if window_of(*other) == window_of(*place)]
        for head in range(block.num_heads):
            part = slice(head * head_dim, (head + 1) * head_dim)
            scores = [float(query[place][part] @ key[other][part]) / math.sqrt(head_dim) for other in seen]
            weights = [math.exp(score) for score in scores]
            for weight, other in zip(weights, seen, strict=True):
                attended[place][part] += weight / sum(weights) * value[other][part]
    x = x + block.out(attended)
    return x + block.mlp(block.norm_2(x))


@pytest.mark.parametrize(("size", "window", "shift"), [((8, 12), 4, 0), ((8, 12), 4, 2), ((4, 4), 6, 3)])
def test_window_block_equals_loops(size: tuple[int, int], window: int, shift: int) -> None:
    torch.manual_seed(0)
    block = WindowBlock(dim=4, num_heads=2, window=window, shift=shift).double()
    x, appearance = random(1, 2, *size, 4), random(1, *size, 4, seed=1)
    is_one_window = min(size) <= window
    with torch.no_grad():
        made = block(x, appearance)
        for n in range(2):
            expected = window_attention_by_loops(
                block, x[0, n], appearance[0], min(window, *size), 0 if is_one_window else shift
            )
            assert torch.allclose(made[0, n], expected, atol=1e-10)


def test_a_map_that_windows_do_not_divide_is_refused() -> None:
    block = WindowBlock(dim=4, num_heads=2, window=4, shift=2)

    with pytest.raises(ModelError, match="8 x 10 tokens; both must be multiples of 4"):
        block(torch.zeros(1, 1, 8, 10, 4), torch.zeros(1, 8, 10, 4))


def test_a_class_that_is_masked_has_no_influence(head: Callable[..., Tensor]) -> None:
    text, mask = unit_text(5), torch.tensor([True, False, True, True, False])
    logits = head(features(), text, class_mask=mask)

    assert torch.allclose(logits[:, mask], head(features(), text[mask]))
    assert (logits[:, ~mask] == REJECTED).all()


@pytest.mark.parametrize(("num_classes", "cap", "kept"), [(9, None, 6), (9, 4, 4), (3, 4, 3), (5, 20, 5)])
def test_an_image_keeps_the_likeliest_classes(
    head: Callable[..., Tensor], num_classes: int, cap: int | None, kept: int
) -> None:
    text, one = unit_text(num_classes), features(batch=1)
    logits = head(one, text, class_cap=cap)
    best = torch.einsum("bchw,npc->bnhwp", one.dense, text).amax(dim=(2, 3, 4))[0]
    expected = best.topk(kept).indices

    assert logits.shape == (1, num_classes, 32, 32)
    assert ((logits[0] != REJECTED).flatten(1).all(dim=1)).nonzero().flatten().tolist() == sorted(expected.tolist())
    assert torch.allclose(logits[0, expected], head(one, text[expected])[0])


def test_images_of_a_batch_do_not_see_each_other(head: Callable[..., Tensor]) -> None:
    both, text = features(), unit_text(9)
    alone = CatSegFeatures(both.dense[1:], both.appearance[1:], (both.guidance[0][1:], both.guidance[1][1:]))

    assert torch.allclose(head(both, text)[1:], head(alone, text))


def test_only_the_first_synonym_is_read(micro: CatSeg) -> None:
    templates = micro.prompt_templates
    text = micro.encode_text(NAMES, templates)

    assert text.shape == (3, 1, 128)
    assert torch.allclose(text, micro.encode_text([[synonyms[0]] for synonyms in NAMES], templates))
    assert torch.allclose(text, micro.text_encoder([[synonyms[0]] for synonyms in NAMES], templates), atol=1e-6)


def test_guidance_and_appearance_are_those_of_clip(micro: CatSeg) -> None:
    with torch.no_grad():
        views = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        made, clip = micro.encode_image(views), micro.image_encoder(views)

    assert torch.equal(made.dense, clip.dense)
    assert torch.allclose(F.normalize(made.appearance, dim=1), clip.dense, atol=1e-6)
    assert not torch.allclose(made.appearance.norm(dim=1), torch.ones(2, 8, 8), atol=0.05)
    assert [tuple(maps.shape) for maps in made.guidance] == [(2, 12, 16, 16), (2, 10, 32, 32)]


def test_training_lowers_the_loss_and_moves_exactly_what_learns() -> None:
    torch.manual_seed(0)
    network = CatSeg(MICRO)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    groups = network.parameter_groups()
    optimizer = torch.optim.AdamW([{"params": weights, "lr": 2e-3 * scale} for _, weights, scale in groups])
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(2, 64, 64, dtype=torch.int64)
    labels[:, 32:], labels[:, :, 40:] = 1, IGNORE
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = network.training_loss(images, labels, network.encode_text(NAMES, network.prompt_templates), IGNORE)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    moved = {name for name, weight in network.state_dict().items() if not torch.equal(weight, before[name])}
    of_clip = re.compile(r"(image_encoder\.blocks\.\d|text_encoder\.clip\..*)\.attn\.(query|value)_weight")

    assert losses[-1] < 0.9 * losses[0]
    assert [name for name, _, _ in groups] == ["image_encoder", "text_encoder", "head"]
    assert [scale for _, _, scale in groups] == [0.01, 0.01, 1.0]
    in_groups = {id(weight) for _, weights, _ in groups for weight in weights}
    assert in_groups == {id(weight) for weight in network.parameters() if weight.requires_grad}
    # The last block of the image tower has no query; no padding is left out of six classes where there are three.
    for name in before:
        in_head = name.startswith(("aggregator.", "upsample_guidance."))
        in_clip = of_clip.fullmatch(name) is not None and name != "image_encoder.blocks.3.attn.query_weight"
        assert (name in moved) == (in_head or in_clip), name


def test_another_size_of_image_is_stretched_for_training(micro: CatSeg) -> None:
    images, labels = torch.rand(1, 3, 128, 96), torch.randint(0, 3, (1, 128, 96))
    text = micro.encode_text(NAMES, micro.prompt_templates)
    squares = F.interpolate(images, size=(64, 64), mode="bilinear", align_corners=False)
    expected = bce_with_ignored_as_zeros(micro.head(micro.encode_image(squares), text), labels, IGNORE)

    assert micro.training_loss(images, labels, text).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("name", [name for name in PRESETS["cat-seg"] if name.startswith("shapes")])
def test_it_stands_on_every_stand_in(name: str) -> None:
    torch.manual_seed(0)
    network = CatSeg(PRESETS["cat-seg"][name]()).eval()
    size = network.input_size
    with torch.no_grad():
        text = network.encode_text(NAMES, network.prompt_templates)
        logits = network.head(network.encode_image(torch.rand(1, 3, size, size)), text)

    assert (size, logits.shape) == (96, (1, 3, 48, 48))


def test_logits_are_those_pinned(micro: CatSeg) -> None:
    grid = torch.arange(3 * 64 * 64, dtype=torch.float32).view(1, 3, 64, 64)
    with torch.no_grad():
        text = micro.encode_text(NAMES, micro.prompt_templates)
        logits = micro.head(micro.encode_image((grid * 0.37).sin() / 2 + 0.5), text)

    assert golden.sketch(logits) == pytest.approx(PIN, abs=1e-5 * PIN[1])


PIN = [-3.85428412, 19.2819935]


# Official checkpoints.


def official_names(config: CatSegConfig, *, width: int, text_width: int, joint: int, layers: int) -> dict[str, Tensor]:
    """Random weights under the names and in the shapes of a released file."""
    shapes: dict[str, tuple[int, ...]] = {}
    head, clip, dim = "sem_seg_head.predictor.transformer.", "sem_seg_head.predictor.clip_model.", config.dim

    def affine(name: str, out_dim: int, *in_dims: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out_dim, *in_dims), (out_dim,)

    for layer in range(config.num_layers):
        prefix = f"{head}layers.{layer}."
        for block in ("block_1", "block_2"):
            for name in ("attn.q", "attn.k"):
                affine(f"{prefix}swin_block.{block}.{name}", dim, 2 * dim)
            for name in ("attn.v", "attn.proj"):
                affine(f"{prefix}swin_block.{block}.{name}", dim, dim)
            affine(f"{prefix}swin_block.{block}.mlp.fc1", 4 * dim, dim)
            affine(f"{prefix}swin_block.{block}.mlp.fc2", dim, 4 * dim)
            for norm in ("norm1", "norm2"):
                affine(f"{prefix}swin_block.{block}.{norm}", dim)
        shapes[f"{prefix}swin_block.block_2.attn_mask"] = (4, config.window**2, config.window**2)
        affine(f"{prefix}swin_block.guidance_norm", dim)
        for name in ("q", "k"):
            affine(f"{prefix}attention.attention.{name}", dim, 2 * dim)
        affine(f"{prefix}attention.attention.v", dim, dim)
        affine(f"{prefix}attention.MLP.0", 4 * dim, dim)
        affine(f"{prefix}attention.MLP.2", dim, 4 * dim)
        for norm in ("norm1", "norm2"):
            affine(f"{prefix}attention.{norm}", dim)
        shapes[f"{prefix}attention.padding_tokens"] = shapes[f"{prefix}attention.padding_guidance"] = (1, 1, dim)
    affine(f"{head}conv1", dim, 1, 7, 7)
    affine(f"{head}guidance_projection.0", dim, joint, 3, 3)
    affine(f"{head}text_guidance_projection.0", dim, joint)
    widths = (dim, *config.decoder_dims)
    for i, kernel in enumerate((2, 4)):
        channels, guidance_dim = config.guidance_channels[i], config.guidance_dims[i]
        affine(f"{head}decoder_guidance_projection.{i}.0", guidance_dim, channels, 3, 3)
        shapes[f"{head}decoder{i + 1}.up.weight"] = (widths[i], widths[i] - guidance_dim, 2, 2)
        shapes[f"{head}decoder{i + 1}.up.bias"] = (widths[i] - guidance_dim,)
        convolutions = f"{head}decoder{i + 1}.conv.double_conv."
        shapes[f"{convolutions}0.weight"] = (widths[i + 1], widths[i], 3, 3)
        shapes[f"{convolutions}3.weight"] = (widths[i + 1], widths[i + 1], 3, 3)
        affine(f"{convolutions}1", widths[i + 1])
        affine(f"{convolutions}4", widths[i + 1])
        shapes[f"upsample{i + 1}.weight"] = (width, channels, kernel, kernel)
        shapes[f"upsample{i + 1}.bias"] = (channels,)
    affine(f"{head}head", 1, widths[-1], 3, 3)
    for tower, dim, num_blocks in (("visual.transformer.", width, layers), ("transformer.", text_width, 2)):
        for block in range(num_blocks):
            prefix = f"{clip}{tower}resblocks.{block}."
            for letter in "qkv":
                shapes[f"{prefix}attn.{letter}_proj_weight"] = (dim, dim)
            shapes[f"{prefix}attn.in_proj_bias"] = (3 * dim,)
            affine(f"{prefix}attn.out_proj", dim, dim)
            affine(f"{prefix}mlp.c_fc", 4 * dim, dim)
            affine(f"{prefix}mlp.c_proj", dim, 4 * dim)
            for norm in ("ln_1", "ln_2"):
                affine(f"{prefix}{norm}", dim)
    for norm in ("visual.ln_pre", "visual.ln_post"):
        affine(f"{clip}{norm}", width)
    affine(f"{clip}ln_final", text_width)
    shapes |= {
        f"{clip}positional_embedding": (32, text_width),
        f"{clip}text_projection": (text_width, joint),
        f"{clip}logit_scale": (),
        f"{clip}token_embedding.weight": (70, text_width),
        f"{clip}visual.class_embedding": (width,),
        f"{clip}visual.positional_embedding": (26, width),
        f"{clip}visual.proj": (width, joint),
        f"{clip}visual.conv1.weight": (width, 3, 8, 8),
    }
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) * 0.05 for name, shape in shapes.items()}


@pytest.fixture
def official() -> dict[str, Tensor]:
    return official_names(MICRO, width=128, text_width=96, joint=128, layers=4)


def write(state: dict[str, Tensor], folder: Path) -> Path:
    path = folder / "model_final.pth"
    torch.save({"model": state, "iteration": 79999}, path)
    return path


def test_an_official_checkpoint_is_read_whole(official: dict[str, Tensor], tmp_path: Path) -> None:
    network = load_official(write(official, tmp_path), MICRO)
    head, clip = "sem_seg_head.predictor.transformer.", "sem_seg_head.predictor.clip_model."
    own = network.state_dict()

    def number(tensors: dict[str, Tensor]) -> int:
        return sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith("attn_mask"))

    assert not network.training
    assert number(own) == number(official)
    for ours, theirs in {
        "aggregator.layers.1.blocks.1.key.weight": f"{head}layers.1.swin_block.block_2.attn.k.weight",
        "aggregator.layers.0.class_attention.value.bias": f"{head}layers.0.attention.attention.v.bias",
        "aggregator.layers.0.class_attention.padding": f"{head}layers.0.attention.padding_tokens",
        "aggregator.decoder.1.refine_norm.weight": f"{head}decoder2.conv.double_conv.4.weight",
        "aggregator.to_logit.weight": f"{head}head.weight",
        "upsample_guidance.1.weight": "upsample2.weight",
        "image_encoder.positional_embedding": f"{clip}visual.positional_embedding",
    }.items():
        assert torch.equal(own[ours].flatten(), official[theirs].flatten()), ours
    attention = network.text_encoder.clip.transformer.resblocks[1].attn
    assert torch.equal(attention.value_weight, official[f"{clip}transformer.resblocks.1.attn.v_proj_weight"])
    with torch.no_grad():
        text = network.encode_text(NAMES, network.prompt_templates)
        assert network.head(network.encode_image(torch.rand(1, 3, 64, 64)), text).shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("upsample1.bias"), "upsample_guidance.0.bias is missing"),
        (lambda state: state.update(more=torch.zeros(1)), "more is not in this one"),
        (
            lambda state: state.pop("sem_seg_head.predictor.clip_model.transformer.resblocks.0.attn.k_proj_weight"),
            "attn.k_proj_weight is missing",
        ),
        (lambda state: state.pop("sem_seg_head.predictor.clip_model.ln_final.bias"), "ln_final.bias is missing"),
        (lambda state: state.update({"upsample2.bias": torch.zeros(3)}), r"upsample_guidance.1.bias is \(3,\)"),
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
    of_san = {"side_adapter_network.query_embed": torch.zeros(1, 100, 240)}

    with pytest.raises(ModelError, match="a checkpoint of SAN; CAT-Seg's has"):
        load_official(write(of_san, tmp_path))
    with pytest.raises(ModelError, match="no checkpoint of CAT-Seg, SED or SAN"):
        load_official(write({"weight": torch.zeros(1)}, tmp_path))


def test_a_size_that_was_not_released_needs_a_configuration(official: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"first convolution has 128 channels; released were \(768, 1024\)"):
        load_official(write(official, tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"dim": 0}, "CatSegConfig.dim"), ({"num_heads": 3}, "num_heads = 3"), ({"decoder_dims": (64, 20)}, "of 16")],
)
def test_a_configuration_that_cannot_be_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        replace(MICRO, **change)
