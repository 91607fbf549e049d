from typing import Any

import numba
import pytest

from logoseg.ops.compiled import compiled, run_on_threads


def add_one(x: int) -> int:
    return x + 1


def test_compiled_without_a_writable_folder_still_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    njit = numba.njit

    def njit_that_finds_no_folder(**options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    with monkeypatch.context() as context:
        context.setattr(numba, "njit", njit_that_finds_no_folder)
        fast_add_one = compiled(add_one)

    assert fast_add_one(2) == 3


@pytest.mark.parametrize("num_threads", [1, 3])
def test_run_on_threads_every_item_runs_once(num_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logoseg.ops.compiled.torch.get_num_threads", lambda: 8)
    done: list[int] = []

    run_on_threads(done.append, range(20), num_threads=num_threads)

    assert sorted(done) == list(range(20))


@pytest.mark.parametrize("num_threads", [1, 3])
def test_run_on_threads_error_of_a_task_arrives(num_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logoseg.ops.compiled.torch.get_num_threads", lambda: 8)

    def fail_at_seven(item: int) -> None:
        if item == 7:
            raise KeyError(item)

    with pytest.raises(KeyError):
        run_on_threads(fail_at_seven, range(20), num_threads=num_threads)
