"""Segmentation by CLIP alone."""

import torch

from logoseg.config import WholeImage
from logoseg.dense_clip import DenseClip, dense_clip_logits
from logoseg.inference import labels_from_views
from logoseg.network import LoGoSeg
from logoseg.presets import shapes_convnext_s


def test_dense_clip_has_the_features_of_the_network_on_the_same_towers() -> None:
    torch.manual_seed(0)
    config = shapes_convnext_s()
    network = LoGoSeg(config).eval()
    torch.manual_seed(0)
    alone = DenseClip(config).eval()
    images = torch.rand(2, 3, 96, 96)

    assert torch.equal(alone.image_encoder(images).dense, network.encode_image(images).dense)


def test_dense_clip_logits_are_cosines_whatever_the_cap() -> None:
    alone = DenseClip(shapes_convnext_s()).eval()
    text = alone.text_encoder([("red star",), ("grass",), ("sky",)], ("a photo of a {}",))

    with torch.no_grad():
        logits = alone(torch.rand(1, 3, 96, 96), text)
        capped = alone(torch.rand(1, 3, 96, 96), text, class_cap=1)

    assert logits.shape == (1, 3, 12, 12)
    assert logits.abs().max() <= 1
    assert capped.shape == logits.shape


def test_dense_clip_nearest_of_several_large_cosines_wins_in_inference() -> None:
    cosines = torch.tensor([0.3, 0.5, 0.4])
    text = torch.stack([cosines, (1 - cosines**2).sqrt()], dim=1)[:, None]  # three classes, one prompt, C = 2
    image = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(-1, -1, 2, 2)

    labels = labels_from_views(dense_clip_logits(image, text), WholeImage(size=8), (8, 8))

    assert (labels == 1).all()
