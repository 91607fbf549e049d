"""Weights written and read back, in our format and in those of the released CLIP models."""

from dataclasses import replace
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from logoseg.checkpoint import load_weights, save_weights
from logoseg.clip.released_weights import load_clip, read_clip_state
from logoseg.clip.towers import build_clip
from logoseg.config import ClipConfig, ModelConfig
from logoseg.image_encoder import build_image_encoder
from logoseg.model_error import ModelError
from logoseg.network import LoGoSeg

NAMES = ("road", "tree")


def test_weights_saved_and_loaded_give_the_same_logits(micro_network: LoGoSeg, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    images = torch.rand(1, 3, 96, 96)

    save_weights(micro_network, micro_network.config, NAMES, path)
    model, class_names = load_weights(path)

    assert class_names == NAMES
    assert model.config == micro_network.config
    with torch.no_grad():
        text = model.encode_text(["a new word"])
        assert torch.equal(model(images, text), micro_network(images, micro_network.encode_text(["a new word"])))
    assert [file.name for file in tmp_path.iterdir()] == ["weights.safetensors"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_written_nor_read(
    micro_network: LoGoSeg, tmp_path: Path, value: float
) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(micro_network, micro_network.config, NAMES, path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    name = "image_encoder.ln_post.weight"
    with torch.no_grad():
        micro_network.get_parameter(name)[1] = value
    tensors = {key: tensor.contiguous() for key, tensor in micro_network.state_dict().items()}

    with pytest.raises(ModelError, match=rf"new\.safetensors: not written: {name} holds NaN or infinity"):
        save_weights(micro_network, micro_network.config, NAMES, tmp_path / "new.safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["weights.safetensors"]

    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ModelError, match=rf"weights\.safetensors: {name} holds NaN or infinity"):
        load_weights(path)


def test_load_weights_missing_file_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.safetensors: no such file\. Give a run folder"):
        load_weights(tmp_path / "nothing.safetensors")


def test_load_weights_other_safetensors_are_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")

    with pytest.raises(ModelError, match="no LoGoSeg weights"):
        load_weights(tmp_path / "other.safetensors")


def test_load_weights_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")

    with pytest.raises(ModelError, match="not a safetensors file"):
        load_weights(tmp_path / "broken.safetensors")


def test_load_weights_of_another_model_names_the_key(
    micro_network: LoGoSeg, micro_config: ModelConfig, tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(micro_network, replace(micro_config, guidance_dim=32), NAMES, path)

    with pytest.raises(ModelError, match=r"weights of another model: \S+ is \(.*\), this one needs"):
        load_weights(path)


CLIP = ClipConfig(name="ViT-B-16-quickgelu", image_size=64, middle_layer=1, guidance_layers=(0, 1))


@pytest.fixture
def small_clip(monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """A released model of 64 px, in place of the real one: the same keys, few weights."""
    config = {
        "embed_dim": 16,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 32, "layers": 3, "width": 32, "patch_size": 16, "head_width": 16},
        "text_cfg": {"context_length": 12, "vocab_size": 100, "width": 32, "heads": 2, "layers": 1},
    }
    monkeypatch.setattr(
        open_clip, "get_model_config", lambda name: {**config, "vision_cfg": dict(config["vision_cfg"])}
    )
    torch.manual_seed(0)
    return open_clip.CLIP(**config)


def openai_state(clip: torch.nn.Module) -> dict[str, torch.Tensor]:
    """OpenAI's files: half precision, and three numbers among the weights."""
    state = {name: tensor.half() for name, tensor in clip.state_dict().items()}
    extras = {"input_resolution": 32, "context_length": 12, "vocab_size": 100}
    return state | {name: torch.tensor(value) for name, value in extras.items()}


def write(clip: torch.nn.Module, style: str, folder: Path) -> Path:
    path = folder / ("clip.safetensors" if style == "safetensors" else "clip.pt")
    if style == "openai":
        torch.save(openai_state(clip), path)
    elif style == "open_clip training checkpoint":
        torch.save({"epoch": 3, "state_dict": {f"module.{n}": t for n, t in clip.state_dict().items()}}, path)
    elif style == "open_clip state dict":
        torch.save(clip.state_dict(), path)
    else:
        save_file(clip.state_dict(), path)
    return path


@pytest.mark.parametrize("style", ["openai", "open_clip state dict", "open_clip training checkpoint", "safetensors"])
@torch.no_grad()
def test_load_clip_any_released_format_gives_the_same_features(
    small_clip: torch.nn.Module, tmp_path: Path, style: str
) -> None:
    path = write(small_clip, style, tmp_path)
    text = torch.randint(100, (3, 12))

    loaded = load_clip(replace(CLIP, image_size=32), path)

    tolerance = 2e-2 if style == "openai" else 1e-6
    torch.testing.assert_close(loaded.encode_text(text), small_clip.encode_text(text), rtol=tolerance, atol=tolerance)
    images = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(
        loaded.encode_image(images), small_clip.encode_image(images), rtol=tolerance, atol=tolerance
    )


@torch.no_grad()
def test_load_clip_at_another_size_resizes_the_positional_grid(small_clip: torch.nn.Module, tmp_path: Path) -> None:
    path = write(small_clip, "open_clip state dict", tmp_path)

    loaded = load_clip(CLIP, path)

    old, new = small_clip.visual.positional_embedding, loaded.visual.positional_embedding
    assert new.shape == (1 + 4 * 4, 32)
    assert torch.equal(new[0], old[0])
    # bicubic resizing by two keeps the mean of a grid up to its borders
    torch.testing.assert_close(new[1:].mean(dim=0), old[1:].mean(dim=0), rtol=0, atol=0.02)
    assert build_image_encoder(loaded, CLIP)(torch.rand(1, 3, 64, 64)).dense.shape == (1, 16, 4, 4)


def test_read_clip_state_torchscript_archive_is_read(small_clip: torch.nn.Module, tmp_path: Path) -> None:
    class Archive(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logit_scale = torch.nn.Parameter(torch.tensor(4.6))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.logit_scale

    torch.jit.trace(Archive(), torch.ones(1)).save(str(tmp_path / "clip.pt"))

    assert read_clip_state(tmp_path / "clip.pt")["logit_scale"].item() == pytest.approx(4.6)


def test_load_clip_wrong_size_of_model_names_the_key(small_clip: torch.nn.Module, tmp_path: Path) -> None:
    state = small_clip.state_dict()
    state["visual.proj"] = torch.zeros(32, 8)
    torch.save(state, tmp_path / "clip.pt")

    with pytest.raises(ModelError, match=r"visual\.proj is \(32, 8\), this one needs \(32, 16\)"):
        load_clip(replace(CLIP, image_size=32), tmp_path / "clip.pt")


def test_load_clip_with_a_weight_that_is_not_finite_names_it(small_clip: torch.nn.Module, tmp_path: Path) -> None:
    state = small_clip.state_dict()
    state["visual.proj"] = state["visual.proj"] * float("nan")
    torch.save(state, tmp_path / "clip.pt")

    with pytest.raises(ModelError, match=r"clip\.pt: visual\.proj holds NaN or infinity"):
        load_clip(replace(CLIP, image_size=32), tmp_path / "clip.pt")


def test_load_clip_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.pt").write_text("hello")

    with pytest.raises(ModelError, match="neither a state dict nor a TorchScript archive"):
        read_clip_state(tmp_path / "clip.pt")


def test_build_clip_unknown_name_lists_our_own() -> None:
    with pytest.raises(ModelError, match=r"'ViT-X'.*logoseg-tiny"):
        build_clip(replace(CLIP, name="ViT-X"))
