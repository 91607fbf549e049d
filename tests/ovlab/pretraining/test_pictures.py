"""What an update of pre-training sees."""

import torch

from ovlab.datasets.shapes_world import COLOURS, SEEN_COMPOSITIONS, SHAPES, TEXTURES, Composition
from ovlab.pretraining.pictures import attribute_batch, caption_batch


def test_attribute_batch_is_a_function_of_seed_and_step() -> None:
    batch, again = (attribute_batch(0, 3, 4, shrink=2) for _ in range(2))
    other = attribute_batch(0, 4, 4, shrink=2)

    assert torch.equal(batch.images, again.images)
    assert batch.captions == again.captions
    assert not torch.equal(batch.images, other.images)


def test_attribute_batch_half_size_is_the_mean_of_four_pixels() -> None:
    half, full = (attribute_batch(0, 0, 2, shrink=shrink).images for shrink in (2, 1))

    means = torch.nn.functional.avg_pool2d(full, 2)
    torch.testing.assert_close(half, means, atol=0.5 / 255 + 1e-6, rtol=0)


def test_attribute_batch_shows_seen_compositions_and_captions_agree_with_attributes() -> None:
    batch = attribute_batch(0, 0, 64, shrink=2)

    for (colour, texture, shape, _), caption in zip(batch.attributes.tolist(), batch.captions, strict=True):
        assert Composition(colour, texture, shape).world_id in SEEN_COMPOSITIONS
        words = set(caption.replace(",", " ").split())
        assert words & set(COLOURS) <= {COLOURS[colour]}
        assert words & set(TEXTURES) <= {TEXTURES[texture]}
        assert words & set(SHAPES) <= {SHAPES[shape]}


def test_caption_batch_holds_close_ups_and_scenes_of_full_size() -> None:
    batch = caption_batch(0, 0, 8)

    assert batch.images.shape == (8, 3, 96, 96)
    assert len(batch.captions) == 8
    assert batch.images.min() >= 0
    assert batch.images.max() <= 1
