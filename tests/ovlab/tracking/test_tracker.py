"""The interface, and who a run is."""

from pathlib import Path

import pytest

from ovlab.specs.errors import InputError
from ovlab.tracking.spool import SpoolTracker
from ovlab.tracking.tracker import NullTracker, RunHeader, Tracker


def test_trackers_keep_to_the_interface(tmp_path: Path) -> None:
    assert isinstance(NullTracker(), Tracker)
    assert isinstance(SpoolTracker(tmp_path), Tracker)


@pytest.mark.parametrize("run", ["", "../elsewhere", "a/b", ".hidden", "two words", "x" * 201, "it's"])
def test_header_with_a_name_that_is_no_file_name_is_refused(run: str) -> None:
    with pytest.raises(InputError, match=r"RunHeader\.run"):
        RunHeader(run=run, name="lambda 0.5")
    with pytest.raises(InputError, match=r"RunHeader\.parent"):
        RunHeader(run="a", name="lambda 0.5", parent=run)
