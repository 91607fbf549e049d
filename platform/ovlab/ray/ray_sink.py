"""Metrics over Ray: each process tells the agent of its node, whose port Prometheus scrapes."""

from collections.abc import Mapping

from ray.util.metrics import Counter, Gauge

from ovlab.ray.gauges import METRICS, Metric


class RaySink:
    """A sink in a process that is connected to Ray: a driver, an actor or a task. It may be pickled."""

    def __init__(self) -> None:
        self.counters = {m.name: Counter(m.name, m.help, m.labels) for m in METRICS if m.kind == "counter"}
        self.gauges = {m.name: Gauge(m.name, m.help, m.labels) for m in METRICS if m.kind == "gauge"}

    def add(self, counter: Metric, amount: int | float, labels: Mapping[str, str]) -> None:
        if amount > 0:  # Ray refuses to add nothing
            self.counters[counter.name].inc(amount, dict(labels))

    def set(self, gauge: Metric, value: int | float, labels: Mapping[str, str]) -> None:
        self.gauges[gauge.name].set(value, dict(labels))
