"""Class names and prompt templates to T (section 2.1): the frozen CLIP text tower, computed once and kept on disk.

Axes: N classes, P prompt templates, C joint CLIP width.
"""

import hashlib
import logging
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.towers import Clip
from logoseg.model_error import ModelError
from logoseg.weights_file import read_safetensors, tensors_digest

_log = logging.getLogger(__name__)

_PROMPTS_AT_ONCE = 256


class TextEncoder(nn.Module):
    """The text tower of an open_clip model or of a bridge. It never learns."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.clip: Any = clip
        self.clip.visual = nn.Identity()
        self.tokenize = clip.tokenize
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, class_names: Sequence[Sequence[str]], templates: Sequence[str]) -> Float[Tensor, "N P C"]:
        """T as unit vectors. Each class is one or more synonyms, whose unit vectors are averaged for each template."""
        prompts = [template.format(name) for names in class_names for name in names for template in templates]
        device = self.clip.logit_scale.device
        embeddings = [
            F.normalize(
                self.clip.encode_text(self.tokenize(prompts[start : start + _PROMPTS_AT_ONCE]).to(device)), dim=-1
            )
            for start in range(0, len(prompts), _PROMPTS_AT_ONCE)
        ]
        by_name = torch.cat(embeddings).unflatten(0, (-1, len(templates)))
        by_class = by_name.split([len(names) for names in class_names])
        return F.normalize(torch.stack([names.mean(dim=0) for names in by_class]), dim=-1)

    def digest(self) -> str:
        """sha256 of the weights of the text tower."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def cached_text(
    encoder: Any, class_names: Sequence[Sequence[str]], templates: Sequence[str], cache_folder: Path
) -> Float[Tensor, "N P C"]:
    """T from `cache_folder` if it was computed before with the same weights, names and templates; else, or where that
    is damaged, compute it. A folder that cannot be written to is named in a warning."""
    key = hashlib.sha256(repr((encoder.digest(), [tuple(n) for n in class_names], tuple(templates))).encode())
    path = cache_folder / f"{key.hexdigest()[:32]}.safetensors"
    kept = _kept_text(path, key.hexdigest())
    if kept is not None:
        return kept.to(next(encoder.parameters()).device)
    text = encoder(class_names, templates)
    tensors = {"text": text.cpu()}
    partial = path.with_suffix(f".{uuid.uuid4().hex}.partial")
    try:
        cache_folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, metadata={"sha256": tensors_digest(tensors, key.hexdigest())})
        partial.replace(path)  # another process may have been faster: both files are equal
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        _log.warning("%s: text features are not kept (%s)", cache_folder, error)
    return text


def _kept_text(path: Path, key: str) -> Tensor | None:
    """None where there is none, or what is there is damaged or of other words."""
    try:
        tensors, metadata = read_safetensors(path)
    except (OSError, ModelError):
        return None
    return tensors["text"] if metadata.get("sha256") == tensors_digest(tensors, key) else None
