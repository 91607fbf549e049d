"""Words at the tokens that show them: what the loss rewards, by hand."""

import math

import pytest
import torch
from torch.nn import functional as F

from ovlab.pretraining.located_words import located_loss, smooth_maximum
from ovlab.pretraining.targets import caption_targets, word_directions
from ovlab.shapes.world import COLOURS, SHAPES, STUFF, TEXTURES

DIRECTIONS = word_directions(64)
ATTRIBUTES = torch.tensor([[0, 1, 1, 1]])  # red striped star, grass
STAR, GRASS = caption_targets(["red striped star", "grass"], DIRECTIONS)


def test_smooth_maximum_lies_between_mean_and_maximum() -> None:
    cosines = 2 * torch.rand(3, 36, 5) - 1

    found = smooth_maximum(cosines)

    assert (found >= cosines.mean(dim=1)).all()
    assert (found <= cosines.amax(dim=1)).all()
    torch.testing.assert_close(smooth_maximum(torch.full((1, 36, 2), 0.3)), torch.full((1, 2), 0.3))


def test_located_loss_of_tokens_that_say_nothing_is_the_entropy_of_both_choices() -> None:
    nothing = torch.randn(1, 36, 64)
    nothing = nothing - nothing @ DIRECTIONS.T @ DIRECTIONS

    loss = located_loss(nothing, ATTRIBUTES, DIRECTIONS)

    compositions = len(COLOURS) * len(TEXTURES) * len(SHAPES)
    assert loss.item() == pytest.approx(math.log(compositions) + math.log(len(STUFF)), abs=1e-3)


def test_located_loss_an_object_at_some_tokens_and_its_ground_at_the_rest_beat_both_at_every_token() -> None:
    apart = torch.cat([STAR.expand(12, -1), GRASS.expand(24, -1)])[None]
    mixed = (F.normalize(STAR, dim=0) + GRASS).expand(1, 36, -1)

    assert located_loss(apart, ATTRIBUTES, DIRECTIONS) < located_loss(mixed, ATTRIBUTES, DIRECTIONS)


def test_located_loss_words_of_one_object_at_the_same_tokens_beat_words_scattered() -> None:
    red, striped, star = caption_targets(["red", "striped", "star"], DIRECTIONS)
    together = torch.cat([STAR.expand(18, -1), GRASS.expand(18, -1)])[None]
    scattered = torch.cat([word.expand(6, -1) for word in (red, striped, star)] + [GRASS.expand(18, -1)])[None]

    assert located_loss(together, ATTRIBUTES, DIRECTIONS) < located_loss(scattered, ATTRIBUTES, DIRECTIONS)


def test_located_loss_length_of_a_token_does_not_count() -> None:
    tokens = torch.randn(2, 36, 64)
    attributes = ATTRIBUTES.expand(2, -1)
    lengths = torch.rand(2, 36, 1) + 0.1

    torch.testing.assert_close(
        located_loss(tokens, attributes, DIRECTIONS), located_loss(lengths * tokens, attributes, DIRECTIONS)
    )
