"""The observer that tells Weights & Biases; what it needs (WANDB_API_KEY, WANDB_MODE=offline) is in the environment."""

from collections.abc import Iterable
from pathlib import Path

from ovlab.specs.errors import InputError
from ovlab.specs.events import Begun, RunHeader, Status
from ovlab.specs.wording import one_line
from ovlab.tracking.point_observer import PointObserver
from ovlab.tracking.points import MetricPoint

try:
    import wandb
except ImportError:
    raise InputError("--track wandb: the package wandb is not there; pip install 'logoseg[wandb]'.") from None


class WeightsAndBiases(PointObserver):
    """Tells of a run under its fingerprint, by which the next attempt continues it; its files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.header: RunHeader | None = None
        self.run: wandb.Run | None = None

    def on_start(self, run: RunHeader) -> None:
        self.header = run

    def on_begin(self, begun: Begun) -> None:
        """Raises InputError where W&B refuses, as for want of a key."""
        if self.run is not None or self.header is None:
            return
        try:
            self.run = wandb.init(
                project=self.header.experiment,
                id=self.header.run,
                name=self.header.name,
                config=dict(self.header.params),
                resume="allow",
                dir=str(self.folder),
                settings=wandb.Settings(console="off", silent=True),
            )
        except wandb.Error as error:
            raise InputError(
                f"--track wandb: {one_line(error)} With WANDB_MODE=offline nothing is asked and nothing sent."
            ) from None
        # An update that is made again is another log line, but no other step.
        self.run.define_metric("*", step_metric="step")

    def draw(self, step: int, points: Iterable[MetricPoint]) -> None:
        if self.run is not None:
            self.run.log({"step": step, **{point.key: point.value for point in points}})

    def on_end(self, status: Status, reason: str) -> None:
        if self.run is not None:
            self.run.finish(exit_code=int(status != "FINISHED"))
            self.run = None
