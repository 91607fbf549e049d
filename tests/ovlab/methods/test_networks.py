"""Weights of any method on disk, and back."""

from pathlib import Path

import pytest
import torch

from logoseg.model_error import ModelError
from logoseg.presets import tiny
from ovlab.methods.networks import build_network, model_of, read_network, write_network
from ovlab.methods.registry import named_method
from ovlab.specs.errors import InputError

COSINE = Path(__file__).parents[2] / "programs" / "cosine_method.py"
FILES = {"Cosine": str(COSINE)}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    model = named_method(f"{COSINE}:Cosine", "tiny", {"width": 4})
    torch.manual_seed(0)
    write_network(build_network(model, None, FILES), model, ("road", "sky"), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_network_of_a_method_is_read_back_with_its_options_and_weights(written: Path) -> None:
    torch.manual_seed(0)
    model = named_method(f"{COSINE}:Cosine", "tiny", {"width": 4})
    expected = build_network(model, None, FILES).state_dict()

    found = read_network(written, FILES)

    assert model_of(written) == model
    assert not found.training
    assert all(torch.equal(value, expected[name]) for name, value in found.state_dict().items())


def test_network_of_a_method_whose_file_is_not_named_says_how(written: Path) -> None:
    assert model_of(written).values == {"width": 4}  # what it is needs no code
    with pytest.raises(InputError, match=r"no method 'Cosine'.*FILE\.py:CLASS"):
        read_network(written, {})


def test_network_of_logoseg_is_written_as_ever(tmp_path: Path) -> None:
    torch.manual_seed(0)
    write_network(build_network(tiny(), None, {}), tiny(), ("road",), tmp_path / "w.safetensors")

    assert read_network(tmp_path / "w.safetensors", {}).config == model_of(tmp_path / "w.safetensors") == tiny()


def test_network_with_a_weight_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    model = named_method(f"{COSINE}:Cosine", "tiny", {})
    network = build_network(model, None, FILES)
    network.clean[0].bias.data[3] = torch.nan

    with pytest.raises(ModelError, match=r"clean\.0\.bias holds NaN"):
        write_network(network, model, ("road",), tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())
