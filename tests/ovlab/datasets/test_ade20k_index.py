import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ovlab.datasets.ade20k_index import refuse_other_names
from ovlab.specs.errors import InputError


class Shell:
    """Pickles to a call of os.system."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("exit 1",)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], Path]:
    def index(value: Any) -> Path:
        (tmp_path / "index_ade20k.pkl").write_bytes(pickle.dumps(value))
        return tmp_path / "index_ade20k.pkl"

    return index


def test_names_at_their_positions_from_one_are_accepted(write: Callable[[Any], Path]) -> None:
    refuse_other_names(
        write({"objectnames": ["wall", "road, route", "c p u "]}), (2, 1, 3), ("road, route", "wall", "c p u")
    )


def test_names_in_a_numpy_array_are_accepted(write: Callable[[Any], Path]) -> None:
    names = np.array(["wall", "door"], dtype=object)

    refuse_other_names(write({"objectnames": names, "objectcounts": np.ones(2)}), (2,), ("door",))


@pytest.mark.parametrize(("raw_id", "found"), [(1, "wall"), (3, "nothing")])
def test_name_at_another_position_is_refused(write: Callable[[Any], Path], raw_id: int, found: str) -> None:
    with pytest.raises(InputError, match=rf"index_ade20k\.pkl: object {raw_id} is '{found}', expected 'door'"):
        refuse_other_names(write({"objectnames": ["wall", "door"]}), (raw_id,), ("door",))


def test_index_without_names_is_refused(write: Callable[[Any], Path]) -> None:
    with pytest.raises(InputError, match=r"not the index of ADE20K_2021_17_01 \(KeyError: 'objectnames'\)"):
        refuse_other_names(write({"filename": []}), (1,), ("wall",))


def test_index_that_calls_a_function_is_refused_before_the_call(write: Callable[[Any], Path]) -> None:
    with pytest.raises(InputError, match=r"not the index .*it asks for \w+\.system\)"):
        refuse_other_names(write({"objectnames": [Shell()]}), (1,), ("wall",))


def test_index_cut_short_is_refused(write: Callable[[Any], Path]) -> None:
    path = write({"objectnames": ["wall"] * 1000})
    path.write_bytes(path.read_bytes()[:500])

    with pytest.raises(InputError, match=r"index_ade20k\.pkl: not the index of ADE20K_2021_17_01"):
        refuse_other_names(path, (1,), ("wall",))
