"""The paper's sizes are real: they build, run at their resolution and take released files."""

from pathlib import Path

import pytest
import torch

from logoseg.clip.released_weights import load_clip
from logoseg.clip.towers import build_clip
from logoseg.network import LoGoSeg
from logoseg.presets import PRESETS

# Sheet 5.5: parameters of the image towers in millions, and the widths in which image and text meet.
PUBLISHED = {"vit-b16": (86.2, 512), "vit-l14": (304.3, 768), "convnext-b": (88.2, 640), "convnext-l": (199.8, 768)}


@pytest.mark.parametrize("name", PUBLISHED)
@torch.inference_mode()
def test_preset_of_the_paper_has_its_size_and_24_by_24_tokens(name: str) -> None:
    config = PRESETS[name]()
    network = LoGoSeg(config).eval()
    images = torch.rand(1, 3, config.clip.image_size, config.clip.image_size)

    features = network.encode_image(images)
    logits = network.head(features, network.encode_text(["road", "tree"]))

    millions, joint_dim = PUBLISHED[name]
    assert sum(p.numel() for p in network.image_encoder.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)
    assert features.dense.shape == (1, joint_dim, 24, 24)
    assert logits.shape == (1, 2, 96, 96)
    assert logits.isfinite().all()


@torch.inference_mode()
def test_vit_b16_takes_a_file_of_openai_at_224_pixels(tmp_path: Path) -> None:
    config = PRESETS["vit-b16"]()
    at_224 = build_clip(config.clip)
    state = {name: tensor.half() for name, tensor in at_224.state_dict().items()}
    state["visual.positional_embedding"] = torch.randn(1 + 14 * 14, 768).half()
    state |= {
        "input_resolution": torch.tensor(224),
        "context_length": torch.tensor(77),
        "vocab_size": torch.tensor(49408),
    }
    torch.save(state, tmp_path / "ViT-B-16.pt")

    clip = load_clip(config.clip, tmp_path / "ViT-B-16.pt")

    assert torch.equal(clip.visual.positional_embedding, state["visual.positional_embedding"].float())
    assert torch.equal(
        clip.transformer.resblocks[3].mlp.c_fc.weight, state["transformer.resblocks.3.mlp.c_fc.weight"].float()
    )
