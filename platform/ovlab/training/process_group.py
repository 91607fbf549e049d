"""The processes among which each batch of a run is divided. They hold the same weights and make the same updates.

Rank 0 leads: it alone owns the run folder, decides what all do, and gives the weights and the state to the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ovlab.specs.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessGroup:
    """`parallel` makes the model one whose gradients are averaged over the group; `mean` averages a number; `broadcast`
    gives everyone rank 0's value, whatever the others pass. All three are calls that every process makes."""

    rank: int
    size: int
    parallel: Callable[[nn.Module], nn.Module]
    mean: Callable[[float], float]
    broadcast: Callable[[Any], Any]

    def shard(self, batch_size: int) -> range:
        """Which of the images 0 .. batch_size - 1 of every batch are this process's. Shards differ by one at most."""
        return range(self.rank * batch_size // self.size, (self.rank + 1) * batch_size // self.size)


def _same(value: Any) -> Any:
    return value


ALONE = ProcessGroup(rank=0, size=1, parallel=_same, mean=float, broadcast=_same)


def distributed_group(device: torch.device, patience: timedelta | None = None) -> ProcessGroup:
    """Torch's process group, which is up; `device` is where this process trains. `patience`: how long one waits for the
    others (default: torch's)."""
    # Numbers and decisions go beside the gradients, over the CPU: on a GPU each would wait for the kernels.
    control = dist.new_group(backend="gloo", timeout=patience)
    size = dist.get_world_size()

    def parallel(model: nn.Module) -> nn.Module:
        return DistributedDataParallel(
            model,
            device_ids=[device] if device.type == "cuda" else None,
            # Otherwise the gradients are grouped anew after the first update, and with them the order of their sums:
            # a run that was resumed would differ in the last bit from one that was not.
            find_unused_parameters=True,
        )

    def mean(value: float) -> float:
        total = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(total, group=control)
        return total.item() / size

    def broadcast(value: Any) -> Any:
        box = [value]
        dist.broadcast_object_list(box, src=0, group=control)
        return box[0]

    return ProcessGroup(rank=dist.get_rank(), size=size, parallel=parallel, mean=mean, broadcast=broadcast)


def require_shards(batch_size: int, num_workers: int | tuple[int, int]) -> None:
    """Raise InputError unless every one of the workers gets an equal shard of `batch_size` images.

    For an elastic number (min, max) the shards may be unequal, but none may be empty.
    """
    fewest, most = (num_workers, num_workers) if isinstance(num_workers, int) else num_workers
    if not 1 <= fewest <= most:
        raise InputError(f"workers: at least 1, and no more at least than at most; got {num_workers}.")
    if most > batch_size or (fewest == most and batch_size % most):
        fitting = ", ".join(str(n) for n in range(1, batch_size + 1) if batch_size % n == 0)
        raise InputError(
            f"workers: {most} cannot share a batch of schedule.batch_size = {batch_size} images equally; give one of "
            f"{fitting}, or another batch size, which is another run."
        )
