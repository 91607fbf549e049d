"""What an update of pre-training sees."""

import torch
from torch.nn.functional import avg_pool2d

from ovlab.pretraining.lessons import attribute_batch, caption_batch
from ovlab.shapes.world import COLOURS, SHAPES, STUFF, TEXTURES


def test_attribute_batch_is_a_function_of_seed_and_step() -> None:
    batch, again = (attribute_batch(0, 3, 4, grid=2) for _ in range(2))
    other = attribute_batch(0, 4, 4, grid=2)

    assert torch.equal(batch.images, again.images)
    assert batch.captions == again.captions
    assert not torch.equal(batch.images, other.images)


def test_attribute_batch_mosaic_holds_the_close_ups_row_by_row_at_half_size() -> None:
    mosaics, close_ups = (attribute_batch(0, 0, 8, grid=grid).images for grid in (2, 1))

    halves = avg_pool2d(close_ups, 2)
    assert mosaics.shape == (2, 3, 96, 96)
    for place, corner in enumerate(((0, 0), (0, 48), (48, 0), (48, 48))):
        row, column = corner
        found = mosaics[1, :, row : row + 48, column : column + 48]
        torch.testing.assert_close(found, halves[4 + place], atol=0.5 / 255 + 1e-6, rtol=0)


def test_attribute_batch_captions_agree_with_attributes() -> None:
    batch = attribute_batch(0, 0, 64, grid=2)

    for (colour, texture, shape, stuff), caption in zip(batch.attributes.tolist(), batch.captions, strict=True):
        words = set(caption.replace(",", " ").split())
        assert words & set(COLOURS) <= {COLOURS[colour]}
        assert words & set(TEXTURES) <= {TEXTURES[texture]}
        assert words & set(SHAPES) <= {SHAPES[shape]}
        assert words & set(STUFF) <= {STUFF[stuff]}


def test_caption_batch_holds_close_ups_and_scenes_of_full_size() -> None:
    batch = caption_batch(0, 0, 8)

    assert batch.images.shape == (8, 3, 96, 96)
    assert len(batch.captions) == 8
    assert batch.images.min() >= 0
    assert batch.images.max() <= 1
