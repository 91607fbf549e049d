"""A live run, a real Prometheus that scrapes it, and the expression of every panel of the dashboards."""

import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

import live_run
from dashboard_panels import FOLDER, HEARTBEAT_AGE, PANELS, Panel
from ovlab.ray.gauges import METRICS

pytestmark = pytest.mark.long

# What micro_run.py trains and counts.
NUM_STEPS, NUM_CHECKPOINTS, NUM_IMAGES, NUM_SHARDS = 4, 2, 5, 3
PATIENCE = 120.0
# Between two exports of Ray, and between two scrapes: short, but a busy machine takes a second for one.
SECONDS = 2


class Live(NamedTuple):
    """A run that has worked and waits. `kinds`: of each series that it exported meanwhile, the type."""

    kinds: dict[str, str]
    url: str | None
    end: Callable[[], None]

    def ask(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """The samples of `expression`, with Grafana's variables filled in: all runs, and a window over all the work."""
        if self.url is None:
            pytest.skip("there is no prometheus on this machine (Debian: apt install prometheus)")
        filled = expression.replace("$run", ".*").replace("$__rate_interval", "5m")
        query = {"query": filled} if at is None else {"query": filled, "time": at}
        with urlopen(f"{self.url}/api/v1/query?{urlencode(query)}") as answer:
            return json.load(answer)["data"]["result"]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    environment = {
        **os.environ,
        "OVLAB_CACHE": str(folder / "cache"),
        "RAY_metrics_report_interval_ms": str(1000 * SECONDS),
    }
    environment.pop("RAY_ADDRESS", None)
    with subprocess.Popen(
        [sys.executable, live_run.__file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as program:
        messages: list[str] = []
        threading.Thread(target=lambda: messages.extend(program.stderr), daemon=True).start()

        def hear() -> str:
            line = program.stdout.readline().strip()
            assert line, "".join(messages)
            return line

        def go_on() -> None:
            program.stdin.write("\n")
            program.stdin.flush()

        def end() -> None:
            go_on()
            assert hear() == "ended"

        places = json.loads(hear())
        with prometheus(folder, places["service_discovery"]) as url:
            go_on()
            heard: list[str] = []
            listener = threading.Thread(target=lambda: heard.append(hear()))
            listener.start()
            kinds = {}
            while listener.is_alive():
                kinds |= kinds_at(places["exposition"])
                listener.join(timeout=0.5)
            assert heard == ["worked"], "".join(messages)
            yield Live(kinds, url, end)
        program.stdin.close()
        program.wait(timeout=PATIENCE)


def kinds_at(exposition: str) -> dict[str, str]:
    with urlopen(exposition) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {sample.name: family.type for family in families for sample in family.samples}


@contextmanager
def prometheus(folder: Path, service_discovery: str) -> Iterator[str | None]:
    """The address of a Prometheus with the configuration of dashboards/, but for the session and a shorter interval."""
    binary = shutil.which("prometheus")
    if binary is None:
        yield None
        return
    written = (FOLDER / "prometheus.yml").read_text()
    config = written.replace("/tmp/ray/prom_metrics_service_discovery.json", service_discovery)
    assert config != written
    config = re.sub(r"interval: \w+", f"interval: {SECONDS}s", config)
    (folder / "prometheus.yml").write_text(config)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with (
        (folder / "prometheus.log").open("w") as log,
        subprocess.Popen(
            [
                binary,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        ) as server,
    ):
        try:
            wait_until(lambda: is_ready(f"http://{address}"), lambda: (folder / "prometheus.log").read_text())
            yield f"http://{address}"
        finally:
            server.terminate()


def is_ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/-/ready"):
            return True
    except URLError:
        return False


def wait_until(condition: Callable[[], bool], complaint: Callable[[], str]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, complaint()
        time.sleep(0.5)


def test_every_declared_metric_is_exported_with_its_name_and_kind(live: Live) -> None:
    assert {metric.series: live.kinds.get(metric.series) for metric in METRICS} == {
        metric.series: metric.kind for metric in METRICS
    }


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.name)
def test_panel_has_values(live: Live, panel: Panel) -> None:
    wait_until(lambda: live.ask(panel.expression) != [], lambda: f"empty: {panel.expression}")

    samples = live.ask(panel.expression)
    values = [float(sample["value"][1]) for sample in samples]
    assert all(math.isfinite(value) and value >= 0 for value in values)
    if panel.unit == "suffix: images/s":
        assert all(value > 0 for value in values)
    # Each label of the legend has a value in each sample.
    for label in re.findall(r"{{(\w+)}}", panel.legend):
        assert all(sample["metric"][label] for sample in samples)


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ("ray_ovlab_training_steps_total", {"": NUM_STEPS}),
        ("ray_ovlab_training_checkpoints_total", {"": NUM_CHECKPOINTS}),
        ("ray_ovlab_evaluation_images_total", {"shapes-pas-20": NUM_IMAGES, "shapes-pas-20b": NUM_IMAGES}),
        ("ray_ovlab_evaluation_shards_total", {"shapes-pas-20": NUM_SHARDS, "shapes-pas-20b": NUM_SHARDS}),
    ],
)
def test_counter_has_what_was_done(live: Live, series: str, expected: dict[str, int]) -> None:
    def counted() -> dict[str, float]:
        samples = live.ask(f"sum by (run, benchmark) ({series})")
        return {sample["metric"].get("benchmark", ""): float(sample["value"][1]) for sample in samples}

    wait_until(lambda: counted() == expected, lambda: f"{counted()}")


def test_heartbeat_age_grows_while_a_run_is_silent_and_goes_when_it_ends(live: Live) -> None:
    age = HEARTBEAT_AGE.expression
    time.sleep(3 * SECONDS)  # by now Ray has dropped the gauge, which it shows for two exports
    now = time.time()
    (before,), (after,) = live.ask(age, at=now - 2), live.ask(age, at=now)
    assert float(after["value"][1]) - float(before["value"][1]) == pytest.approx(2)
    assert float(after["value"][1]) > 2 * SECONDS

    live.end()

    wait_until(lambda: live.ask(age) == [], lambda: "the run has ended, and its age is still shown")
