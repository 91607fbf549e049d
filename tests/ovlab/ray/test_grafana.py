"""The files in dashboards/ are those that the panels make, and every panel reads metrics that are declared."""

import argparse
import json
import re
from pathlib import Path

import pytest

from ovlab.commands import dashboards as command
from ovlab.ray.gauges import METRICS
from ovlab.ray.grafana import files, grafana_json, write_files
from ovlab.ray.panels import DASHBOARDS, Dashboard

COMMITTED = Path(__file__).parents[3] / "dashboards"
ids = {"ids": lambda dashboard: dashboard.name}


@pytest.mark.parametrize("name", files())
def test_committed_file_is_the_one_that_is_made(name: str) -> None:
    assert (COMMITTED / name).read_text() == files()[name], "run: ovlab dashboards"


def test_no_dashboard_is_committed_that_nothing_makes() -> None:
    there = {f"grafana/{path.name}" for path in (COMMITTED / "grafana").iterdir()}

    assert there == {name for name in files() if name.startswith("grafana/")}


def test_command_writes_and_names_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.execute(argparse.Namespace(out=tmp_path / "new"))

    named = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert named == write_files(tmp_path / "new")
    assert all(path.read_text() for path in named)


@pytest.mark.parametrize("dashboard", DASHBOARDS, **ids)
def test_panels_read_only_declared_metrics_with_their_labels(dashboard: Dashboard) -> None:
    declared = {metric.series: metric.labels for metric in METRICS}
    for panel in dashboard.panels:
        read = re.findall(r"ray_ovlab_\w+", panel.expression)
        assert set(read) <= declared.keys()
        grouped = re.findall(r"by \(([\w, ]+)\)", panel.expression)
        for series in read:
            assert all(set(labels.split(", ")) <= set(declared[series]) for labels in grouped)
        named = set(re.findall(r"{{(\w+)}}", panel.legend))
        assert named <= {label for labels in grouped for label in labels.split(", ")}


def test_every_declared_metric_is_drawn() -> None:
    expressions = " ".join(panel.expression for dashboard in DASHBOARDS for panel in dashboard.panels)

    for metric in METRICS:
        assert re.search(rf"\b{metric.series}\b", expressions), metric.name


@pytest.mark.parametrize("dashboard", DASHBOARDS, **ids)
def test_panels_lie_side_by_side_on_a_grid_of_24_columns(dashboard: Dashboard) -> None:
    covered: set[tuple[int, int]] = set()
    for panel in grafana_json(dashboard)["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not covered & cells
        assert max(x for x, _ in cells) < 24
        covered |= cells


def test_dashboards_can_lie_in_one_grafana() -> None:
    made = [json.loads(content) for name, content in files().items() if name.endswith(".json")]

    assert len({dashboard["uid"] for dashboard in made}) == len(made)
    for dashboard in made:
        numbers = [panel["id"] for panel in dashboard["panels"]]
        assert numbers == sorted(set(numbers))


def test_names_of_metrics_are_those_that_prometheus_keeps() -> None:
    # Of names with other characters, two may come out as one, and Ray drops a metric with a bad name.
    names = [metric.name for metric in METRICS]

    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in names)
    assert len(set(names)) == len(names)
