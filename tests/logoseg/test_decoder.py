import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from logoseg.config import GROUP_CHANNELS
from logoseg.decoder import COSINE_SCALE, ClassVolumeDecoder, PixelEmbeddingDecoder, SimilarityRefinement
from logoseg.decoder_stage import DecoderStage
from logoseg.model_error import ModelError

Decoder = ClassVolumeDecoder | PixelEmbeddingDecoder
Inputs = tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]

NUM_PROMPTS = 2
DIMS = (16, 8)
SIZES = {"fused_dim": 12, "num_prompts": NUM_PROMPTS, "guidance_channels": (10, 6), "dims": DIMS}


def class_volume() -> ClassVolumeDecoder:
    return ClassVolumeDecoder(**SIZES, guidance_dims=(6, 4), correlation_dim=8, maps_at_once=3)


def pixel_embedding() -> PixelEmbeddingDecoder:
    return PixelEmbeddingDecoder(**SIZES, guidance_dims=(6, 4))


@pytest.fixture(params=[class_volume, pixel_embedding])
def decoder(request: pytest.FixtureRequest) -> Decoder:
    torch.manual_seed(0)
    return request.param().double()


def inputs(*, batch: int = 2, num_classes: int = 5, size: tuple[int, int] = (6, 4), seed: int = 1) -> Inputs:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    height, width = size
    cosine = 0.2 + 0.05 * random(batch, num_classes, NUM_PROMPTS, height, width)
    guidance = random(batch, 10, height, width), random(batch, 6, 2 * height, 2 * width)
    return random(batch, 12, height, width), random(batch, num_classes, 12), cosine, guidance


# An independent reference: every tensor of the equations is made, one class of one image at a time.


def stage_by_concatenation(stage: DecoderStage, maps: Tensor, guidance: Tensor) -> Tensor:
    maps = F.conv_transpose2d(maps, stage.upsample.weight, stride=2)
    mean, variance = guidance.mean(1, keepdim=True), guidance.var(1, keepdim=True, correction=0)
    guidance = F.relu(stage.project_guidance((guidance - mean) / (variance + 1e-5).sqrt()))
    guidance = F.interpolate(guidance, size=maps.shape[2:], mode="bilinear", align_corners=False)
    merged = F.conv2d(torch.cat((maps, guidance), dim=1), stage.merge.weight, padding=1)
    merged = F.relu(normalise_groups(merged) * affine(stage.merge_norm.weight) + affine(stage.merge_norm.bias))
    refined = F.conv2d(merged, stage.refine.weight, padding=1)
    return F.relu(normalise_groups(refined) * affine(stage.refine_norm.weight) + affine(stage.refine_norm.bias))


def normalise_groups(maps: Tensor) -> Tensor:
    groups = maps.unflatten(1, (-1, GROUP_CHANNELS))
    mean = groups.mean((2, 3, 4), keepdim=True)
    variance = groups.var((2, 3, 4), keepdim=True, correction=0)
    return ((groups - mean) / (variance + 1e-5).sqrt()).flatten(1, 2)


def affine(parameter: Tensor) -> Tensor:
    return parameter[None, :, None, None]


def logit_of_one_class_by_volume(decoder: ClassVolumeDecoder, image: Inputs, index: int) -> Tensor:
    fused, queries, cosine, guidance = image
    product = queries[:, index, :, None, None] * fused
    volume = F.conv2d(product, decoder.correlate.weight[:, :, None, None])
    volume = volume + decoder.embed_cosine.bias[None, :, None, None]
    volume = volume + F.conv2d(COSINE_SCALE * cosine[:, index], decoder.embed_cosine.weight, padding=3)
    maps = stage_by_concatenation(decoder.stage_1, volume, guidance[0])
    maps = stage_by_concatenation(decoder.stage_2, maps, guidance[1])
    return F.conv2d(maps, decoder.to_logit.weight[:, :, None, None], decoder.to_logit.bias)[0, 0]


def logit_of_one_class_by_embedding(decoder: PixelEmbeddingDecoder, image: Inputs, index: int) -> Tensor:
    fused, queries, cosine, guidance = image
    maps = stage_by_concatenation(decoder.stage_1, fused, guidance[0])
    maps = stage_by_concatenation(decoder.stage_2, maps, guidance[1])
    query = decoder.project_queries.weight @ queries[0, index] + decoder.project_queries.bias
    product = sum(query[e] * maps[0, e] for e in range(DIMS[1])) / math.sqrt(DIMS[1])
    similarity = sum(decoder.cosine_gain[p] * COSINE_SCALE * cosine[:1, index, p] for p in range(NUM_PROMPTS))
    refined = refined_similarity(decoder.refine_similarity, similarity)
    return product + F.interpolate(refined[None], size=maps.shape[2:], mode="bilinear")[0, 0] + decoder.bias


def refined_similarity(refinement: SimilarityRefinement, similarity: Tensor) -> Tensor:
    maps = F.conv2d(similarity[None], refinement.embed.weight, refinement.embed.bias, padding=3)
    mean, variance = maps.mean(), maps.var(correction=0)
    maps = (maps - mean) / (variance + 1e-5).sqrt()
    maps = F.relu(maps * affine(refinement.norm.weight) + affine(refinement.norm.bias))
    maps = F.relu(maps + F.conv2d(maps, refinement.mix.weight, refinement.mix.bias, padding=1))
    return similarity + torch.einsum("c,bchw->bhw", refinement.to_similarity.weight[0], maps)


def randomise(decoder: Decoder) -> None:
    """Weights that start at 0, 1 or alike could hide a missing term."""
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def test_decoder_equals_a_reference_that_concatenates_and_takes_a_class_at_a_time(decoder: Decoder) -> None:
    randomise(decoder)
    fused, queries, cosine, guidance = inputs()
    by_hand = {
        ClassVolumeDecoder: logit_of_one_class_by_volume,
        PixelEmbeddingDecoder: logit_of_one_class_by_embedding,
    }[type(decoder)]

    logits = decoder(fused, queries, cosine, guidance)

    for b in range(2):
        one = slice(b, b + 1)
        image = fused[one], queries[one], cosine[one], (guidance[0][one], guidance[1][one])
        for n in range(5):
            torch.testing.assert_close(logits[b, n], by_hand(decoder, image, n), rtol=1e-9, atol=1e-9)


def test_decoder_without_gradients_equals_decoder_with_gradients(decoder: Decoder) -> None:
    arguments = inputs(num_classes=7)
    with torch.no_grad():
        found = decoder(*arguments)

    torch.testing.assert_close(found, decoder(*arguments))


def test_pixel_embedding_large_vocabulary_decodes_as_its_parts_do() -> None:
    torch.manual_seed(0)
    decoder = pixel_embedding().double()
    fused, queries, cosine, guidance = inputs(batch=1, num_classes=300, size=(3, 2))

    found = decoder(fused, queries, cosine, guidance)

    for part in (slice(0, 200), slice(200, 300)):
        torch.testing.assert_close(found[:, part], decoder(fused, queries[:, part], cosine[:, part], guidance))


@pytest.mark.parametrize("maps_at_once", [1, 2, 4, 100])
def test_class_volume_any_chunk_gives_the_same_logits(maps_at_once: int) -> None:
    torch.manual_seed(0)
    decoder = class_volume().double()
    arguments = inputs(num_classes=7)
    expected = decoder(*arguments)
    decoder.maps_at_once = maps_at_once

    with torch.no_grad():
        torch.testing.assert_close(decoder(*arguments), expected)


def test_decoder_permuted_classes_permute_the_logits(decoder: Decoder) -> None:
    fused, queries, cosine, guidance = inputs()
    order = torch.tensor([3, 0, 4, 1, 2])

    found = decoder(fused, queries[:, order], cosine[:, order], guidance)

    torch.testing.assert_close(found, decoder(fused, queries, cosine, guidance)[:, order])


def test_decoder_logit_does_not_depend_on_the_other_classes(decoder: Decoder) -> None:
    fused, queries, cosine, guidance = inputs(num_classes=5)
    _, other_queries, other_cosine, _ = inputs(num_classes=9, seed=2)

    alone = decoder(fused, queries[:, 2:3], cosine[:, 2:3], guidance)
    in_company = decoder(fused, torch.cat((other_queries, queries), 1), torch.cat((other_cosine, cosine), 1), guidance)

    torch.testing.assert_close(in_company[:, 11:12], alone)


def test_decoder_image_does_not_depend_on_the_other_images(decoder: Decoder) -> None:
    fused, queries, cosine, guidance = inputs(batch=3)

    alone = decoder(fused[1:2], queries[1:2], cosine[1:2], (guidance[0][1:2], guidance[1][1:2]))

    torch.testing.assert_close(decoder(fused, queries, cosine, guidance)[1:2], alone)


def test_decoder_trained_on_three_classes_decodes_eight(decoder: Decoder) -> None:
    optimizer = torch.optim.SGD(decoder.parameters(), lr=0.1)
    before = decoder(*inputs(num_classes=8)).detach()

    decoder(*inputs(num_classes=3)).square().mean().backward()
    optimizer.step()
    after = decoder(*inputs(num_classes=8))

    assert after.shape == (2, 8, 24, 16)
    assert (after != before).any(dim=(0, 2, 3)).all()


def test_decoder_every_parameter_and_input_has_a_gradient(decoder: Decoder) -> None:
    fused, queries, cosine, guidance = inputs()
    tensors = [t.requires_grad_() for t in (fused, queries, cosine, *guidance)] + list(decoder.parameters())
    weights = torch.randn(2, 5, 24, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    gradients = torch.autograd.grad((decoder(fused, queries, cosine, guidance) * weights).sum(), tensors)

    assert all(gradient.abs().max() > 1e-9 for gradient in gradients)


@pytest.mark.parametrize("sizes", [((6, 4), (6, 4)), ((12, 8), (24, 16)), ((3, 2), (5, 7))])
def test_decoder_accepts_guidance_of_any_resolution(
    decoder: Decoder, sizes: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    fused, queries, cosine, _ = inputs()
    guidance = torch.randn(2, 10, *sizes[0]).double(), torch.randn(2, 6, *sizes[1]).double()

    assert decoder(fused, queries, cosine, guidance).shape == (2, 5, 24, 16)


def test_decoder_scaled_guidance_changes_nothing(decoder: Decoder) -> None:
    fused, queries, cosine, (first, second) = inputs()

    found = decoder(fused, queries, cosine, (1000 * first, 1000 * second))

    torch.testing.assert_close(found, decoder(fused, queries, cosine, (first, second)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("make", "typical_cosine"), [(class_volume, 0.0), (pixel_embedding, 0.25)])
def test_decoder_starts_with_few_classes_at_a_pixel(make, typical_cosine: float) -> None:
    torch.manual_seed(0)
    fused, queries, cosine, guidance = inputs(num_classes=20)
    cosine = torch.full_like(cosine, typical_cosine)

    with torch.no_grad():
        probability = make().double()(fused, queries, cosine, guidance).sigmoid().mean().item()

    assert 0.02 < probability < 0.1


@pytest.mark.parametrize("make", [class_volume, pixel_embedding])
def test_decoder_inside_autocast_is_close_to_full_precision(make) -> None:
    torch.manual_seed(0)
    decoder = make()
    fused, queries, cosine, guidance = inputs()
    arguments = fused.float(), queries.float(), cosine.float(), (guidance[0].float(), guidance[1].float())

    expected = decoder(*arguments)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = decoder(*arguments)
    found.sum().backward()

    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1)


def test_decoder_stage_gradients_equal_finite_differences() -> None:
    torch.manual_seed(0)
    stage = DecoderStage(in_dim=3, out_dim=GROUP_CHANNELS, guidance_channels=4, guidance_dim=2).double()
    maps = torch.randn(4, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    guidance = torch.randn(2, 4, 2, 2, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(lambda m, g: stage(m, stage.operands(g, (4, 6))), (maps, guidance), fast_mode=True)


def test_decoder_dims_that_do_not_fill_groups_are_refused() -> None:
    with pytest.raises(ModelError, match="multiples of 8, got 12"):
        ClassVolumeDecoder(fused_dim=12, num_prompts=1, guidance_channels=(3, 3), dims=(12, 8))


def test_class_volume_without_room_for_a_map_is_refused() -> None:
    with pytest.raises(ModelError, match="maps_at_once must be at least 1, got 0"):
        ClassVolumeDecoder(fused_dim=12, num_prompts=1, guidance_channels=(3, 3), maps_at_once=0)
