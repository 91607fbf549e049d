"""CLIPs of a few thousand random weights, and open_clip's normalisation of their pixels."""

import open_clip
import torch

TEXT = {"context_length": 16, "width": 16, "heads": 2, "layers": 1}


def small_vit(**vision: object) -> open_clip.CLIP:
    """open_clip's own: three blocks, 4 x 4 tokens at 32 px."""
    torch.manual_seed(0)
    shape = {"image_size": 32, "patch_size": 8, "width": 16, "head_width": 8, "layers": 3}
    clip = open_clip.CLIP(12, shape | vision, TEXT)
    clip.tokenize = open_clip.SimpleTokenizer(context_length=TEXT["context_length"])
    return clip


def small_convnext(proj: str) -> open_clip.CLIP:
    torch.manual_seed(0)
    vision = {"timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": proj, "image_size": 64}
    return open_clip.CLIP(12, vision, TEXT)


def normalised(images: torch.Tensor) -> torch.Tensor:
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(3, 1, 1)
    return (images - mean) / torch.tensor(open_clip.OPENAI_DATASET_STD).view(3, 1, 1)
