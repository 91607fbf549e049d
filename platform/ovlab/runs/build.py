"""From a spec to what `ovlab.training.loop.train` starts from: the same weights at every call, on every machine."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from logoseg.clip.released_weights import load_clip
from logoseg.clip.text_encoder import cached_text
from logoseg.network import LoGoSeg
from ovlab.datasets.sample import SegmentationDataset
from ovlab.files.cache import text_cache_folder
from ovlab.specs.training import TrainingSpec


def build_model(spec: TrainingSpec, clip_file: Path | None, device: torch.device) -> LoGoSeg:
    """The untrained network of `spec`, on released CLIP weights or, with None, on random ones of the spec's seed."""
    torch.manual_seed(spec.seed)
    clip = None if clip_file is None else load_clip(spec.model.clip, clip_file)
    return LoGoSeg(spec.model, clip).to(device)


def class_text(model: LoGoSeg, dataset: SegmentationDataset) -> Float[Tensor, "N P C"]:
    """The features of the class names of `dataset` with the model's own templates, from the cache if they are there."""
    names = [(name,) for name in dataset.class_names]
    return cached_text(model.text_encoder, names, model.config.prompt_templates, text_cache_folder())
