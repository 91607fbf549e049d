"""What MLflow's page of an experiment shows."""

import json

import pytest

from ovlab.specs.suite import PAPER, SHAPES, Suite
from ovlab.tracking.experiment_page import ablated_params, page_tags
from ovlab.tracking.mlflow_limits import valid_key
from ovlab.tracking.params import flat_params
from ovlab.tracking.tags import SUITE

# What MLflow takes of a tag of an experiment.
_MAX_EXPERIMENT_TAG = 5000


def test_what_the_paper_varies_has_the_paper_s_names() -> None:
    assert ablated_params(flat_params(PAPER.training()), {SUITE: "paper"}) == {
        "lambda": "1.0",
        "grid": "6 x 6",
        "depth": "2",
    }


def test_grid_of_a_miniature_is_that_of_the_paper_for_which_it_stands() -> None:
    params = {"model.region_grid": str(SHAPES.region_grid(6))}

    assert ablated_params(params, {SUITE: "shapes"}) == {"grid": "6 x 6"}
    assert ablated_params(params, {}) == {"grid": "3 x 3"}


def test_run_of_another_method_has_none_of_them() -> None:
    assert ablated_params({"model.method": "cat-seg"}, {SUITE: "paper"}) == {}


@pytest.mark.parametrize("suite", [PAPER, SHAPES], ids=lambda suite: suite.name)
def test_view_of_a_suite_has_the_ablated_params_and_then_each_miou(suite: Suite) -> None:
    tags = page_tags("7", {SUITE: suite.name})

    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert all(len(value) <= _MAX_EXPERIMENT_TAG for value in tags.values())
    view = json.loads(tags["mlflow.sharedViewState.ovlab"])
    metrics = [f"{benchmark} mIoU percent" for benchmark in suite.benchmarks.values()]
    assert view["selectedColumns"] == [
        *(f"params.`{name}`" for name in ("lambda", "grid", "depth", "seed")),
        *(f"metrics.`{metric}`" for metric in metrics),
    ]
    assert [(chart["xaxis"]["key"], chart["yaxis"]["key"]) for chart in view["compareRunCharts"]] == [
        ("lambda", metric) for metric in metrics
    ]
    assert list(map(valid_key, metrics)) == metrics
    assert "#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=ovlab" in tags["mlflow.note.content"]


def test_view_without_a_suite_has_the_params_alone() -> None:
    view = json.loads(page_tags("7", {})["mlflow.sharedViewState.ovlab"])

    assert (len(view["selectedColumns"]), view["compareRunCharts"]) == (4, [])
