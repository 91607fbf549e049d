"""Classes that have no chance are not decoded on, and the others as if nothing had happened."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from logoseg.config import ModelConfig
from logoseg.early_rejection import largest_leads
from logoseg.model_error import ModelError
from logoseg.network import REJECTED, LoGoSeg, clip_cosines


@pytest.fixture
def config(micro_config: ModelConfig) -> ModelConfig:
    return replace(micro_config, decoder="class_volume", auxiliary_heads=True, decoder_dims=(16, 8))


@pytest.fixture
def network(config: ModelConfig) -> LoGoSeg:
    torch.manual_seed(0)
    return LoGoSeg(config).eval()


def unit_text(num_classes: int) -> Tensor:
    text = torch.randn(num_classes, 1, 128, generator=torch.Generator().manual_seed(2))
    return torch.nn.functional.normalize(text, dim=-1)


def images(batch: int, size: tuple[int, int] = (96, 64)) -> Tensor:
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(1))


def test_leads_by_hand() -> None:
    logits = torch.tensor(
        [
            [[3.0, 0.0]],  # wins the left position by 1
            [[2.0, 0.0]],  # 1 behind there
            [[0.0, 4.0]],  # wins the right one by 0.5
            [[0.0, 3.5]],  # 0.5 behind there
            [[-9.0, 1.0]],
        ]
    )

    assert [largest_leads(logits, kept).tolist() for kept in (1, 2, 3, 4, 9)] == [
        [0],
        [0, 2],
        [0, 2, 3],
        [0, 1, 2, 3],
        [0, 1, 2, 3, 4],
    ]


def test_leads_masked_classes_go_last_and_stand_in_nobodys_way() -> None:
    logits = torch.tensor([[[5.0]], [[1.0]], [[0.0]], [[4.0]]])

    assert largest_leads(logits, 2, torch.tensor([False, True, True, True])).tolist() == [1, 3]


def test_leads_equal_loops() -> None:
    logits = torch.randn(9, 3, 4, generator=torch.Generator().manual_seed(0))

    def lead(one: int) -> float:
        others = [n for n in range(9) if n != one]
        return max(float(logits[one, y, x] - max(logits[n, y, x] for n in others)) for y in range(3) for x in range(4))

    expected = sorted(sorted(range(9), key=lead, reverse=True)[:4])

    assert largest_leads(logits, 4).tolist() == expected


@pytest.mark.parametrize("class_cap", [None, 11])
@pytest.mark.parametrize(
    ("batch", "num_classes", "kept"), [(1, 23, (13, 5)), (1, 17, (11, 9)), (5, 13, (7, 3)), (6, 12, (10, 1))]
)
@torch.inference_mode()
def test_logits_of_survivors_are_the_full_decoders_to_the_bit(
    config: ModelConfig, batch: int, num_classes: int, kept: tuple[int, int], class_cap: int | None
) -> None:
    torch.manual_seed(0)
    network = LoGoSeg(replace(config, decoder_dims=(64, 32))).eval()
    features, text = network.encode_image(images(batch, (192, 224))), unit_text(num_classes)

    whole = network.head(features, text, class_cap=class_cap)
    found = network.head(features, text, class_cap=class_cap, early_rejection=kept)

    survived = (found != REJECTED).flatten(2).any(2)
    assert survived.sum(1).tolist() == [kept[1]] * batch
    assert torch.equal(found[survived], whole[survived])
    assert (found[~survived] == REJECTED).all()


@torch.inference_mode()
def test_survivors_are_those_that_the_guesses_name(network: LoGoSeg) -> None:
    picture, text = images(1), unit_text(9)
    coarse, middle, _ = network.training_logits(picture, text)

    found = network.head(network.encode_image(picture), text, early_rejection=(6, 2))

    first = largest_leads(coarse[0], 6)
    expected = first[largest_leads(middle[0, first], 2)]
    assert (found[0] != REJECTED).flatten(1).any(1).nonzero()[:, 0].tolist() == expected.tolist()


@torch.inference_mode()
def test_rejection_of_nobody_changes_nothing(network: LoGoSeg) -> None:
    features, text = network.encode_image(images(2)), unit_text(9)

    torch.testing.assert_close(
        network.head(features, text, early_rejection=(9, 9)), network.head(features, text), rtol=1e-5, atol=1e-5
    )


@torch.inference_mode()
def test_padding_is_rejected_and_takes_no_place(network: LoGoSeg) -> None:
    features, text = network.encode_image(images(2)), unit_text(9)
    mask = torch.tensor([False, True, True, True, False, True, False, False, False])

    for class_cap in (None, 6):
        logits = network.head(features, text, class_mask=mask, class_cap=class_cap, early_rejection=(4, 3))

        survived = (logits != REJECTED).flatten(2).any(2)
        assert survived.sum(1).tolist() == [3, 3]
        assert not survived[:, ~mask].any()


@torch.no_grad()
def test_rejection_without_auxiliary_heads_is_refused(config: ModelConfig) -> None:
    network = LoGoSeg(replace(config, auxiliary_heads=False)).eval()
    features = network.encode_image(images(1))

    with pytest.raises(ModelError, match="auxiliary_heads=True"):
        network.head(features, unit_text(3), early_rejection=(2, 1))


def test_auxiliary_heads_of_one_embedding_a_pixel_are_refused(micro_config: ModelConfig) -> None:
    with pytest.raises(ModelError, match="decoder='pixel_embedding'"):
        replace(micro_config, auxiliary_heads=True)


def test_what_the_auxiliary_heads_learn_reaches_nothing_else(network: LoGoSeg) -> None:
    coarse, middle, _ = network.training_logits(images(1), unit_text(4))

    (coarse.square().mean() + middle.square().mean()).backward()

    assert {name for name, weight in network.named_parameters() if weight.grad is not None} == {
        f"decoder.auxiliary.{stage}.{part}" for stage in (0, 1) for part in ("weight", "bias")
    }


def test_training_logits_end_with_those_of_forward(network: LoGoSeg, config: ModelConfig) -> None:
    picture, text = images(2), unit_text(4)

    *guesses, last = network.training_logits(picture, text)

    assert torch.equal(last, network(picture, text))
    assert [tuple(guess.shape) for guess in guesses] == [(2, 4, 6, 4), (2, 4, 12, 8)]
    torch.manual_seed(0)
    plain = LoGoSeg(replace(config, auxiliary_heads=False)).eval()
    assert len(plain.training_logits(picture, text)) == 1
    assert not [name for name in plain.state_dict() if "auxiliary" in name]


@torch.no_grad()
def test_guess_is_a_weighted_sum_of_the_channels(network: LoGoSeg) -> None:
    picture, text = images(1), unit_text(3)
    features = network.encode_image(picture)
    given: list[tuple[Tensor, ...]] = []
    hook = network.decoder.register_forward_pre_hook(lambda _, inputs: given.append(inputs))
    network.head(features, text)
    hook.remove()
    fused, queries, cosine, _ = given[0]
    volume = network.decoder.correlation(fused, queries, cosine.flatten(0, 1))[None]
    head = network.decoder.auxiliary[0]

    expected = (volume * head.weight[0][:, None, None]).sum(2) + head.bias

    torch.testing.assert_close(network.training_logits(picture, text)[0], expected)
    torch.testing.assert_close(cosine, clip_cosines(features.dense, text))
