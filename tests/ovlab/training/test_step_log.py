from pathlib import Path

from ovlab.training.step_log import StepRecord, open_step_log, read_step_log


def record(step: int) -> StepRecord:
    return StepRecord(step, 0.1 * step, 2e-4, 1 / 3, 5.0)


def test_log_read_back_is_equal_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    with open_step_log(path, num_done=0) as log:
        for step in (1, 2, 3):
            log.write(record(step))

    assert read_step_log(path) == [record(1), record(2), record(3)]


def test_log_continued_behind_a_checkpoint_has_every_update_once(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    with open_step_log(path, num_done=0) as log:
        for step in range(1, 6):
            log.write(record(step))
    with path.open("a") as file:
        file.write('{"step": 6, "lo')  # killed in the middle of a line

    with open_step_log(path, num_done=3) as log:
        log.write(record(4))

    assert [line.step for line in read_step_log(path)] == [1, 2, 3, 4]


def test_log_written_but_not_closed_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    with open_step_log(path, num_done=0) as log:
        log.write(record(1))

        assert read_step_log(path) == [record(1)]


def test_log_that_does_not_tell_the_wait_for_data_is_read(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_text('{"step": 1, "loss": 0.1, "learning_rate": 0.2, "grad_norm": 0.3, "images_per_second": 5.0}\n')

    assert read_step_log(path) == [StepRecord(1, 0.1, 0.2, 0.3, 5.0, data_seconds=None)]
