"""What tables ask for: each training and each evaluation once, with the cells that need it. Nothing is opened here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from logoseg.model_error import ModelError
from ovlab.methods.registry import subject_of
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import Protocol, counting
from ovlab.specs.method import Model
from ovlab.specs.scores import SCORES, Kind
from ovlab.specs.suite import Suite
from ovlab.specs.table import CellName, Row, Table, require_seeds
from ovlab.specs.training import TrainingSpec
from ovlab.sweeps.rates import awaits


@dataclass(frozen=True, slots=True)
class Demand:
    """A training, or a model that needs none, the preset it starts from, and its evaluations: the cells of each data
    set, split and protocol."""

    spec: TrainingSpec | Model
    preset: str
    evaluations: dict[tuple[str, str, Protocol], list[CellName]] = field(default_factory=dict)


def demands(
    tables: Sequence[Table],
    suite: Suite,
    *,
    seeds: Sequence[int] | None = None,
    seeds_by_row: Mapping[tuple[str, str], Sequence[int]] = MappingProxyType({}),
    limit_steps: int | None = None,
) -> list[Demand]:
    """All of a seed before the next one, in the order of the tables; what several cells need is there once.

    seeds: instead of those of each table. seeds_by_row: instead of both, by the table's name and the row's key.
    limit_steps: the most updates of a training, which make it another one.
    Raises InputError for a row that the suite cannot train, naming it, and for two tables of one name.
    """
    names = [table.name for table in tables]
    if len(set(names)) < len(names):
        raise InputError(f"two of the tables {', '.join(names)} have one name; give each a name of its own.")
    if seeds is not None:
        require_seeds("--seeds", seeds)
    wanted: dict[tuple[TrainingSpec | Model, str], Demand] = {}
    asked = {
        (table.name, row.key): seeds_by_row.get((table.name, row.key), seeds or table.seeds)
        for table in tables
        for row in table.rows
    }
    for seed in dict.fromkeys(seed for of_row in asked.values() for seed in of_row):
        for table in tables:
            rows = [row for row in table.rows if seed in asked[table.name, row.key]]
            _add(wanted, table, rows, suite, seed, limit_steps)
    return list(wanted.values())


def _add(
    wanted: dict[tuple[TrainingSpec | Model, str], Demand],
    table: Table,
    rows: Sequence[Row],
    suite: Suite,
    seed: int,
    limit_steps: int | None,
) -> None:
    for row in rows:
        if row.run is None:
            continue
        try:
            _require_rate(row, suite)
            spec = subject_of(row.run, suite, seed, limit_steps=limit_steps)
            model = spec.model if isinstance(spec, TrainingSpec) else spec
            preset = row.run.preset(suite)
            protocols = [row.run.protocol(suite, model, column.protocol) for column in table.columns]
            benchmarks = {name: suite.benchmark(name) for name in table.benchmarks}
        except (InputError, ModelError) as error:
            raise InputError(f"{table.name}, row {row.key!r}: {error}") from None
        demand = wanted.setdefault((spec, preset), Demand(spec, preset))
        # One evaluation of a benchmark knows all that its columns ask for.
        needs: dict[tuple[str, str, Protocol], set[Kind]] = {}
        for column, protocol in zip(table.columns, protocols, strict=True):
            needs.setdefault((column.benchmark, column.split, protocol), set()).update(SCORES[column.score].needs)
        for column, protocol in zip(table.columns, protocols, strict=True):
            asked = counting(protocol, needs[column.benchmark, column.split, protocol])
            cells = demand.evaluations.setdefault((benchmarks[column.benchmark], column.split, asked), [])
            cells.append(CellName(table.name, row.key, column.title, seed))


def _require_rate(row: Row, suite: Suite) -> None:
    if (name := awaits(row)) is not None:
        raise InputError(
            f"its learning rate is not chosen yet: `ovlab run {name} --suite {suite.name}` comes first, with "
            f"the same store and limits."
        )
