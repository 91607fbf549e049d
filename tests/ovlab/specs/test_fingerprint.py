"""ovlab.specs.fingerprint: equal specs give equal digests in any process; what has no value of its own is refused."""

import enum
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from ovlab.specs.errors import InputError
from ovlab.specs.fingerprint import ADDED_LATER, added_later, canonical_json, fingerprint


@dataclass(frozen=True)
class Square:
    side: float


@dataclass(frozen=True)
class Circle:
    side: float


@dataclass(frozen=True)
class Picture:
    shapes: tuple[Square | Circle, ...]
    names: dict[str, int]


@dataclass
class Mutable:
    side: float


class Colour(enum.StrEnum):
    RED = "red"


def test_canonical_json_hand_written_spec_is_the_hand_written_text() -> None:
    picture = Picture(shapes=(Square(0.5), Circle(2.0)), names={"b": 1, "a": 2})

    assert canonical_json(picture) == (
        '{"":"Picture","names":{"a":2,"b":1},"shapes":[{"":"Square","side":0.5},{"":"Circle","side":2}]}'
    )


def test_fingerprint_two_processes_with_other_hash_seeds_is_equal() -> None:
    program = (
        "from logoseg.config import SlidingWindow\n"
        "from ovlab.specs.fingerprint import fingerprint\n"
        "print(fingerprint({'views': SlidingWindow(), 'weights': (0.1, 1e-30), 'é': None}))\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }

    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


@pytest.mark.parametrize(
    ("one", "other"),
    [(Square(1.0), Square(1)), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ((1, 2), [1, 2]), (-0.0, 0)],
)
def test_fingerprint_equal_specs_is_equal(one: object, other: object) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Square(1.0), Circle(1.0)),
        (Square(0.1), Square(np.nextafter(0.1, 1).item())),
        (True, 1),
        ("1", 1),
        (None, "None"),
        ((1, (2,)), ((1, 2),)),
        (2.0**60, 2.0**60 + 2**10),
    ],
)
def test_fingerprint_different_specs_differs(one: object, other: object) -> None:
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (len, "name it by a string"),
        (Square, "name it by a string"),
        (lambda: None, "name it by a string"),
        (Path("weights.pt"), "the digest of what it holds"),
        (np.zeros(2), "plain numbers"),
        (np.float64(1.0), "plain numbers"),
        (float("nan"), "finite number"),
        (float("-inf"), "finite number"),
        ({1, 2}, "sorted tuple"),
        ({1: "a"}, "non-empty strings as keys"),
        ({"": "a"}, "non-empty strings as keys"),
        (Mutable(1.0), "frozen=True"),
        (Colour.RED, "use frozen dataclasses"),
        (b"bytes", "use frozen dataclasses"),
        (object(), "use frozen dataclasses"),
    ],
)
def test_fingerprint_value_without_identity_is_refused_with_place_and_advice(value: object, advice: str) -> None:
    with pytest.raises(InputError, match="names") as error:
        fingerprint({"names": (value,)})

    assert "dict['names'][0]" in str(error.value)
    assert advice in str(error.value)
    assert "\n" not in str(error.value)


def test_canonical_json_any_spec_reads_back_as_json() -> None:
    assert json.loads(canonical_json(("ä", 0.1, None, True)))[1:] == [0.1, None, True]


def test_field_added_later_is_left_out_where_it_has_the_value_that_held_before_and_only_there() -> None:
    @dataclass(frozen=True)
    class Disc:
        radius: float
        hole: float | None = None
        ring: float | None = field(default=None, metadata=ADDED_LATER)
        sides: int = field(default=1, metadata=added_later(1))

    assert canonical_json(Disc(1.0)) == '{"":"Disc","hole":null,"radius":1}'
    assert canonical_json(Disc(1.0, sides=2)) == '{"":"Disc","hole":null,"radius":1,"sides":2}'
    assert canonical_json(Disc(1.0, ring=2.0)) == '{"":"Disc","hole":null,"radius":1,"ring":2}'
