"""One run by groups of several sizes: `python group_run.py FOLDER` trains it in FOLDER/<size> by 1, 2 and 4 processes.

In FOLDER/killed it is 4 processes whose leader is killed in the middle, then the same again to the end. It prints the
signals that ended the leaders, 0 for none.
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from ovlab.specs.events import Step
from ovlab.training.loop import TrainingInput, follow
from ovlab.training.process_group import ALONE, distributed_group
from tiny_run import SPEC, Pictures, TinyNetwork, tiny_text, tiny_train

CPU = torch.device("cpu")
# Parts of 3 images: alone two of them an update, by two processes one, by four shares of 1 and 2 images.
GROUP_SPEC = replace(
    SPEC, schedule=replace(SPEC.schedule, steps=50, batch_size=6, num_microbatches=2), model=SPEC.model, seed=2
)


class ShareableNetwork(TinyNetwork):
    """No image changes another's logits, and nothing is drawn. One weight that learns is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.dropout = nn.Identity(), nn.Identity()
        self.unused = nn.Parameter(torch.ones(3))


def shared_train(folder: Path, rank: int, size: int, on_step: Callable[[Step], object]) -> None:
    torch.manual_seed(GROUP_SPEC.seed)
    parts = {"model": ShareableNetwork(), "text": tiny_text(), "dataset": Pictures()}
    group = ALONE if size == 1 else distributed_group(CPU)
    if rank == 0:
        tiny_train(folder, spec=GROUP_SPEC, checkpoint_every=7, on_step=[on_step], group=group, **parts)
    else:
        follow(TrainingInput(spec=GROUP_SPEC, **parts), device=CPU, group=group)


def in_processes(folder: Path, size: int, on_step: Callable[[Step], object] = lambda record: None) -> int:
    """Returns the signal that ended the leader, 0 for none."""
    meeting = folder.with_suffix(".meeting")
    children = []
    for rank in range(size):
        child = os.fork()
        if child == 0:
            torch.set_num_threads(1)
            try:
                if size > 1:
                    patience = timedelta(seconds=300)
                    dist.init_process_group(
                        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=size, timeout=patience
                    )
                shared_train(folder, rank, size, on_step)
                os._exit(0)
            finally:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        children.append(child)
    ends = [os.waitpid(child, 0)[1] for child in children]
    meeting.unlink(missing_ok=True)
    return os.WTERMSIG(ends[0]) if os.WIFSIGNALED(ends[0]) else -os.WEXITSTATUS(ends[0])


def die_at_20(record: Step) -> None:
    if record.step == 20:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    root = Path(sys.argv[1])
    print(*(in_processes(root / str(size), size) for size in (1, 2, 4)))
    print(in_processes(root / "killed", 4, die_at_20), in_processes(root / "killed", 4))
