"""The files of Prometheus and Grafana, made from the declared panels: `ovlab dashboards` writes them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ovlab.files.whole_file import write_text
from ovlab.ray.gauges import LAST_SIGN
from ovlab.ray.panels import DASHBOARDS, Dashboard, Panel

# That of Grafana 11.6 and 12; later ones convert it when they load it.
SCHEMA_VERSION = 41
# As in Ray's own configuration: below the 20 s for which Ray exports a gauge.
SCRAPE_SECONDS = 10
# Where the Ray that was started last on a machine lists the ports to scrape.
SERVICE_DISCOVERY = "/tmp/ray/prom_metrics_service_discovery.json"

# Grafana's grid has 24 columns.
_PANEL_WIDTH, _PANEL_HEIGHT = 12, 8
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def files() -> dict[str, str]:
    """The content of every file, by its path in the folder dashboards/."""
    made = {"prometheus.yml": prometheus_yml()}
    for dashboard in DASHBOARDS:
        made[f"grafana/{dashboard.name}.json"] = json.dumps(grafana_json(dashboard), indent=2) + "\n"
    return made


def write_files(folder: Path) -> list[Path]:
    """Write them all below `folder`; returns their paths."""
    paths = []
    for name, content in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, content)
        paths.append(path)
    return paths


def prometheus_yml() -> str:
    return f"""\
# Made by `ovlab dashboards`.
global:
  scrape_interval: {SCRAPE_SECONDS}s
  evaluation_interval: {SCRAPE_SECONDS}s

scrape_configs:
  # Ray keeps the list of the ports of its nodes in this file on the head node.
  - job_name: ray
    file_sd_configs:
      - files: ["{SERVICE_DISCOVERY}"]
"""


def grafana_json(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard in Grafana's classic model."""
    return {
        "uid": f"ovlab-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["ovlab"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,  # the crosshair of one panel is shown in all
        "refresh": f"{SCRAPE_SECONDS}s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [_link_to_the_others()],
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": _panels(dashboard.panels),
    }


def _link_to_the_others() -> dict[str, Any]:
    return {"type": "dashboards", "title": "ovlab", "tags": ["ovlab"], "keepTime": True, "includeVars": True}


def _variables() -> list[dict[str, Any]]:
    query = f"label_values({LAST_SIGN.series}, run)"
    datasource = {"name": "datasource", "type": "datasource", "label": "Prometheus", "query": "prometheus"}
    run = {
        "name": "run",
        "type": "query",
        "label": "Run",
        "description": "The first digits of the fingerprint of a training.",
        "datasource": _DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": "run"},
        "refresh": 2,  # when the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }
    return [datasource, run]


def _panels(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    a_row = 24 // _PANEL_WIDTH
    return [
        {
            "id": number + 1,
            "gridPos": {
                "x": number % a_row * _PANEL_WIDTH,
                "y": number // a_row * _PANEL_HEIGHT,
                "w": _PANEL_WIDTH,
                "h": _PANEL_HEIGHT,
            },
            **_panel(panel),
        }
        for number, panel in enumerate(panels)
    ]


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "targets": [
            {
                "refId": "A",
                "datasource": _DATASOURCE,
                "expr": panel.expression,
                "legendFormat": panel.legend,
                **_QUERY[panel.kind],
            }
        ],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
    }


def _field(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.alarm is not None:
        steps.append({"color": "red", "value": panel.alarm})
    shown = {"thresholdsStyle": {"mode": "off" if panel.alarm is None else "line"}}
    field = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": shown if panel.kind == "timeseries" else {},
    }
    return {**field, "max": 1} if panel.unit == "percentunit" else field


_QUERY: dict[str, dict[str, Any]] = {
    "timeseries": {"range": True, "instant": False},
    "bargauge": {"range": False, "instant": True},
}
_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "mean"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "bargauge": {
        "orientation": "horizontal",
        "displayMode": "basic",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
}
