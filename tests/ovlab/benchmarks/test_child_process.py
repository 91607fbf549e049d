"""ovlab.benchmarks.child_process: memory of a fresh process, and errors that are not lost in it."""

import operator
import time

import pytest

from ovlab.benchmarks.child_process import measure_in_child


def test_measure_in_child_large_call_shows_its_memory_and_a_small_one_does_not() -> None:
    large = measure_in_child(operator.mul, b"x", 300_000_000)
    small = measure_in_child(operator.mul, b"x", 1_000)

    assert large.peak_bytes - small.peak_bytes == pytest.approx(300_000_000, rel=0.1)
    assert small.worker_peak_bytes == 0


def test_measure_in_child_failing_call_raises(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="int failed in its process"):
        measure_in_child(int, "no number")

    assert "invalid literal" in capfd.readouterr().err


def test_measure_in_child_sleeping_call_costs_time_but_no_cpu() -> None:
    measured = measure_in_child(time.sleep, 0.5)

    assert measured.seconds >= 0.5
    assert measured.cpu_seconds < 0.4
