"""The expression of the heartbeat's age, evaluated by promtool on made-up histories."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dashboard_panels import HEARTBEAT_AGE
from ovlab.ray.gauges import ENDED, LAST_SIGN

PROMTOOL = shutil.which("promtool")

# Every 10 s a value; a sign of life is its own time. After a minute the gauge is exported no longer.
SIGNS = "0+10x6"
HISTORIES = {
    "silent": {LAST_SIGN: SIGNS},
    "ended": {LAST_SIGN: SIGNS, ENDED: "_x5 61"},
    "begun-again": {LAST_SIGN: SIGNS, ENDED: "_x2 25"},
    "at-work": {LAST_SIGN: "0+10x30"},
    "on-a-node-that-is-gone": {LAST_SIGN: SIGNS},
}


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool on this machine (Debian: apt install prometheus)")
def test_heartbeat_age_is_that_of_runs_that_should_be_at_work(tmp_path: Path) -> None:
    node = {run: "gone" if "gone" in run else "there" for run in HISTORIES}
    series = [
        {"series": f'{metric.series}{{run="{run}", instance="{node[run]}"}}', "values": values}
        for run, history in HISTORIES.items()
        for metric, values in history.items()
    ]
    series += [
        {"series": 'up{instance="there"}', "values": "1x60"},
        {"series": 'up{instance="gone"}', "values": "1x6 0x54"},
    ]
    ages = {"silent": 240, "begun-again": 240, "at-work": 0}
    expected = [{"labels": f'{{run="{run}"}}', "value": age} for run, age in ages.items()]
    asked = {"expr": HEARTBEAT_AGE.expression.replace("$run", ".*"), "eval_time": "5m", "exp_samples": expected}
    tests = {"tests": [{"interval": "10s", "input_series": series, "promql_expr_test": [asked]}]}
    (tmp_path / "test.yml").write_text(json.dumps(tests))  # JSON is YAML

    result = subprocess.run(
        [str(PROMTOOL), "test", "rules", str(tmp_path / "test.yml")], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr
