"""How MLflow's page of an experiment looks: which of its many params and metrics it shows, under which names.

The browser keeps its columns, and whether all experiments open as GenAI or as model training (MLflow 3.17 opens a list
of them as the browser says, whatever kind they are): no client can choose either. A view that is shared, though, is a
tag of the experiment: there is one, and the description of the experiment links to it.
"""

import json
from collections.abc import Mapping

from ovlab.specs.suite import SUITES, Suite
from ovlab.tracking.tags import KIND, SUITE

_VIEW = "ovlab"
_PARAMS = {"lambda": "model.prior_weight", "grid": "model.region_grid", "depth": "model.fusion_depth"}


def ablated_params(params: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, str]:
    """Of the params of a run those that the paper varies, by its names; the grid in its words, as in "6 x 6"."""
    found = {name: params[key] for name, key in _PARAMS.items() if key in params}
    if "grid" in found:
        suite = SUITES.get(tags.get(SUITE, ""))
        sides = {} if suite is None else {str(own): str(paper) for paper, own in suite.region_grids.items()}
        side = sides.get(found["grid"], found["grid"])
        found["grid"] = f"{side} x {side}"
    return found


def percent_key(benchmark: str) -> str:
    """The metric of the mIoU in percent; its first letters, all that a column shows, name the benchmark."""
    return f"{benchmark} mIoU percent"


def page_tags(experiment_id: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Of an experiment that has a run with these `tags`: machine learning, the view, and the links to it."""
    suite = SUITES.get(tags.get(SUITE, ""))
    link = f"#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={_VIEW}"
    note = f"[Runs with their mIoU]({link}&compareRunsMode=TABLE), [mIoU over lambda]({link}&compareRunsMode=CHART)"
    return {
        "mlflow.experimentKind": "custom_model_development",
        f"mlflow.sharedViewState.{_VIEW}": json.dumps(_view(suite)),
        "mlflow.note.content": note,
    }


def _view(suite: Suite | None) -> dict[str, object]:
    """What MLflow 3's page keeps of a view. A search or an order of one's own unfolds the runs below a sweep."""
    metrics = [] if suite is None else [percent_key(benchmark) for benchmark in suite.benchmarks.values()]
    columns = [f"params.`{name}`" for name in (*_PARAMS, "seed")] + [f"metrics.`{metric}`" for metric in metrics]
    charts = [
        {
            "uuid": f"{_VIEW}-{metric}",
            "type": "SCATTER",
            "metricSectionId": _VIEW,
            "xaxis": {"key": "lambda", "type": "PARAM"},
            "yaxis": {"key": metric, "type": "METRIC"},
            "runsCountToCompare": 100,
            "deleted": False,
            "isGenerated": False,
        }
        for metric in metrics
    ]
    section = {"uuid": _VIEW, "name": "mIoU over lambda", "display": True, "isReordered": False, "deleted": False}
    return {
        "searchFilter": f"tags.`{KIND}` != 'table'",
        "orderByKey": "params.`lambda`",
        "orderByAsc": True,
        "selectedColumns": columns,
        # The params would stand behind the metrics.
        "columnOrder": columns,
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": charts,
        "compareRunSections": [{**section, "isGenerated": False}],
    }
