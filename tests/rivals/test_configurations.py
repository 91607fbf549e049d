import json
import subprocess
import sys
from dataclasses import asdict

import pytest
import torch

from rivals.bridge_alone import BridgeAlone
from rivals.cat_seg import CatSeg
from rivals.configurations import PRESETS
from rivals.san import San
from rivals.sed import Sed
from rivals.training_free import ClearClip, MaskClip, NaClip, Sclip

TRAINING_FREE = {"maskclip": MaskClip, "sclip": Sclip, "clearclip": ClearClip, "naclip": NaClip}
METHODS = {"cat-seg": CatSeg, "sed": Sed, "san": San, "bridge": BridgeAlone, **TRAINING_FREE}
NAMES = [(method, preset) for method, presets in PRESETS.items() for preset in presets]


def test_configurations_load_without_torch() -> None:
    code = "import sys, rivals.configurations; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("method", "preset"), NAMES)
def test_a_configuration_is_plain_values(method: str, preset: str) -> None:
    values = asdict(PRESETS[method][preset]())

    assert json.loads(json.dumps(values)).keys() == values.keys()
    assert isinstance(PRESETS[method][preset](), METHODS[method].Config)


@pytest.mark.parametrize(
    ("method", "preset", "millions"),
    # As the released code has them; SAN's 8.4 are with CLIP's positional grid.
    [("cat-seg", "vit-b16", 4.67), ("sed", "convnext-b", 1.38), ("san", "vit-b16", 8.22)],
)
def test_a_head_has_as_many_weights_as_in_the_released_code(method: str, preset: str, millions: float) -> None:
    with torch.device("meta"):
        network = METHODS[method](PRESETS[method][preset]())
    (weights,) = (weights for name, weights, _ in network.parameter_groups() if name == "head")

    assert sum(weight.numel() for weight in weights) / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize(("method", "preset"), [name for name in NAMES if not name[1].startswith(("shapes", "photo"))])
def test_logits_of_the_papers_sizes_have_the_papers_resolution(method: str, preset: str) -> None:
    with torch.device("meta"):
        network = METHODS[method](PRESETS[method][preset]()).eval()
        size = network.input_size
        text = torch.empty(5, len(network.prompt_templates), network.text_encoder.clip.text_projection.shape[1])
        if method == "san":
            shape = network.encode_image(torch.empty(1, 3, size, size)).masks.shape
        else:
            shape = network.head(network.encode_image(torch.empty(1, 3, size, size)), text).shape

    trained = {"cat-seg": (1, 5, 96, 96), "sed": (1, 5, 192, 192), "san": (1, 100, 40, 40)}
    assert tuple(shape) == trained.get(method, (1, 5, 24, 24))


@pytest.mark.parametrize(("method", "resolution"), [("bridge", 12), ("cat-seg", 48), ("sed", 96)])
def test_on_the_bridge_logits_are_on_its_grid_or_finer(method: str, resolution: int) -> None:
    with torch.device("meta"):
        network = METHODS[method](PRESETS[method]["photo-lite0"]()).eval()
        text = torch.empty(5, len(network.prompt_templates), 384)
        logits = network.head(network.encode_image(torch.empty(1, 3, 384, 384)), text)

    assert tuple(logits.shape) == (1, 5, resolution, resolution)
