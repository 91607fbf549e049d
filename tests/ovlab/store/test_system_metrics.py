"""How busy the machine is."""

import os

import pytest

from ovlab.store import system_metrics
from ovlab.store.system_metrics import SystemMetrics


def test_sample_has_the_names_of_mlflows_page_and_possible_values() -> None:
    sample = SystemMetrics()()

    assert {
        "system/cpu_utilization_percentage",
        "system/system_memory_usage_megabytes",
        "system/disk_usage_percentage",
        "system/network_receive_megabytes",
    } <= sample.keys()
    for name, value in sample.items():
        assert value >= 0
        if name.endswith("_percentage"):
            assert value <= 100
    megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
    assert 0 < sample["system/system_memory_usage_megabytes"] < megabytes


def test_node_tells_machines_apart() -> None:
    assert all(name.startswith("system/node-1/") for name in SystemMetrics("node-1")())


def test_measurement_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = SystemMetrics()

    def fail(_path: str) -> None:
        raise OSError("no such disk")

    monkeypatch.setattr(system_metrics.psutil, "disk_usage", fail)

    names = sample().keys()
    assert "system/cpu_utilization_percentage" in names
    assert "system/disk_usage_percentage" not in names
