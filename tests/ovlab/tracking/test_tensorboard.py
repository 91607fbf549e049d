"""ovlab.tracking.tensorboard: the files hold each update once, however often it was made."""

from pathlib import Path

import pytest

pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ovlab.specs.events import Begun, Step, Validated
from ovlab.tracking.tensorboard import TensorBoard


def begun(num_done: int) -> Begun:
    return Begun(work="training", fingerprint="a" * 64, device="cpu", num_gpus=0, total=4, num_done=num_done)


def step(number: int, loss: float) -> Step:
    return Step(step=number, loss=loss, learning_rate=0.1, grad_norm=1.0, images_per_second=2.0)


def test_curve_of_a_run_that_lost_an_update_has_each_once_as_it_was_made_last(tmp_path: Path) -> None:
    first = TensorBoard(tmp_path)
    first.on_begin(begun(0))
    for number, loss in ((1, 8.0), (2, 4.0), (3, 3.0)):
        first.on_step(step(number, loss))
    first.on_end("KILLED", "")
    then = TensorBoard(tmp_path)
    then.on_begin(begun(2))
    for number, loss in ((3, 2.0), (4, 1.0)):
        then.on_step(step(number, loss))
    figures = {"miou": 0.25}
    then.on_validation(Validated(step=4, benchmark="b", split="val", num_images=3, figures=figures))
    then.on_checkpoint(4, tmp_path)
    then.on_end("FINISHED", "")

    shown = EventAccumulator(str(tmp_path))
    shown.Reload()

    assert [(point.step, point.value) for point in shown.Scalars("train/loss")] == [(1, 8), (2, 4), (3, 2), (4, 1)]
    assert [(point.step, point.value) for point in shown.Scalars("validation/miou")] == [(4, 0.25)]


def test_record_that_was_found_writes_nothing(tmp_path: Path) -> None:
    observer = TensorBoard(tmp_path / "curves")

    observer.on_step(step(1, 1.0))
    observer.on_end("FINISHED", "")

    assert not (tmp_path / "curves").exists()
