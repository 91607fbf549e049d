import re

import pytest

from ovlab.ray.gauges import METRICS, Metric, run_label


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_metric_has_a_name_that_prometheus_keeps_as_it_is(metric: Metric) -> None:
    assert re.fullmatch(r"ovlab_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_metric_has_no_label_that_grows_with_the_images_or_the_settings(metric: Metric) -> None:
    assert metric.labels in (("run",), ("run", "benchmark"))


def test_metrics_are_each_declared_once() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_run_is_labelled_by_twelve_digits_of_its_fingerprint() -> None:
    assert run_label("0123456789abcdef" * 4) == "0123456789ab"
