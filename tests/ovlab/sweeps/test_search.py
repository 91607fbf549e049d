"""ovlab.sweeps.search: tables with published values are never searched, and what was given up stays so."""

from pathlib import Path

import pytest

from micro_table import TABLE
from ovlab.cli import main
from ovlab.runs.clip_files import RANDOM
from ovlab.runs.sources import Sources
from ovlab.specs.events import Ended, RunHeader
from ovlab.specs.suite import SHAPES
from ovlab.store.journal import open_journal
from ovlab.store.store import open_store
from ovlab.sweeps.planner import make_plan
from ovlab.sweeps.search import EARLY, require_searchable, without_given_up


def test_search_in_a_table_of_the_paper_is_a_wrong_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["run", "table4", "--search", "asha"]) == 2

    assert "table4 has published values or claims" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    require_searchable([TABLE])


def test_search_again_leaves_out_what_was_given_up_and_continues_what_was_interrupted(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    plan = make_plan([TABLE], SHAPES, store, Sources(clip_files={"shapes-vit-s": RANDOM}), limit_steps=2)
    for run, cause in zip(plan.runs, (f"{EARLY} at step 2", "stopped after 1 steps", None), strict=True):
        fingerprint = run.subject.fingerprint
        if cause is not None:
            with open_journal(store, RunHeader(run=str(fingerprint), name="searched")) as journal:
                journal.write(Ended(status="KILLED", reason=cause))

    assert without_given_up(plan, store).runs == plan.runs[1:]
