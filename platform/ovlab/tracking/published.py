"""How far a server was told of a run: journals/<run>/published-<server>.json, a line that tells whether it was changed.

One that is damaged, or that does not fit the journal, says that nothing was told: to tell it again changes nothing.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from ovlab.specs.wording import one_line, shown
from ovlab.store.journal import RunLog, Told, journal_sizes, journaled_runs, read_journal
from ovlab.store.journal_lines import seal, unseal
from ovlab.store.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """`id` is the server's name for the run, in its `experiment`; `status` that which it was told. Told was each file
    up to `positions`, when it had so many bytes as `sizes` says."""

    id: str = ""
    experiment: str = ""
    status: str = ""
    positions: Mapping[str, int] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)

    def is_behind(self, sizes: Mapping[str, int]) -> bool:
        """Whether there may be something to tell, of files of these sizes."""
        fits = all(0 <= position <= sizes.get(name, -1) for name, position in self.positions.items())
        return dict(self.sizes) != dict(sizes) or self.status in ("", "RUNNING") or not fits

    def fits(self, log: RunLog) -> bool:
        """Whether each position is behind an event."""
        ends = {(told.file, told.end) for told in log.events}
        return all(position == 0 or (name, position) in ends for name, position in self.positions.items())

    def news(self, log: RunLog) -> list[Told]:
        """The events of which the server was not told: all of them, where a position is not behind an event."""
        positions = self.positions if self.fits(log) else {}
        return [told for told in log.events if told.end > positions.get(told.file, 0)]


_ADAPTER = TypeAdapter(Published)


def read_published(store: Store, runs: Iterable[str], uri: str) -> dict[str, Published]:
    """By run; what is damaged is named in a warning."""
    places = {_file(run, uri): run for run in runs}
    found = dict.fromkeys(places.values(), Published())
    for name, content in store.folder.read_existing(places).items():
        try:
            found[places[name]] = _ADAPTER.validate_json(unseal(content))
        except ValueError as error:
            place = store.folder.locate(name)
            _log.warning("%s: damaged, everything is told again (%s).", place, one_line(error)[:100])
    return found


def write_published(store: Store, run: str, uri: str, published: Published) -> None:
    store.folder.write(_file(run, uri), seal(_ADAPTER.dump_json(published)))


def num_waiting(store: Store, uri: str) -> int:
    """The events of all runs of which the server at `uri` was not told."""
    runs = journaled_runs(store)
    published = read_published(store, runs, uri)
    behind = [run for run in runs if published[run].is_behind(journal_sizes(store, run))]
    return sum(len(published[run].news(read_journal(store, run))) for run in behind)


def _file(run: str, uri: str) -> str:
    # Another password is no other server.
    server = hashlib.sha256(shown(uri).encode()).hexdigest()[:12]
    return f"journals/{run}/published-{server}.json"
