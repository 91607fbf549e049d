"""The panels of the dashboards in dashboards/grafana, as Grafana reads them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parents[2] / "dashboards"
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "grafana").glob("*.json"))
}


class Panel(NamedTuple):
    """`alarm`: the value from which on it is red."""

    dashboard: str
    title: str
    expression: str
    legend: str
    unit: str
    alarm: float | None

    @property
    def name(self) -> str:
        return f"{self.dashboard}: {self.title}"


def _panel(dashboard: str, shown: dict[str, Any]) -> Panel:
    (target,), defaults = shown["targets"], shown["fieldConfig"]["defaults"]
    alarms = [step["value"] for step in defaults["thresholds"]["steps"] if step["color"] == "red"]
    return Panel(
        dashboard=dashboard,
        title=shown["title"],
        expression=target["expr"],
        legend=target["legendFormat"],
        unit=defaults["unit"],
        alarm=alarms[0] if alarms else None,
    )


PANELS = [_panel(name, shown) for name, dashboard in DASHBOARDS.items() for shown in dashboard["panels"]]
HEARTBEAT_AGE = next(panel for panel in PANELS if panel.title == "Heartbeat age")
