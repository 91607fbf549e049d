"""ovlab.store.look_record: what is read is what was written, or it is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from ovlab.files.sealed import DamagedError
from ovlab.store.look_record import ClaimLook, ComparisonLook, LookRecord, place_of_looks, read_looks, write_looks
from ovlab.store.store import Store, open_store

LOOK = ClaimLook(
    claim=1,
    num_seeds=3,
    verdict="undecided",
    significance=0.0125,
    nominal=2.3e-10,
    comparisons=(ComparisonLook(worse="half", difference=0.01, low=-0.5, high=0.52),),
    columns={"PAS-20": "undecided"},
    chance=0.25,
    runs="a" * 64,
)
RECORD = LookRecord(suite="shapes", table="mine", planned=(3, 5), question="b" * 64, looks=(LOOK,))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def test_record_is_read_as_it_was_written_and_replaced_whole(store: Store) -> None:
    assert read_looks(store, "shapes", "mine") is None

    write_looks(store, RECORD)
    assert read_looks(store, "shapes", "mine") == RECORD

    more = replace(RECORD, looks=(LOOK, LOOK))
    write_looks(store, more)
    assert read_looks(store, "shapes", "mine") == more
    assert read_looks(store, "paper", "mine") is None


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_record_that_is_cut_off_is_refused_with_what_to_do(store: Store, tmp_path: Path, share: float) -> None:
    write_looks(store, RECORD)
    file = tmp_path / place_of_looks("shapes", "mine")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])

    with pytest.raises(
        DamagedError, match=r"mine\.json: damaged.*Remove it; the same `ovlab run mine --until-decided`"
    ):
        read_looks(store, "shapes", "mine")


def test_record_of_another_table_is_refused(store: Store, tmp_path: Path) -> None:
    write_looks(store, RECORD)
    file = tmp_path / place_of_looks("shapes", "mine")
    file.rename(file.with_name("yours.json"))

    with pytest.raises(DamagedError, match=r"yours\.json: is that of mine in the suite shapes; move it back"):
        read_looks(store, "shapes", "yours")


@pytest.mark.parametrize(
    ("verdict", "chance", "is_futile", "is_open"),
    [
        ("undecided", 0.25, False, True),
        ("undecided", 0.05, True, False),
        ("undecided", None, False, False),
        ("yes", None, False, False),
        ("not measured", None, False, False),
    ],
)
def test_claim_is_open_while_the_planned_seeds_may_decide_it(
    verdict: str, chance: float | None, is_futile: bool, is_open: bool
) -> None:
    look = replace(LOOK, verdict=verdict, chance=chance)

    assert (look.is_futile, look.is_open) == (is_futile, is_open)
