from pathlib import Path

import pytest

import micro_sweep as micro


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of the micro sweep, one after the other in one process without Ray."""
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    driver = micro.start(folder, "--runs-at-once", "1", "--no-tracking")
    assert driver.wait() == micro.CODE, micro.errors_of(folder)
    return folder
