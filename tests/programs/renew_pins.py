"""Write tests/golden/pins.json anew, all of it or some of its parts; to be run by hand after a version was raised.

python tests/programs/renew_pins.py [weights] [predictions] [scores] [identities]
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import golden
from ovlab.specs.evaluation import EVALUATOR_VERSION, PREDICTION_VERSION
from ovlab.specs.resolved import TRAINING_VERSION


def weights() -> dict[str, Any]:
    made = {name: golden.trained(name) for name in golden.TRAININGS}
    return {
        "version": TRAINING_VERSION,
        "environment": golden.environment(),
        "runs": {
            name: {"losses": run.losses, "sketches": run.sketches(), "sha256": run.digest()}
            for name, run in made.items()
        },
    }


def predictions() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, network in golden.networks().items():
        for view, protocol in golden.VIEWS.items():
            made = golden.prediction(network, protocol)
            found[f"{name}, {view}"] = {
                "shape": list(made.logits.shape),
                "logits": golden.sketch(made.logits),
                "labels": golden.label_rows(made.compiled),
                "sha256": {
                    "logits": golden.sha256(made.logits),
                    "compiled": golden.sha256(made.compiled),
                    "plain": golden.sha256(made.plain),
                },
            }
    return {"version": PREDICTION_VERSION, "environment": golden.environment(), "cases": found}


def scores() -> dict[str, Any]:
    return {"version": EVALUATOR_VERSION, "scores": golden.scores()}


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "weights": weights,
    "predictions": predictions,
    "scores": scores,
    "identities": golden.identities,
}


def renew(parts: list[str]) -> None:
    content = golden.pins() if golden.PINS.exists() else {}
    for part in parts:
        content[part] = PARTS[part]()
    golden.PINS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    renew(sys.argv[1:] or list(PARTS))
