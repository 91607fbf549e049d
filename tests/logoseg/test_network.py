"""Properties of the whole network."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from logoseg.config import ModelConfig
from logoseg.dense_clip import dense_clip_logits
from logoseg.losses import upsampled_masked_bce
from logoseg.network import REJECTED, LoGoSeg, clip_cosines

NAMES = ("road", "tree", "sky", "red car", "dog")
DECODERS = ("class_volume", "pixel_embedding")


def build(config: ModelConfig, **changes: object) -> LoGoSeg:
    torch.manual_seed(0)
    return LoGoSeg(replace(config, **changes)).eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("decoder", DECODERS)
@torch.no_grad()
def test_network_any_number_of_classes_gives_that_many_logits(
    micro_config: ModelConfig, images: torch.Tensor, decoder: str
) -> None:
    network = build(micro_config, decoder=decoder)

    assert network(images, network.encode_text(NAMES)).shape == (2, 5, 24, 24)
    assert network(images, network.encode_text(NAMES[:1])).shape == (2, 1, 24, 24)


@torch.no_grad()
def test_network_rectangular_image_gives_rectangular_logits(micro_network: LoGoSeg) -> None:
    assert micro_network(torch.rand(1, 3, 64, 128), micro_network.encode_text(NAMES)).shape == (1, 5, 16, 32)


@pytest.mark.parametrize("decoder", DECODERS)
@torch.no_grad()
def test_network_reordered_classes_reorder_the_logits(
    micro_config: ModelConfig, images: torch.Tensor, decoder: str
) -> None:
    network = build(micro_config, decoder=decoder)
    text = network.encode_text(NAMES)
    order = [3, 0, 4, 1, 2]

    torch.testing.assert_close(network(images, text[order]), network(images, text)[:, order], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("decoder", DECODERS)
@torch.no_grad()
def test_network_padded_classes_do_not_change_the_others(
    micro_config: ModelConfig, images: torch.Tensor, decoder: str
) -> None:
    network = build(micro_config, decoder=decoder)
    text = network.encode_text(NAMES)
    padding = torch.nn.functional.normalize(torch.randn(3, *text.shape[1:]), dim=-1)
    mask = torch.tensor([True] * 5 + [False] * 3)

    padded = network(images, torch.cat([text, padding]), class_mask=mask)

    torch.testing.assert_close(padded[:, :5], network(images, text), rtol=1e-4, atol=1e-4)
    assert (padded[:, 5:] == REJECTED).all()


@torch.no_grad()
def test_network_images_of_a_batch_do_not_touch_each_other(micro_network: LoGoSeg, images: torch.Tensor) -> None:
    text = micro_network.encode_text(NAMES)

    torch.testing.assert_close(micro_network(images, text)[1:], micro_network(images[1:], text), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_network_class_cap_scores_the_most_similar_classes_alone(micro_network: LoGoSeg, images: torch.Tensor) -> None:
    text = micro_network.encode_text(NAMES)
    features = micro_network.encode_image(images)

    logits = micro_network.head(features, text, class_cap=3)

    for image in range(2):
        best = clip_cosines(features.dense[image : image + 1], text).amax(dim=(0, 2, 3, 4))
        kept = best.topk(3).indices
        dropped = [n for n in range(5) if n not in kept]
        alone = micro_network(images[image : image + 1], text[kept])
        torch.testing.assert_close(logits[image, kept], alone[0], rtol=1e-4, atol=1e-4)
        assert (logits[image, dropped] == REJECTED).all()


@torch.no_grad()
def test_network_cap_above_the_vocabulary_changes_nothing(micro_network: LoGoSeg, images: torch.Tensor) -> None:
    text = micro_network.encode_text(NAMES)

    assert torch.equal(micro_network(images, text, class_cap=5), micro_network(images, text))


@pytest.mark.parametrize(
    "changes",
    [
        {"object_prior": False},
        {"region_alignment": False},
        {"cross_modal_fusion": False},
        {"language_queries": False},
        {"global_context": False},
        {"directional_attention": False},
        {"fusion_depth": 3},
        {"prior_weight": 0.0},
        {"prior_weight": "adaptive"},
        {"prior_in_similarity": True},
        {"region_grid": 6},
        {"decoder": "class_volume"},
        {"loss": "pixels_and_classes"},
    ],
    ids=str,
)
def test_network_every_switch_trains_every_weight(micro_config: ModelConfig, changes: dict[str, object]) -> None:
    normalisation = changes.pop("loss", "pixels")
    network = build(micro_config, **changes).train()
    text = network.encode_text(NAMES)
    labels = torch.randint(5, (2, 96, 96))
    labels[:, :8] = 65535

    logits = network(torch.rand(2, 3, 96, 96), text)
    upsampled_masked_bce(logits, labels, 65535, normalisation).backward()

    without = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert all(p.grad is None for p in network.text_encoder.parameters())


@torch.no_grad()
def test_network_object_prior_off_is_lambda_zero(micro_config: ModelConfig, images: torch.Tensor) -> None:
    off = build(micro_config, object_prior=False)
    zero = build(micro_config, prior_weight=0.0)
    text = off.encode_text(NAMES)

    assert torch.equal(off(images, text), zero(images, text))


@torch.no_grad()
def test_network_prior_changes_the_logits(micro_config: ModelConfig, images: torch.Tensor) -> None:
    network = build(micro_config, prior_weight=1.0)
    text = network.encode_text(NAMES)
    with_prior = network(images, text)
    network.prior.fixed_prior_weight = 0.0

    assert not torch.allclose(network(images, text), with_prior)


@torch.no_grad()
def test_dense_clip_logits_pick_the_nearest_text() -> None:
    text = F.normalize(torch.randn(4, 2, 8), dim=-1)
    image = text.mean(dim=1)[[2, 0, 3, 1]].T.reshape(1, 8, 2, 2)

    logits = dense_clip_logits(image, text)

    assert logits.argmax(dim=1).flatten().tolist() == [2, 0, 3, 1]
