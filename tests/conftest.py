"""How all tests run: what every Ray that they start is told, and which of them may run beside one another."""

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Each is read when ray is imported or started. On a machine at work, the dashboard needs longer than Ray's own 60 s.
os.environ.setdefault("RAY_DASHBOARD_STARTUP_TIMEOUT_S", "240")
# Ray lets its workers wait for whatever else runs on the machine (nice 15): beside other work, they would stand still.
os.environ.setdefault("RAY_worker_niceness", "0")
# Otherwise the first Ray that is started writes one into the home folder.
os.environ.setdefault("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)

_RAY_FOLDERS = ("tests/chaos/", "tests/cluster/")


class RayTogether(LoadScopeScheduling):
    """One process runs all tests that start Ray, which bears no other Ray on its machine; the others share the rest, a
    file at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return "ray" if nodeid.startswith(_RAY_FOLDERS) else nodeid.split("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> RayTogether:
    return RayTogether(config, log)
