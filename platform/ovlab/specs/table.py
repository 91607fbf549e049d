"""A table as data: rows, columns, which training stands behind a row, what the paper prints and what it claims.

A table is declared once, in the paper's terms, and holds for every suite: a row says in which values its training
differs from the suite's.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from logoseg.token_grid import require_views
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import Protocol
from ovlab.specs.method import Model, unresolved
from ovlab.specs.overrides import apply_overrides
from ovlab.specs.plain_name import require_plain
from ovlab.specs.scores import SCORES
from ovlab.specs.suite import EVALUATION_SPLIT, TRAIN_SPLIT, Suite, place_of
from ovlab.specs.training import TrainingSpec, require_trainable

ProtocolChoice = Literal["common", "own"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """`benchmark` as the suites call it, or a data set of one's own: a folder or prepared shards by their place, a path
    or address with a "/", or NAME=URI where it is called otherwise than its place. split: the one that is scored.
    `score` is one of SCORES. protocol: that of the backbone, common to all methods on it, or of each method its own, as
    it was published. Published values are found by `title`."""

    title: str
    benchmark: str
    split: str = EVALUATION_SPLIT
    score: str = "miou"
    protocol: ProtocolChoice = "common"


SIX_BENCHMARKS = tuple(
    Column(title=title, benchmark=title.lower()) for title in ("A-847", "PC-459", "A-150", "PC-59", "PAS-20", "PAS-20b")
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What somebody printed: a value in percent for each column title, None for a dash. `details` are the other
    entries of the row, `source` says where it stands."""

    source: str
    values: Mapping[str, float | None]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Variation:
    """The suite's training of one backbone on one training set, with some values changed.

    method: another one than LoGoSeg, by its name or as FILE.py:CLASS. model: fields of ModelConfig by dotted name, as
    after `--set model.`, or options of the method; schedule: of ScheduleSpec. scaled: fields of ScheduleSpec as so many
    times the suite's. region_grid: regions a side as the paper counts them; the suite says what stands for it.
    rate_by: the table whose rows of this method and backbone are trained at several rates; the rate of the best one is
    taken, see `ovlab.sweeps.rates`.
    """

    backbone: str = "vit-b"
    training_set: str = "coco-stuff"
    split: str = TRAIN_SPLIT
    method: str | None = None
    region_grid: int | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    schedule: Mapping[str, Any] = field(default_factory=dict)
    scaled: Mapping[str, float] = field(default_factory=dict)
    rate_by: str | None = None

    def __post_init__(self) -> None:
        for name in ("model", "schedule"):
            try:
                json.dumps(dict(getattr(self, name)))
            except (TypeError, ValueError):
                raise InputError(
                    f"Variation.{name} gives values by the names of fields, as JSON knows them; "
                    f"got {getattr(self, name)!r}."
                ) from None

    def preset(self, suite: Suite) -> str:
        """The preset it starts from, which also says which CLIP weights."""
        suite.model(self.backbone)
        return suite.backbones[self.backbone].preset

    def training(self, suite: Suite, seed: int, *, limit_steps: int | None = None) -> TrainingSpec:
        """The spec of one run. More updates than `limit_steps` are cut off, which makes it another run. That of another
        method is not resolved; see `ovlab.methods.registry.training_of`.

        Raises InputError for a name or a value that there is not, and ModelError for values that do not fit together.
        """
        if self.method is not None:
            return self._training_of_method(self.method, suite, seed, limit_steps)
        model = dict(self.model)
        if self.region_grid is not None:
            model["region_grid"] = suite.region_grid(self.region_grid)
        changes = {f"model.{name}": value for name, value in model.items()}
        spec = _changed(self._training(suite, seed), {**changes, **self._schedule_changes(suite)})
        require_trainable(spec)
        return _limited(spec, limit_steps)

    def _training_of_method(self, method: str, suite: Suite, seed: int, limit_steps: int | None) -> TrainingSpec:
        if self.region_grid is not None:
            raise InputError(f"region_grid is LoGoSeg's; give the options of {method} in `model`.")
        model = unresolved(method, suite.model(self.backbone), self.model)
        spec = replace(self._training(suite, seed), model=model)
        return _limited(_changed(spec, self._schedule_changes(suite)), limit_steps)

    def _training(self, suite: Suite, seed: int) -> TrainingSpec:
        return replace(suite.training(self.backbone, self.training_set, seed=seed), split=self.split)

    def _schedule_changes(self, suite: Suite) -> dict[str, Any]:
        changes = {f"schedule.{name}": value for name, value in self.schedule.items()}
        for name, factor in self.scaled.items():
            value = getattr(suite.schedule, name) * factor
            changes[f"schedule.{name}"] = (
                round(value) if isinstance(getattr(suite.schedule, name), int) else float(f"{value:.6g}")
            )
        return changes

    def protocol(self, suite: Suite, model: Model, choice: ProtocolChoice = "common") -> Protocol:
        """How `model`, trained by this variation, is evaluated: as its backbone is, or as its method was published,
        with the model's own prompts.

        Raises ModelError for a model that has not enough tokens for its regions there.
        """
        protocol = suite.protocol(self.backbone, own=self.method if choice == "own" else None)
        require_views(model, protocol.inference)
        return replace(protocol, prompt_templates=model.prompt_templates)


# The method that is CLIP and nothing behind it.
CLIP = "clip"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alone:
    """A method that needs no training, on the CLIP of one of the suite's backbones: "clip", which is CLIP itself, the
    name of another one, or FILE.py:CLASS. options: of the method."""

    method: str = CLIP
    backbone: str = "vit-b"
    options: Mapping[str, Any] = field(default_factory=dict)

    def preset(self, suite: Suite) -> str:
        """The preset that says which CLIP."""
        suite.model(self.backbone)
        return suite.backbones[self.backbone].preset

    def model(self, suite: Suite) -> Model:
        """What is to be built; that of another method than CLIP's is not resolved."""
        preset = suite.model(self.backbone)
        return preset if self.method == CLIP else unresolved(self.method, preset, self.options)

    def protocol(self, suite: Suite, model: Model, choice: ProtocolChoice = "common") -> Protocol:
        """How it is evaluated: as its backbone is, or as its method was published, with the model's own prompts."""
        protocol = suite.protocol(self.backbone, own=self.method if choice == "own" else None)
        return replace(protocol, prompt_templates=model.prompt_templates)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """`key` is what claims and notes call it. A row has published values, a subject of ours, or both.

    published: the values, or "SECTION/KEY" of published.json beside the table's file. group: rows of one group are
    compared with one another. details: entries of the table's detail columns, where the published row has none.
    """

    key: str
    label: str
    group: str = ""
    published: Published | str | None = None
    run: Variation | Alone | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def quoted(self) -> Published | None:
        """The published values. Raises InputError for a reference that `load_table` has not replaced."""
        if isinstance(self.published, str):
            raise InputError(f"row {self.key!r}: {self.published!r} is a reference; read the table with load_table.")
        return self.published

    def detail(self, name: str) -> Any:
        """The entry of a detail column; None where the row has none."""
        if name in self.details:
            return self.details[name]
        return None if self.quoted is None else self.quoted.details.get(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """Row `better` is to be above each row of `worse`, in each of `columns` (titles; empty: all).

    text: the claim in words. where: the place in the paper.
    """

    text: str
    where: str
    better: str
    worse: tuple[str, ...]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A remark on some cells. No rows: on the columns; no columns: on the rows; neither: on the table."""

    text: str
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """details: entries of a row that stand before its scores, by the title of their column: names in
    `Published.details` and `Row.details`. seeds: of every run of the table. margin: the difference in points below
    which nobody cares. file: by which `load_table` found it. Raises InputError for a name that is not plain, and for
    rows, columns, claims and notes that do not fit together."""

    name: str
    title: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...] = SIX_BENCHMARKS
    details: Mapping[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    claims: tuple[Claim, ...] = ()
    notes: tuple[Note, ...] = ()
    margin: float = 0.5
    file: str = ""

    def __post_init__(self) -> None:
        require_plain("Table.name", self.name)
        keys, titles = tuple(row.key for row in self.rows), tuple(column.title for column in self.columns)
        _require_unique(f"{self.name}: rows", keys)
        _require_unique(f"{self.name}: columns", titles)
        require_seeds(self.name, self.seeds)
        if not 0 < self.margin < 100:
            raise InputError(f"{self.name}: the margin is a difference in points, above 0; got {self.margin}.")
        for column in self.columns:
            place = f"{self.name}, column {column.title!r}"
            _require_known(f"{place}: no such score", (column.score,), tuple(SCORES), "Scores")
        for row in self.rows:
            if row.published is None and row.run is None:
                raise InputError(f"{self.name}, row {row.key!r}: has neither published values nor a run.")
        for claim in self.claims:
            place = f"{self.name}, claim {claim.text!r}"
            if not claim.worse:
                raise InputError(f"{place}: names no row that {claim.better!r} is above.")
            _require_known(f"{place}: no such row", (claim.better, *claim.worse), keys, "Rows")
            _require_known(f"{place}: no such column", claim.columns, titles, "Columns")
        for note in self.notes:
            _require_known(f"{self.name}, note {note.text!r}: no such row", note.rows, keys, "Rows")
            _require_known(f"{self.name}, note {note.text!r}: no such column", note.columns, titles, "Columns")

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Those of the columns, each once, in their order."""
        return tuple(dict.fromkeys(column.benchmark for column in self.columns))

    def notes_of(self, row: str, column: str) -> tuple[Note, ...]:
        """The notes on one cell that name its row and its column."""
        return tuple(note for note in self.notes if row in note.rows and column in note.columns)


def places_of(tables: Iterable[Table]) -> dict[str, str]:
    """Where the data sets lie that no suite knows, by name. Raises InputError for two places of one name."""
    places: dict[str, str] = {}
    for table in tables:
        for column in table.columns:
            place = place_of(column.benchmark)
            if place is not None and places.setdefault(place.name, place.uri) != place.uri:
                raise InputError(
                    f"{table.name}, column {column.title!r}: {place.name} lies at {place.uri} here and at "
                    f"{places[place.name]} elsewhere. Rename one of the two."
                )
    return places


def require_seeds(place: str, seeds: Sequence[int]) -> None:
    """Raise InputError for no seed, and for one that is there twice."""
    if not seeds:
        raise InputError(f"{place}: seeds are empty; give at least one.")
    _require_unique(f"{place}: seeds", seeds)


def _changed(spec: TrainingSpec, changes: Mapping[str, Any]) -> TrainingSpec:
    return apply_overrides(spec, [f"{name}={json.dumps(value)}" for name, value in changes.items()])


def _limited(spec: TrainingSpec, limit_steps: int | None) -> TrainingSpec:
    if limit_steps is None or limit_steps >= spec.schedule.steps:
        return spec
    if limit_steps < 1:
        raise InputError(f"--limit-steps must be at least 1, got {limit_steps}.")
    warmup_steps = min(spec.schedule.warmup_steps, limit_steps - 1)
    return replace(spec, schedule=replace(spec.schedule, steps=limit_steps, warmup_steps=warmup_steps))


def _require_unique(what: str, names: Sequence[object]) -> None:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise InputError(f"{what}: {twice[0]!r} is there twice.")


def _require_known(what: str, names: Iterable[str], known: Sequence[str], kind: str) -> None:
    for name in names:
        if name not in known:
            raise InputError(f"{what} {name!r}. {kind} are {', '.join(known)}.")


class CellName(NamedTuple):
    """A place in a table, by the table's name, the row's key and the column's title, for one seed."""

    table: str
    row: str
    column: str
    seed: int
