"""What a training will take, from updates that are made and thrown away."""

import argparse
import json
import resource
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ovlab.runs.context import RunContext
from ovlab.runs.device import device_name, pick_device
from ovlab.runs.planned import PlannedTraining
from ovlab.runs.sources import Sources
from ovlab.runs.trainings import training_input
from ovlab.specs.events import Step
from ovlab.specs.wording import clock, thousands
from ovlab.store.store import open_store
from ovlab.training.batches import batches
from ovlab.training.loop import Hooks, TrainingInput, train
from ovlab.training.objective import autocast, objective_of

NUM_UPDATES = 3


def print_needs(training: PlannedTraining, sources: Sources, arguments: argparse.Namespace) -> None:
    """Print them, as JSON where it was asked for; nothing is left behind."""
    needs = _needs(training, sources, arguments)
    if arguments.json:
        print(json.dumps(needs))
        return
    print(f"weights   {thousands(needs['num_weights'])}, of which {thousands(needs['num_learning'])} learn")
    print(f"work      {needs['flops'] / 1e9:.3g} GFLOP an image: matrix products and convolutions, both ways")
    print(f"memory    {needs['peak_bytes'] / 2**30:.2f} GiB at its peak on {needs['device']}")
    print(f"speed     {needs['images_per_second']:.3g} images/s in {needs['num_updates']} updates, the first left out")
    print(
        f"schedule  {thousands(needs['steps'])} updates of {needs['batch_size']} images: about "
        f"{clock(needs['seconds'])} at that speed"
    )


def _needs(training: PlannedTraining, sources: Sources, arguments: argparse.Namespace) -> dict[str, Any]:
    device, steps = pick_device(arguments.device), list[Step]()
    with tempfile.TemporaryDirectory(prefix="ovlab-dry-run-") as scratch:
        context = RunContext(store=open_store(scratch), workdir=Path(scratch), sources=sources, device=arguments.device)
        given = training_input(training, context, device)
        schedule = given.spec.schedule
        flops = _flops_of_image(given, device)
        train(
            given,
            Path(scratch) / "run",
            device=device,
            num_loader_workers=arguments.loader_workers,
            hooks=Hooks(on_step=steps.append, stop=lambda: len(steps) >= NUM_UPDATES),
        )
    speed = statistics.median(step.images_per_second for step in steps[1:] or steps)
    weights = list(given.model.parameters())
    return {
        "device": device_name(device),
        "num_weights": sum(weight.numel() for weight in weights),
        "num_learning": sum(weight.numel() for weight in weights if weight.requires_grad),
        "flops": flops,
        "peak_bytes": _peak_bytes(device),
        "num_updates": len(steps),
        "images_per_second": speed,
        "steps": schedule.steps,
        "batch_size": schedule.batch_size,
        "seconds": schedule.steps * schedule.batch_size / speed,
    }


def _flops_of_image(given: TrainingInput, device: torch.device) -> float:
    """As torch counts them: those of matrix products and convolutions, forward and backward, of one image."""
    spec = given.spec
    data, augmentation = given.dataset, spec.augmentation
    stream = batches(data, augmentation, seed=spec.seed, batch_size=1, start_position=0, num_loader_workers=0)
    batch = next(stream)
    stream.close()
    objective = objective_of(given.model, spec.schedule, given.dataset.class_names).train()
    with autocast(device, spec.schedule.precision), FlopCounterMode(display=False) as counter:
        objective(batch.images.to(device), batch.labels.to(device), given.text.to(device)).backward()
    given.model.zero_grad(set_to_none=True)
    return float(counter.get_total_flops())


def _peak_bytes(device: torch.device) -> int:
    """Of the device's memory; of this whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
