"""The observer that writes for TensorBoard: `tensorboard --logdir FOLDER` shows it."""

from collections.abc import Iterable
from pathlib import Path

from ovlab.specs.errors import InputError
from ovlab.specs.events import Begun, Status
from ovlab.tracking.point_observer import PointObserver
from ovlab.tracking.points import MetricPoint

try:
    from torch.utils.tensorboard.writer import SummaryWriter
except ImportError:
    raise InputError(
        "--track tensorboard: the package tensorboard is not there; pip install 'logoseg[tensorboard]'."
    ) from None


class TensorBoard(PointObserver):
    """Into `folder`, once work on the training begins. Updates that are made again take the place of those before."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.writer: SummaryWriter | None = None

    def on_begin(self, begun: Begun) -> None:
        if self.writer is None:
            self.writer = SummaryWriter(str(self.folder), purge_step=begun.num_done + 1)

    def draw(self, step: int, points: Iterable[MetricPoint]) -> None:
        if self.writer is not None:
            for point in points:
                self.writer.add_scalar(point.key, point.value, point.step, walltime=point.time / 1000)

    def on_checkpoint(self, step: int, path: Path) -> None:
        if self.writer is not None:
            self.writer.flush()

    def on_end(self, status: Status, reason: str) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None
