"""Every tower, decoder, view and up-sampling gives the logits and label maps of a picture that are pinned; so does CLIP
alone.

With the kernels of other processors (SSE, AVX2 and AVX-512 of torch, MKL and oneDNN) the sketches of logits moved by up
to 1.2e-6 of the norm, and no pixel of the label maps changed.
"""

import numpy as np
import pytest
from torch import nn

import golden
from names_alone import NamesAlone
from ovlab.datasets.sample import Sample
from ovlab.evaluation.evaluator import Question, evaluate, images_together, predict_labels, read_ahead
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


class Shifted(NamesAlone):
    """The picture, rolled by a few columns from one image to the next; `labels` are what it is to be called."""

    name, class_names = "shifted", golden.WORDS
    sample_ids = tuple(map(str, range(4)))

    def __init__(self) -> None:
        self.labels = [np.zeros((96, 132), np.uint16)] * len(self)

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __getitem__(self, index: int) -> Sample:
        return Sample(str(index), np.roll(golden.picture(), 11 * index, axis=1), self.labels[index])


@pytest.mark.parametrize(("view", "num_networks"), [("whole, aspect kept", None), ("windows, five classes each", 2)])
def test_images_that_go_together_are_called_as_alone_but_for_a_pixel_of_ten_thousand(
    networks: dict[str, nn.Module], view: str, num_networks: int | None
) -> None:
    protocol = golden.VIEWS[view]
    assert images_together(protocol.inference) > 1
    for name, network in list(networks.items())[:num_networks]:
        images = Shifted()
        with golden.one_thread():
            text = network.text_encoder([(word,) for word in golden.WORDS], golden.TEMPLATES)
            images.labels = [
                predict_labels(network, text, one.image, protocol, golden.CPU) for one in read_ahead(images)
            ]
            asked = Question(text, protocol, len(golden.WORDS))
            counted = [image.counts for (image,) in evaluate(network, [asked], [images], device=golden.CPU)]
        other = sum(int(counts.count[counts.gt != counts.pred].sum()) for counts in counted)
        assert other <= 1e-4 * len(images) * 96 * 132, name
