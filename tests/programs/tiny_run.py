"""Runs so small that a test can afford many of them.

As a program, `python tiny_run.py FOLDER`, it trains each of RUNS twice: in FOLDER/<name>/undisturbed in one process,
and in FOLDER/<name>/killed in one process after another, each ended with SIGKILL at another moment, until one comes to
the end. It prints the signals that ended the processes, 0 for none, one line a run.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from logoseg.config import ClipConfig, ModelConfig
from logoseg.network import LoGoSeg
from logoseg.presets import tiny
from names_alone import NamesAlone
from ovlab.datasets.sample import IGNORE_INDEX, Sample
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.events import Step
from ovlab.specs.training import ScheduleSpec, TrainingSpec
from ovlab.training import loop
from ovlab.training import training_state as checkpoint

SPEC = TrainingSpec(
    model=ModelConfig(clip=ClipConfig(name="none", image_size=16, middle_layer=1, guidance_layers=(0, 1))),
    dataset="pictures",
    split="train",
    augmentation=AugmentationSpec(crop_size=16, saturation=0.0, hue=0.0),  # those two compile, which takes a while
    schedule=ScheduleSpec(steps=8, batch_size=2, learning_rate=1e-2, warmup_steps=2, num_microbatches=2),
)


class Pictures(NamesAlone):
    """Five noisy pictures in which each of 3 classes has a colour; some pixels are ignored."""

    name = "pictures"
    class_names = ("sky", "road", "tree")
    sample_ids = tuple("abcde")

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __getitem__(self, index: int) -> Sample:
        generator = np.random.default_rng(index)
        label = generator.integers(0, 3, (5, 6)).repeat(4, axis=0).repeat(4, axis=1).astype(np.uint16)
        noise = generator.integers(0, 100, (20, 24, 3), dtype=np.uint8)
        image = noise + np.uint8(150) * np.eye(3, dtype=np.uint8)[label]
        label[:4] = IGNORE_INDEX
        return Sample(self.sample_ids[index], image, label)


class TinyNetwork(nn.Module):
    """Has what can go wrong on a resume: a frozen weight, a buffer that moves, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.image_encoder = nn.Conv2d(3, 8, kernel_size=2, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.dropout = nn.Dropout(0.2)
        self.project = nn.Conv2d(8, 6, kernel_size=1)
        self.scale = nn.Parameter(torch.ones(6), requires_grad=False)

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        pixels = self.project(self.dropout(self.norm(self.image_encoder(images)).relu()))
        pixels = pixels * self.scale[:, None, None]
        return (text.mean(dim=1) @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])


def tiny_text() -> Tensor:
    return torch.randn(3, 2, 6, generator=torch.Generator().manual_seed(5))


def tiny_train(
    folder: Path,
    *,
    on_step: Sequence[Callable[[Step], object]] = (),
    on_checkpoint: Callable[[int, Path], object] = lambda step, path: None,
    stop: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> loop.TrainingResult:
    """Train a TinyNetwork, or continue, in `folder`, whose updates go into the log beside it, each once. `changes`
    replace parts of a TrainingInput and arguments of `loop.train`."""
    spec = changes.pop("spec", SPEC)
    torch.manual_seed(spec.seed)
    parts = {"model": TinyNetwork(), "text": tiny_text(), "dataset": Pictures()}
    given = loop.TrainingInput(spec=spec, **{name: changes.pop(name, part) for name, part in parts.items()})

    def hear(step: Step) -> None:
        with log_file(folder).open("a") as file:
            file.write(json.dumps(asdict(step)) + "\n")
        for hook in on_step:
            hook(step)

    hooks = loop.Hooks(on_step=hear, on_checkpoint=on_checkpoint, stop=stop)
    arguments = {"device": torch.device("cpu"), "checkpoint_every": 3, "hooks": hooks}
    return loop.train(given, folder, **{**arguments, **changes})


def log_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.steps.jsonl")


def log_of(folder: Path) -> list[Step]:
    """The updates of a run, each as it was made last, without what differs from machine to machine."""
    steps = [Step(**json.loads(line)) for line in log_file(folder).read_text().splitlines()]
    last = {step.step: replace(step, images_per_second=0.0, data_seconds=0.0, process_seconds=0.0) for step in steps}
    return [last[number] for number in sorted(last)]


def logoseg_train(folder: Path, **changes: Any) -> loop.TrainingResult:
    """The same with a LoGoSeg of every part, at 64 x 64 pixels."""
    preset = tiny()
    model = replace(preset, clip=replace(preset.clip, image_size=64), guidance_dim=32, region_grid=2)
    augmentation = replace(SPEC.augmentation, crop_size=64)
    spec = replace(SPEC, model=model, augmentation=augmentation, schedule=replace(SPEC.schedule, steps=4))
    torch.manual_seed(spec.seed)
    network = LoGoSeg(model)
    text = network.encode_text(Pictures.class_names)
    return tiny_train(folder, spec=spec, model=network, text=text, checkpoint_every=2, **changes)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(step: int) -> dict[str, Any]:
    return {"on_step": [lambda record: record.step == step and die()]}


def die_in_save(step: int) -> dict[str, Any]:
    """Half of the checkpoint of `step` is written."""
    save = torch.save

    def save_half(content: dict[str, Any], file: BinaryIO) -> None:
        save(content, file)
        if content["step"] == step:
            file.truncate(file.tell() // 2)
            die()

    checkpoint.torch.save = save_half
    return {}


def die_before_the_weights_are_named() -> dict[str, Any]:
    save_weights = loop.write_network

    def save_elsewhere(model: nn.Module, config: ModelConfig, class_names: Sequence[str], path: Path) -> None:
        save_weights(model, config, class_names, path.with_name("weights.unfinished"))
        die()

    loop.write_network = save_elsewhere
    return {}


class Run(NamedTuple):
    """How to train, and the ways to die, in the order in which the processes do."""

    train: Callable[..., loop.TrainingResult]
    deaths: Sequence[Callable[[], dict[str, Any]]]


RUNS = {
    "tiny": Run(
        tiny_train,
        (
            lambda: die_after(1),  # before the first checkpoint: from the start again
            lambda: die_in_save(3),
            lambda: die_after(3),  # logged, not saved
            lambda: die_after(5),  # two updates lost
            lambda: die_after(4),
            lambda: die_in_save(6),
            lambda: die_after(7),
            die_before_the_weights_are_named,
        ),
    ),
    "logoseg": Run(logoseg_train, (lambda: die_after(1), lambda: die_in_save(2), lambda: die_after(3))),
}


def run_in_a_process(train: Callable[..., loop.TrainingResult], folder: Path, death: Callable[[], dict]) -> int:
    """Returns the signal that ended the process, 0 for none."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        train(folder, **death())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


if __name__ == "__main__":
    for name, run in RUNS.items():
        folder = Path(sys.argv[1]) / name
        signals = [run_in_a_process(run.train, folder / "undisturbed", dict)]
        signals += [run_in_a_process(run.train, folder / "killed", death) for death in (*run.deaths, dict)]
        print(*signals)
