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
from logoseg.clip.towers import build_clip
from logoseg.model_error import ModelError
from logoseg.network import REJECTED
from rivals.configurations import PRESETS, SedConfig, sed_shapes_convnext_s
from rivals.cost_volume import bce_with_ignored_as_zeros
from rivals.sed import Sed, SedDecoder, SedFeatures, likeliest_somewhere, load_official

IGNORE = 255
NAMES = [["red square", "picture"], ["blue circle"], ["green triangle"]]
MICRO = SedConfig(
    clip=replace(sed_shapes_convnext_s().clip, image_size=64),
    prompt_templates=("a photo of a {}.", "a photo of the {}."),
    dim=16,
    num_heads=2,
    kernel_size=3,
    guidance_stages=(0, -1),
    guidance_dims=(6, 4),
    decoder_dims=(16, 16),
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def features(*, batch: int = 2, contrast: float = 1.0) -> SedFeatures:
    """With little contrast most classes are likeliest nowhere."""
    dense = random(batch, 10, 1, 1) + contrast * random(batch, 10, 4, 4, seed=1)
    guidance = contrast * random(batch, 12, 8, 8, seed=2), contrast * random(batch, 10, 16, 16, seed=3)
    return SedFeatures(F.normalize(dense, dim=1), guidance)


def unit_text(num_classes: int) -> Tensor:
    return F.normalize(random(num_classes, 2, 10, seed=9), dim=-1)


def network_of(config: SedConfig) -> Sed:
    """V has 10 channels, and what guides it 12 and 10; in float64."""
    torch.manual_seed(0)
    network = Sed(config)
    network.decoder = SedDecoder(config, guidance_channels=(12, 10))
    return network.double().eval()


@pytest.fixture
def whole() -> Sed:
    return network_of(MICRO)


@pytest.fixture
def rejecting() -> Sed:
    return network_of(replace(MICRO, early_rejection=2))


@pytest.fixture
def micro() -> Sed:
    torch.manual_seed(0)
    return Sed(MICRO).eval()


def stage_by_loops(decoder: SedDecoder, stage: int, x: Tensor, volume: Tensor, guidance: Tensor) -> Tensor:
    """One image, x: N x D x h x w, one class at a time but for the attention between them."""
    part, block = decoder.decoder[stage], decoder.decoder[stage].block
    mixed = []
    for n in range(len(x)):
        tokens = block.norm(block.depthwise(x[n : n + 1])[0].permute(1, 2, 0))
        mixed.append(x[n] + (block.scale * block.mlp(tokens)).permute(2, 0, 1))
    attended = part.class_attention(torch.stack(mixed)[None], torch.zeros(1, len(x), 0).double())[0]
    finer = []
    for n in range(len(x)):
        joined = torch.cat([part.up(attended[n]), F.relu(decoder.project_guidance[stage](guidance)), volume[n]])[None]
        merged = F.relu(part.merge_norm(part.merge(joined)))
        finer.append(F.relu(part.refine_norm(part.refine(merged)))[0])
    return torch.stack(finer)


def logits_by_loops(decoder: SedDecoder, image: SedFeatures, text: Tensor, top: int | None) -> tuple[Tensor, list[int]]:
    """The last logits of one image and the classes they are of; the rule of rejection written out."""
    volume = torch.stack([torch.einsum("chw,pc->phw", image.dense[0], prompts) for prompts in text])
    x = torch.stack([decoder.embed_volume(maps[None])[0] for maps in volume])
    kept = list(range(len(text)))
    for stage, guidance in enumerate(image.guidance):
        guess = torch.cat([decoder.to_logit[stage](maps[None])[0] for maps in x])
        passed = list(range(len(kept)))
        if top is not None:
            height, width = guess.shape[1:]
            ranked = [
                sorted(passed, key=lambda n: -float(guess[n, y, column]))[:top]
                for y in range(height)
                for column in range(width)
            ]
            passed = [n for n in passed if any(n in best for best in ranked)]
        kept = [kept[n] for n in passed]
        volume = torch.stack([F.relu(decoder.project_volume[stage](maps[None]))[0] for maps in volume[passed]])
        x = stage_by_loops(decoder, stage, x[passed], volume, guidance[0])
    return torch.cat([decoder.to_logit[-1](maps[None])[0] for maps in x]), kept


def test_logits_equal_loops(whole: Sed) -> None:
    one, text = features(batch=1), unit_text(4)
    with torch.no_grad():
        expected, _ = logits_by_loops(whole.decoder, one, text, None)

        assert torch.allclose(whole.head(one, text)[0], expected, atol=1e-10)


def test_early_rejection_equals_loops(rejecting: Sed) -> None:
    one, text = features(batch=1, contrast=0.02), unit_text(9)
    with torch.no_grad():
        expected, kept = logits_by_loops(rejecting.decoder, one, text, 2)
        logits = rejecting.head(one, text)[0]

    assert 2 <= len(kept) < 9
    assert torch.allclose(logits[kept], expected, atol=1e-10)
    assert (logits[[n for n in range(9) if n not in kept]] == REJECTED).all()
    assert logits.float().sigmoid()[[n for n in range(9) if n not in kept]].max() < 1e-40


def test_rejection_by_as_many_as_there_are_classes_rejects_none(whole: Sed) -> None:
    every = network_of(replace(MICRO, early_rejection=9))
    with torch.no_grad():
        assert torch.allclose(every.head(features(), unit_text(9)), whole.head(features(), unit_text(9)))


def test_a_class_passes_if_it_is_among_the_best_of_one_position() -> None:
    logits = torch.tensor([[[3.0, 0.0]], [[2.0, 1.0]], [[1.0, 2.0]], [[0.0, 1.5]]])

    assert likeliest_somewhere(logits, 1).tolist() == [0, 2]
    assert likeliest_somewhere(logits, 2).tolist() == [0, 1, 2, 3]
    assert likeliest_somewhere(logits[:2], 8).tolist() == [0, 1]


@pytest.mark.parametrize("early_rejection", [None, 2])
def test_mask_and_cap_are_kept_to(early_rejection: int | None) -> None:
    network, text = network_of(replace(MICRO, early_rejection=early_rejection)), unit_text(6)
    mask = torch.tensor([True, False, True, True, False, True])
    one = features(batch=1)
    best = torch.einsum("bchw,npc->bnhwp", one.dense, text).amax(dim=(2, 3, 4))[0].masked_fill(~mask, -2.0)
    two = best.topk(2).indices
    with torch.no_grad():
        masked, capped = network.head(one, text, class_mask=mask), network.head(one, text, class_mask=mask, class_cap=2)

        assert torch.allclose(masked[:, mask], network.head(one, text[mask]))
        assert (masked[:, ~mask] == REJECTED).all()
        assert torch.allclose(capped[:, two], network.head(one, text[two]))
        assert (capped == REJECTED).flatten(2).all(dim=2).sum() >= 4


def test_images_of_a_batch_do_not_see_each_other(rejecting: Sed) -> None:
    both, text = features(contrast=0.05), unit_text(9)
    alone = SedFeatures(both.dense[1:], tuple(maps[1:] for maps in both.guidance))
    with torch.no_grad():
        assert torch.allclose(rejecting.head(both, text)[1:], rejecting.head(alone, text))


def test_guidance_is_of_the_stages_of_clip_and_detached(micro: Sed) -> None:
    views = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    made, clip = micro.encode_image(views), micro.image_encoder(views)

    assert torch.equal(made.dense, clip.dense)
    assert made.dense.requires_grad
    # The preset of the stand-in names the same two maps.
    for maps, expected in zip(made.guidance, clip.guidance, strict=True):
        assert torch.equal(maps, expected)
        assert not maps.requires_grad


def test_loss_is_the_sum_over_the_scales(micro: Sed) -> None:
    images, labels = torch.rand(1, 3, 96, 80), torch.randint(0, 3, (1, 96, 80))
    text = micro.encode_text(NAMES, micro.prompt_templates)
    squares = F.interpolate(images, size=(64, 64), mode="bilinear", align_corners=False)
    scales = micro.decoder(micro.encode_image(squares), text[None])
    expected = sum(bce_with_ignored_as_zeros(logits, labels, IGNORE).item() for logits in scales)

    assert [logits.shape[2:] for logits in scales] == [(8, 8), (16, 16), (32, 32)]
    assert micro.training_loss(images, labels, text).item() == pytest.approx(expected)


def test_auxiliary_heads_see_detached_features(micro: Sed) -> None:
    text = micro.encode_text(NAMES, micro.prompt_templates)
    *guesses, _ = micro.decoder(micro.encode_image(torch.rand(1, 3, 64, 64)), text[None])
    sum(guess.sum() for guess in guesses).backward()

    with_gradient = {name for name, weight in micro.named_parameters() if weight.grad is not None}
    assert with_gradient == {f"decoder.to_logit.{i}.{kind}" for i in range(2) for kind in ("weight", "bias")}


def test_training_lowers_the_loss_and_moves_exactly_what_learns() -> None:
    torch.manual_seed(0)
    network = Sed(MICRO)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    groups = network.parameter_groups()
    optimizer = torch.optim.AdamW([{"params": weights, "lr": 2e-3 * scale} for _, weights, scale in groups])
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(2, 64, 64, dtype=torch.int64)
    labels[:, 32:], labels[:, :, 40:] = 1, IGNORE
    text = network.encode_text(NAMES, network.prompt_templates)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = network.training_loss(images, labels, text, IGNORE)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    moved = {name for name, weight in network.state_dict().items() if not torch.equal(weight, before[name])}

    assert losses[-1] < 0.9 * losses[0]
    assert [(name, scale) for name, _, scale in groups] == [("image_encoder", 0.01), ("head", 1.0)]
    in_groups = {id(weight) for _, weights, _ in groups for weight in weights}
    assert in_groups == {id(weight) for weight in network.parameters() if weight.requires_grad}
    assert moved == {name for name in before if not name.startswith("text_encoder.")}


def test_all_synonyms_are_averaged_and_every_template_is_a_channel(micro: Sed) -> None:
    text = micro.encode_text(NAMES, micro.prompt_templates)
    alone = micro.encode_text([["red square"], ["picture"]], micro.prompt_templates)

    assert text.shape == (3, 2, 128)
    assert torch.allclose(text[0], F.normalize(alone.mean(dim=0), dim=-1), atol=1e-6)
    assert len(SedConfig(clip=MICRO.clip).prompt_templates) == 80


@pytest.mark.parametrize("name", [name for name in PRESETS["sed"] if name.startswith("shapes")])
def test_it_stands_on_both_stand_ins(name: str) -> None:
    torch.manual_seed(0)
    network = Sed(PRESETS["sed"][name]()).eval()
    with torch.no_grad():
        text = network.encode_text(NAMES, network.prompt_templates)
        logits = network.head(network.encode_image(torch.rand(1, 3, 96, 96)), text)

    assert (network.input_size, logits.shape) == (96, (1, 3, 48, 48))


def test_a_tower_without_stages_is_refused() -> None:
    with pytest.raises(ModelError, match="guided by the stages of a ConvNeXt; shapes-vit-s has none"):
        Sed(replace(MICRO, clip=presets.shapes_vit_s().clip))


def test_logits_are_those_pinned(micro: Sed) -> None:
    grid = torch.arange(3 * 64 * 64, dtype=torch.float32).view(1, 3, 64, 64)
    with torch.no_grad():
        text = micro.encode_text(NAMES, micro.prompt_templates)
        logits = micro.head(micro.encode_image((grid * 0.37).sin() / 2 + 0.5), text)

    assert golden.sketch(logits) == pytest.approx(PIN, abs=1e-5 * PIN[1])


PIN = [3.62473615, 29.6716711]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"early_rejection": 0}, "SedConfig.early_rejection must be at least 1"),
        ({"guidance_stages": (-1, 0)}, "deepest first"),
        ({"guidance_dims": (6,)}, "one value a stage"),
        ({"decoder_dims": (16, 20)}, "multiples of 16"),
        ({"num_heads": 3}, "num_heads = 3"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        replace(MICRO, **change)


# Official checkpoints.

HEAD, CLIP = "sem_seg_head.predictor.transformer.", "sem_seg_head.predictor.clip_model."
# Of three stages, as the released files are: the third is guided by no stage of the stand-in that has the right size,
# so that such a network is read but not run.
OFFICIAL = replace(MICRO, guidance_stages=(2, 1, 0), guidance_dims=(6, 4, 2), decoder_dims=(16, 16, 16))
STAGE_CHANNELS = (32, 64, 128)


@pytest.fixture
def official() -> dict[str, Tensor]:
    """Random weights under the names and in the shapes of a released file."""
    shapes: dict[str, tuple[int, ...]] = {}

    def affine(name: str, out_dim: int, *in_dims: int) -> None:
        shapes[f"{HEAD}{name}.weight"], shapes[f"{HEAD}{name}.bias"] = (out_dim, *in_dims), (out_dim,)

    widths, dims = (16, 16, 16, 16), (2, 6, 4, 2)
    affine("conv1", 16, 2, 7, 7)
    for i in range(3):
        stage, width, dim = f"decoder{i + 1}.", widths[i], dims[i + 1]
        affine(f"decoder_guidance_projection.{i}.0", dim, STAGE_CHANNELS[2 - i], 3, 3)
        shapes[f"{HEAD}decoder_corr_guidance_projection.{i}.0.weight"] = (dims[i], dim, 2, 2)
        shapes[f"{HEAD}decoder_corr_guidance_projection.{i}.0.bias"] = (dim,)
        shapes[f"{HEAD}{stage}up.weight"] = (width, width - dim, 2, 2)
        shapes[f"{HEAD}{stage}up.bias"] = (width - dim,)
        shapes[f"{HEAD}{stage}conv.double_conv.0.weight"] = (widths[i + 1], width + dim, 3, 3)
        shapes[f"{HEAD}{stage}conv.double_conv.3.weight"] = (widths[i + 1], widths[i + 1], 3, 3)
        affine(f"{stage}conv.double_conv.1", widths[i + 1])
        affine(f"{stage}conv.double_conv.4", widths[i + 1])
        affine(f"{stage}cnext.dwconv", width, 1, 3, 3)
        affine(f"{stage}cnext.norm", width)
        affine(f"{stage}cnext.pwconv1", 4 * width, width)
        affine(f"{stage}cnext.pwconv2", width, 4 * width)
        shapes[f"{HEAD}{stage}cnext.gamma"] = (width,)
        for letter in "qkv":
            affine(f"{stage}attention.attention.{letter}", width, width)
        affine(f"{stage}attention.MLP.0", 4 * width, width)
        affine(f"{stage}attention.MLP.2", width, 4 * width)
        affine(f"{stage}attention.norm1", width)
        affine(f"{stage}attention.norm2", width)
    for name in ("head0", "head1", "head2", "head"):
        affine(name, 1, 16, 3, 3)
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=generator) * 0.05 for name, shape in shapes.items()}
    torch.manual_seed(1)
    # The fork of open_clip in the released code names CLIP's weights as open_clip does.
    return state | {f"{CLIP}{name}": tensor for name, tensor in build_clip(OFFICIAL.clip).state_dict().items()}


def write(state: dict[str, Tensor], folder: Path) -> Path:
    path = folder / "model_final.pth"
    torch.save({"model": state, "iteration": 79999}, path)
    return path


def test_an_official_checkpoint_is_read_whole(official: dict[str, Tensor], tmp_path: Path) -> None:
    network = load_official(write(official, tmp_path), OFFICIAL)
    own = network.state_dict()

    assert not network.training
    assert sum(map(torch.numel, own.values())) == sum(map(torch.numel, official.values()))
    for ours, theirs in {
        "decoder.embed_volume.weight": "conv1.weight",
        "decoder.project_volume.1.weight": "decoder_corr_guidance_projection.1.0.weight",
        "decoder.project_guidance.2.bias": "decoder_guidance_projection.2.0.bias",
        "decoder.decoder.1.block.mlp.2.weight": "decoder2.cnext.pwconv2.weight",
        "decoder.decoder.0.block.norm.bias": "decoder1.cnext.norm.bias",
        "decoder.decoder.2.block.scale": "decoder3.cnext.gamma",
        "decoder.decoder.2.class_attention.key.weight": "decoder3.attention.attention.k.weight",
        "decoder.decoder.0.refine.weight": "decoder1.conv.double_conv.3.weight",
        "decoder.to_logit.2.bias": "head2.bias",
        "decoder.to_logit.3.weight": "head.weight",
    }.items():
        assert torch.equal(own[ours], official[f"{HEAD}{theirs}"]), ours
    assert torch.equal(own["text_encoder.clip.ln_final.weight"], official[f"{CLIP}ln_final.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop(f"{HEAD}head1.bias"), "decoder.to_logit.1.bias is missing"),
        (lambda state: state.update({f"{HEAD}head3.bias": torch.zeros(1)}), "decoder.head3.bias is not in this one"),
        (lambda state: state.pop(f"{CLIP}ln_final.bias"), "ln_final.bias is missing"),
        (
            lambda state: state.update({f"{HEAD}conv1.weight": torch.zeros(16, 80, 7, 7)}),
            re.escape("decoder.embed_volume.weight is (16, 80, 7, 7), this one needs (16, 2, 7, 7)"),
        ),
        (
            lambda state: state.update({"side_adapter_network.query_embed": torch.zeros(1)}),
            "a checkpoint of SED and SAN; SED's has",
        ),
    ],
)
def test_an_official_checkpoint_that_does_not_fit_is_refused_in_one_line(
    official: dict[str, Tensor], tmp_path: Path, change: Callable[[dict], None], message: str
) -> None:
    change(official)

    with pytest.raises(ModelError, match=message) as refused:
        load_official(write(official, tmp_path), OFFICIAL)
    assert "\n" not in str(refused.value)


def test_a_checkpoint_of_another_method_is_refused(tmp_path: Path) -> None:
    of_cat_seg = {f"{HEAD}layers.0.swin_block.guidance_norm.weight": torch.zeros(128)}

    with pytest.raises(ModelError, match="a checkpoint of CAT-Seg; SED's has"):
        load_official(write(of_cat_seg, tmp_path))


def test_a_size_that_was_not_released_needs_a_configuration(official: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"first convolution has 32 channels; released were \(128, 192\)"):
        load_official(write(official, tmp_path))
