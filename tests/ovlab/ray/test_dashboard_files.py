"""The dashboards read metrics that are declared, as Ray exports them, and fit into one Grafana."""

import argparse
import re
from pathlib import Path
from typing import Any

import pytest

from dashboard_panels import DASHBOARDS, FOLDER, HEARTBEAT_AGE, PANELS, Panel
from ovlab.commands import dashboards as command
from ovlab.ray import dashboard_files
from ovlab.ray.gauges import METRICS
from ovlab.specs.errors import InputError
from ovlab.store.journal import STALE_SECONDS

each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.name)
each_dashboard = pytest.mark.parametrize("name", DASHBOARDS)


def test_command_writes_and_names_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.execute(argparse.Namespace(out=tmp_path / "new"))

    named = [Path(line).relative_to(tmp_path / "new") for line in capsys.readouterr().out.splitlines()]
    assert {str(path) for path in named} == {"prometheus.yml", *(f"grafana/{name}.json" for name in DASHBOARDS)}
    for path in named:
        assert (tmp_path / "new" / path).read_text() == (FOLDER / path).read_text()


def test_files_that_are_nowhere_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_files, "_SOURCES", tmp_path)

    with pytest.raises(InputError, match="install logoseg again"):
        dashboard_files.write_files(tmp_path / "new")


@each_panel
def test_panel_reads_only_declared_metrics_with_their_labels(panel: Panel) -> None:
    declared = {metric.series: metric.labels for metric in METRICS}
    read = re.findall(r"ray_ovlab_\w+", panel.expression)
    assert set(read) <= declared.keys()
    grouped = re.findall(r"by \(([\w, ]+)\)", panel.expression)
    for series in read:
        assert all(set(labels.split(", ")) <= set(declared[series]) for labels in grouped)
    named = set(re.findall(r"{{(\w+)}}", panel.legend))
    assert named <= {label for labels in grouped for label in labels.split(", ")}


@each_panel
def test_panel_reads_the_chosen_runs_and_a_gauge_by_its_last_value(panel: Panel) -> None:
    # Ray exports a gauge when it was set, and drops it two export intervals later; a counter stays
    gauges = {metric.series for metric in METRICS if metric.kind == "gauge"}
    for series in re.findall(r"ray_ovlab_\w+", panel.expression):
        selected = f'{series}{{run=~"$run"}}'
        assert panel.expression.count(series) == panel.expression.count(selected)
        if series in gauges:
            assert panel.expression.count(series) == panel.expression.count(f"last_over_time({selected}[")


def test_every_declared_metric_is_drawn() -> None:
    expressions = " ".join(panel.expression for panel in PANELS)

    for metric in METRICS:
        assert re.search(rf"\b{metric.series}\b", expressions), metric.name


def test_heartbeat_is_red_when_the_attempt_is_taken_for_dead() -> None:
    assert HEARTBEAT_AGE.alarm == STALE_SECONDS


@each_dashboard
def test_alarm_is_drawn_as_a_line_and_a_share_ends_at_one(name: str) -> None:
    for panel, shown in zip([p for p in PANELS if p.dashboard == name], DASHBOARDS[name]["panels"], strict=True):
        field = shown["fieldConfig"]["defaults"]
        if shown["type"] == "timeseries":
            mode = "off" if panel.alarm is None else "line"
            assert field["custom"]["thresholdsStyle"] == {"mode": mode}, panel.name
        assert field.get("max") == (1 if panel.unit == "percentunit" else None), panel.name


@each_dashboard
def test_panels_lie_side_by_side_on_a_grid_of_24_columns(name: str) -> None:
    covered: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not covered & cells
        assert max(x for x, _ in cells) < 24
        covered |= cells


def test_dashboards_can_lie_in_one_grafana() -> None:
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)
    for dashboard in DASHBOARDS.values():
        numbers = [panel["id"] for panel in dashboard["panels"]]
        assert numbers == sorted(set(numbers))


def test_dashboards_differ_in_name_and_panels_alone() -> None:
    def common(dashboard: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in dashboard.items() if key not in ("uid", "title", "panels")}

    first, *others = map(common, DASHBOARDS.values())
    assert all(other == first for other in others)
