"""Every tower, decoder, view and up-sampling gives the logits and label maps of a picture that are pinned; so does CLIP
alone.

With the kernels of other processors (SSE, AVX2 and AVX-512 of torch, MKL and oneDNN) the sketches of logits moved by up
to 1.2e-6 of the norm, and no pixel of the label maps changed.
"""

import numpy as np
import pytest
from torch import nn

import golden
from ovlab.specs.evaluation import PREDICTION_VERSION

PINS = golden.pins()["predictions"]
OF_THE_NORM = 1e-5
# Pixels of the 352 that are pinned: two classes may score alike in one.
NUM_OTHER_PIXELS = 2
RENEW = (
    "the same weights predict otherwise: raise PREDICTION_VERSION, then renew the pin "
    "(python tests/programs/renew_pins.py predictions)"
)


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    return golden.networks()


@pytest.fixture(scope="module", params=PINS["cases"])
def case(request: pytest.FixtureRequest, networks: dict[str, nn.Module]) -> tuple[golden.Prediction, dict]:
    network, view = next(
        (network, view) for network in networks for view in golden.VIEWS if request.param == f"{network}, {view}"
    )
    return golden.prediction(networks[network], golden.VIEWS[view]), PINS["cases"][request.param]


def test_pins_are_of_this_version() -> None:
    assert PINS["version"] == PREDICTION_VERSION, "PREDICTION_VERSION was raised: python tests/programs/renew_pins.py"


def test_every_network_is_pinned_with_every_view(networks: dict[str, nn.Module]) -> None:
    assert [f"{network}, {view}" for network in networks for view in golden.VIEWS] == list(PINS["cases"])


def test_logits_are_those_pinned(case: tuple[golden.Prediction, dict]) -> None:
    made, pin = case

    assert list(made.logits.shape) == pin["shape"], RENEW
    assert golden.sketch(made.logits) == pytest.approx(pin["logits"], abs=OF_THE_NORM * pin["logits"][1], rel=0), RENEW


@pytest.mark.parametrize("path", ["compiled", "plain"])
def test_label_maps_of_both_up_samplings_are_those_pinned(case: tuple[golden.Prediction, dict], path: str) -> None:
    made, pin = case
    found = golden.label_rows(getattr(made, path))

    assert len(found) == len(pin["labels"])
    other = np.array([list(row) for row in found]) != np.array([list(row) for row in pin["labels"]])
    assert other.sum() <= NUM_OTHER_PIXELS, RENEW


def test_logits_and_label_maps_are_those_pinned_to_the_bit(case: tuple[golden.Prediction, dict]) -> None:
    made, pin = case
    golden.require_environment(PINS["environment"])

    assert {part: golden.sha256(getattr(made, part)) for part in pin["sha256"]} == pin["sha256"], RENEW
