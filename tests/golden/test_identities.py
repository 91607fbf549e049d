"""The identities of today's specs: a store that exists finds its records by them, and a cache its files."""

import pytest

import golden

PINS = golden.pins()["identities"]
RENEW = (
    "records of existing stores would not be found any more: undo it, or, if a figure changes with it, raise "
    "TRAINING_VERSION, PREDICTION_VERSION or EVALUATOR_VERSION; then renew the pin "
    "(python tests/programs/renew_pins.py identities)"
)


@pytest.fixture(scope="module")
def made() -> dict[str, dict[str, str]]:
    return golden.identities()


@pytest.mark.parametrize("kind", PINS)
def test_identities_are_those_pinned(made: dict[str, dict[str, str]], kind: str) -> None:
    changed = {name: (made[kind].get(name), pin) for name, pin in PINS[kind].items() if made[kind].get(name) != pin}

    assert not changed, RENEW


def test_every_identity_is_pinned(made: dict[str, dict[str, str]]) -> None:
    assert {kind: sorted(named) for kind, named in made.items()} == {
        kind: sorted(named) for kind, named in PINS.items()
    }, "a name that is new, or gone: python tests/programs/renew_pins.py identities"


def test_different_trainings_and_evaluations_have_different_identities() -> None:
    for kind in ("trainings", "shapes", "subjects", "text cache"):
        assert len(set(PINS[kind].values())) == len(PINS[kind]), kind
