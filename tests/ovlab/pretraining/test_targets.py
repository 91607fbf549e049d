"""Word directions, and the two losses that pull towards them."""

import math

import pytest
import torch
from torch.nn import functional as F

from ovlab.pretraining.targets import (
    attribute_loss,
    caption_loss,
    caption_targets,
    cells,
    word_directions,
)
from ovlab.shapes.world import COLOURS, SHAPES, STUFF, TEXTURES

NUM_WORDS = len(COLOURS) + len(TEXTURES) + len(SHAPES) + len(STUFF)


def test_word_directions_are_orthonormal() -> None:
    directions = word_directions(64)

    torch.testing.assert_close(directions @ directions.T, torch.eye(NUM_WORDS), atol=1e-5, rtol=0)


def test_caption_targets_only_words_that_mean_something_count() -> None:
    directions = word_directions(64)

    targets = caption_targets(["a photo of a red striped star, grass", "red star"], directions)

    red, striped, star, grass = directions[0], directions[9], directions[13], directions[25]
    torch.testing.assert_close(targets, torch.stack([red + striped + star + grass, red + star]))


def test_caption_loss_is_zero_at_the_target_and_one_across() -> None:
    directions = word_directions(64)
    across = directions[8:9]  # plain

    assert caption_loss(
        3 * caption_targets(["red star"], directions), ["red star"], directions
    ).item() == pytest.approx(0, abs=1e-5)
    assert caption_loss(across, ["red star"], directions).item() == pytest.approx(1, abs=1e-5)


def test_attribute_loss_of_a_picture_that_says_nothing_is_the_entropy_of_each_kind() -> None:
    directions = word_directions(64)
    nothing = F.normalize(torch.randn(1, 64), dim=-1)
    nothing = nothing - nothing @ directions.T @ directions

    loss = attribute_loss(nothing, torch.zeros(1, 4, dtype=torch.int64), directions)

    uniform = sum(math.log(len(words)) for words in (COLOURS, TEXTURES, SHAPES, STUFF)) / 4
    assert loss.item() == pytest.approx(uniform, abs=1e-3)


def test_attribute_loss_right_words_cost_less_than_wrong_ones() -> None:
    directions = word_directions(64)
    picture = caption_targets(["red striped star on grass"], directions)
    right, wrong = torch.tensor([[0, 1, 1, 1]]), torch.tensor([[1, 1, 1, 1]])

    assert attribute_loss(picture, right, directions) < 0.01
    assert attribute_loss(picture, wrong, directions) > 3


def test_cells_are_the_tokens_of_each_picture_row_by_row() -> None:
    tokens = torch.randn(2, 5, 12, 12)

    pictures = cells(tokens, grid=2)

    assert pictures.shape == (8, 36, 5)
    torch.testing.assert_close(pictures[1], tokens[0, :, :6, 6:].flatten(1).T)
    torch.testing.assert_close(pictures[6], tokens[1, :, 6:, :6].flatten(1).T)
    torch.testing.assert_close(cells(tokens, grid=1)[1], tokens[1].flatten(1).T)
