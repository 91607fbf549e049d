"""Pre-training of a small CLIP, from its spec to a file in open_clip's format; a killed run continues.

Update k is a function of the weights, the seed and k alone, so an interrupted run ends in the weights of an
undisturbed one, bit for bit, on the same machine with the same number of threads.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float32
from open_clip import CLIP
from open_clip.loss import ClipLoss
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.released_weights import first_non_finite
from logoseg.clip.towers import build_clip
from logoseg.image_features import ImageNormalisation
from ovlab.files.whole_file import remove_partials, writing
from ovlab.pretraining.lessons import attribute_batch, caption_batch
from ovlab.pretraining.located_words import located_loss
from ovlab.pretraining.targets import attribute_loss, caption_loss, cells, word_directions
from ovlab.pretraining.tokens import read_tokens
from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.fingerprint import fingerprint
from ovlab.specs.pretraining import PretrainingSpec
from ovlab.specs.training import ScheduleSpec
from ovlab.training.optimizer import build_optimizer, set_learning_rate

# A logit scale above 100 makes the contrastive loss unstable (CLIP, section 2.5).
_LARGEST_LOGIT_SCALE = torch.tensor(100.0).log().item()
# Words are learned within a few hundred updates; more captions would only cost time.
_CAPTIONS_AN_UPDATE = 16
# The loss of located words is the sum of two, that of whole pictures a mean.
_LOCATED_SHARE = 0.5


class _Stage(NamedTuple):
    """A part of the run: its schedule, the updates before it, and the loss of its update number `step`."""

    schedule: ScheduleSpec
    first_step: int
    loss: Callable[[CLIP, int], Tensor]


def pretrain(
    spec: PretrainingSpec,
    folder: Path,
    *,
    device: torch.device,
    progress: Callable[[int, float], object],
    checkpoint_every: int = 200,
    stop: Callable[[], bool] = lambda: False,
) -> Path | None:
    """Train, or continue; returns `folder`/clip.safetensors, half precision, or None when `stop` said so before.
    `progress` is told of each update, with its loss.

    Raises InputError when the folder holds another run, and WorkError when the loss or a weight is no longer finite.
    """
    weights = folder / "clip.safetensors"
    if weights.exists():
        return weights
    remove_partials(folder)
    torch.manual_seed(spec.seed)
    clip = build_clip(spec.clip).to(device).train()
    state = _load_state(folder, spec)
    done = state["step"] if state else 0
    if state:
        clip.load_state_dict(state["clip"])
    for stage in _stages(spec):
        last_step = stage.first_step + stage.schedule.steps
        if done >= last_step:
            continue
        optimizer = build_optimizer(clip, stage.schedule)
        if state and done > stage.first_step:
            optimizer.load_state_dict(state["optimizer"])
        for step in range(done, last_step):
            loss = _update(clip, optimizer, stage, step - stage.first_step)
            done = step + 1
            progress(done, loss)
            stopping = stop()
            if stopping or done % checkpoint_every == 0 or done == last_step:
                _refuse_diverged(clip.state_dict(), done)
                _save_state(folder, spec, done, clip, optimizer)
            if stopping and done < spec.steps:
                return None
        state = None
    tensors = {name: tensor.half().cpu().contiguous() for name, tensor in clip.state_dict().items()}
    _refuse_diverged(tensors, done)  # half precision ends at 65,504
    with writing(weights) as partial:
        save_file(tensors, partial)
    return weights


def _stages(spec: PretrainingSpec) -> Iterator[_Stage]:
    first = 0
    for schedule, grid in ((spec.mosaics, 2), (spec.close_ups, 1)):
        yield _Stage(schedule, first, partial(_named_loss, schedule=schedule, seed=spec.seed, grid=grid, first=first))
        first += schedule.steps
    contrastive = spec.contrastive
    loss = partial(_contrastive_loss, seed=spec.seed, batch_size=contrastive.batch_size)
    yield _Stage(contrastive, first, loss)


def _named_loss(clip: CLIP, step: int, *, schedule: ScheduleSpec, seed: int, grid: int, first: int) -> Tensor:
    """Pictures behind those of the `first` updates, so that none comes twice."""
    device = clip.logit_scale.device
    batch = attribute_batch(seed, first + step, schedule.batch_size, grid=grid)
    attributes = batch.attributes.to(device)
    directions = word_directions(clip.text_projection.shape[1]).to(device)
    tokens = read_tokens(clip.visual, _normalised(batch.images.to(device)))
    whole = attribute_loss(cells(tokens.pooled, grid).mean(dim=1), attributes, directions)
    located = located_loss(cells(tokens.dense, grid), attributes, directions)
    captions = batch.captions[:_CAPTIONS_AN_UPDATE]
    texts = clip.encode_text(clip.tokenize(captions).to(device))
    return whole + _LOCATED_SHARE * located + caption_loss(texts, captions, directions)


def _contrastive_loss(clip: CLIP, step: int, *, seed: int, batch_size: int) -> Tensor:
    device = clip.logit_scale.device
    batch = caption_batch(seed, step, batch_size)
    pictures = F.normalize(clip.visual(_normalised(batch.images.to(device))), dim=-1)
    texts = F.normalize(clip.encode_text(clip.tokenize(batch.captions).to(device)), dim=-1)
    return ClipLoss()(pictures, texts, clip.logit_scale.clamp(max=_LARGEST_LOGIT_SCALE).exp())


def _normalised(images: Float32[Tensor, "B 3 S S"]) -> Float32[Tensor, "B 3 S S"]:
    return ImageNormalisation().to(images.device)(images)


def _update(clip: CLIP, optimizer: torch.optim.AdamW, stage: _Stage, step: int) -> float:
    set_learning_rate(optimizer, stage.schedule, step)
    loss = stage.loss(clip, step)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if stage.schedule.clip_norm is not None:
        nn.utils.clip_grad_norm_(clip.parameters(), stage.schedule.clip_norm)
    optimizer.step()
    value = loss.item()
    if not math.isfinite(value):
        raise WorkError(f"pre-training diverged: the loss of update {step} is {value}; lower learning_rate.")
    return value


def _refuse_diverged(weights: dict[str, Tensor], step: int) -> None:
    name = first_non_finite(weights)
    if name is not None:
        raise WorkError(
            f"pre-training diverged: after update {step} {name} holds NaN or infinity; lower learning_rate."
        )


def _save_state(folder: Path, spec: PretrainingSpec, step: int, clip: CLIP, optimizer: torch.optim.AdamW) -> None:
    state = {
        "fingerprint": fingerprint(spec),
        "step": step,
        "clip": clip.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    with writing(folder / "state.pt") as partial, partial.open("wb") as file:
        torch.save(state, file)


def _load_state(folder: Path, spec: PretrainingSpec) -> dict[str, Any] | None:
    path = folder / "state.pt"
    if not path.exists():
        return None
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["fingerprint"] != fingerprint(spec):
        raise InputError(f"{folder}: holds another pre-training run. Give another folder, or that run's values.")
    return state
