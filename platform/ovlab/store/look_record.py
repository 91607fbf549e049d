"""The looks that `ovlab run TABLE --until-decided` has taken at a table, in one sealed file that is written whole.

    looks/<suite>/<table>.json

It is the only thing of a store that cannot be made anew from what else is there: how many seeds were planned. So a
damaged one is refused, where other records count as missing: without it, a verdict would be that of a plain run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from ovlab.files.sealed import DamagedError, pack_sealed, unpack_sealed
from ovlab.metrics.verdict import FUTILE, Verdict
from ovlab.specs.errors import InputError
from ovlab.specs.serialization import spec_from_json, spec_to_json
from ovlab.store.store import Store

FORMAT = "ovlab-looks-1"


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonLook:
    """The advantage over row `worse` in all columns together, as a fraction, with the interval of the look."""

    worse: str
    difference: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimLook:
    """What one look says of one claim, by its position in the table.

    significance: the share of the error of all looks that Holm's correction leaves to the claim; nominal: the level at
    which this look tests it, which follows from what of that share is spent now. columns: the verdicts by title.
    chance: at most so likely do the planned seeds decide it; None for what is decided, and at the last look. runs: the
    digest of the evaluations behind it.
    """

    claim: int
    num_seeds: int
    verdict: Verdict
    significance: float
    nominal: float
    comparisons: tuple[ComparisonLook, ...]
    columns: Mapping[str, Verdict]
    chance: float | None
    runs: str

    @property
    def is_futile(self) -> bool:
        """Whether the seeds that are left are better spent on other claims."""
        return self.verdict == "undecided" and self.chance is not None and self.chance < FUTILE

    @property
    def is_open(self) -> bool:
        """Whether it is looked at again."""
        return self.verdict == "undecided" and self.chance is not None and not self.is_futile


@dataclass(frozen=True, kw_only=True, slots=True)
class LookRecord:
    """planned: the seeds after which is looked. question: the digest of what the claims ask. looks: in the order in
    which they were taken, and of the claims."""

    suite: str
    table: str
    planned: tuple[int, ...]
    question: str
    looks: tuple[ClaimLook, ...] = ()

    def of_claim(self, position: int) -> tuple[ClaimLook, ...]:
        return tuple(look for look in self.looks if look.claim == position)


def place_of_looks(suite: str, table: str) -> str:
    """The file of the looks at a table, in the folder of the store."""
    return f"looks/{suite}/{table}.json"


def read_looks(store: Store, suite: str, table: str) -> LookRecord | None:
    """None where the table was never run until decided. Raises DamagedError, saying what to do."""
    name = place_of_looks(suite, table)
    content = store.folder.read_existing([name]).get(name)
    if content is None:
        return None
    place = store.folder.locate(name)
    try:
        fields: Any = unpack_sealed(FORMAT, content, place=place)
        record = spec_from_json(LookRecord, to_json(fields).decode(), place=place)
    except (InputError, ValueError, TypeError, AttributeError) as error:
        raise DamagedError(
            f"{str(error).rstrip('.')}. Remove it; the same `ovlab run {table} --until-decided`, with the same "
            f"--max-seeds, takes its looks again."
        ) from None
    if (record.suite, record.table) != (suite, table):
        raise DamagedError(f"{place}: is that of {record.table} in the suite {record.suite}; move it back there.")
    return record


def write_looks(store: Store, record: LookRecord) -> None:
    """In place of what was there."""
    content = pack_sealed(FORMAT, json.loads(spec_to_json(record)))
    store.folder.write(place_of_looks(record.suite, record.table), content)
