"""Weights written and read back, in our format and in those of the released CLIP models."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save as safetensors_save
from safetensors.torch import save_file

from logoseg.checkpoint import load_weights, require_whole_file, save_weights
from logoseg.clip.released_weights import load_clip, read_clip_state
from logoseg.clip.shipped import shipped_clip
from logoseg.clip.towers import build_clip
from logoseg.config import ClipConfig, ModelConfig, model_config_from_dict, model_config_to_dict
from logoseg.image_encoder import build_image_encoder
from logoseg.model_error import ModelError
from logoseg.network import LoGoSeg
from logoseg.presets import shapes_vit_s, vit_b16
from logoseg.weights_file import read_safetensors

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

    with pytest.raises(ModelError, match="a safetensors file that is cut off or damaged"):
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


WRAPPINGS: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "under model_state_dict": lambda state: {"model_state_dict": state, "epoch": 3},
    "under model": lambda state: {"model": state, "iteration": 7},
    "under model, then state_dict": lambda state: {"model": {"state_dict": state}},
    "compiled": lambda state: prefixed("_orig_mod.", state),
    "compiled, then distributed": lambda state: {"state_dict": prefixed("module._orig_mod.", state)},
    "distributed, then compiled": lambda state: {"state_dict": prefixed("_orig_mod.module.", state)},
    "of Lightning, compiled": lambda state: {"state_dict": prefixed("model._orig_mod.", state), "hyper_parameters": {}},
    "one tower compiled": lambda state: {
        name.replace("visual.", "visual._orig_mod."): tensor for name, tensor in state.items()
    },
    "with position_ids": lambda state: {**state, "position_ids": torch.arange(12)[None]},
    "with a score of NumPy's": lambda state: {"state_dict": state, "best": np.float64(0.71), "lowest": np.float32(2)},
    "bfloat16": lambda state: {name: tensor.bfloat16() for name, tensor in state.items()},
    "float16": lambda state: {name: tensor.half() for name, tensor in state.items()},
}


def prefixed(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_read_clip_state_of_any_wrapping_gives_the_same_weights(
    small_clip: torch.nn.Module, tmp_path: Path, wrapping: str
) -> None:
    torch.save(WRAPPINGS[wrapping](small_clip.state_dict()), tmp_path / "clip.pt")

    state = read_clip_state(tmp_path / "clip.pt")

    expected = small_clip.state_dict()
    kind = torch.bfloat16 if wrapping == "bfloat16" else torch.half if wrapping == "float16" else torch.float
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name].to(kind).float()) for name in expected)


@pytest.mark.parametrize("name", ["clip.pt", "clip.bin", "clip"])
def test_read_clip_state_goes_by_the_first_bytes_and_not_by_the_suffix(
    small_clip: torch.nn.Module, tmp_path: Path, name: str
) -> None:
    save_file(small_clip.state_dict(), tmp_path / name)
    torch.save(small_clip.state_dict(), tmp_path / "other.safetensors")
    torch.save(small_clip.state_dict(), tmp_path / "old.safetensors", _use_new_zipfile_serialization=False)

    for path in (tmp_path / name, tmp_path / "other.safetensors", tmp_path / "old.safetensors"):
        assert read_clip_state(path).keys() == small_clip.state_dict().keys()


def test_read_clip_state_of_a_weight_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    torch.save({"logit_scale": torch.ones(1), "module.logit_scale": torch.zeros(1)}, tmp_path / "clip.pt")

    with pytest.raises(ModelError, match="logit_scale is there twice"):
        read_clip_state(tmp_path / "clip.pt")


def cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


TENSORS = {"logit_scale": torch.arange(1000.0)}
NO_WEIGHTS: list[tuple[bytes, str]] = [
    (b"", "an empty file"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "a pointer of Git LFS"),
    (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", r"a web page \(HTML\)"),
    (b"<html><body>404</body></html>", r"a web page \(HTML\)"),
    (b"hello", r"not safetensors, and neither .* it begins with b'hello'"),
    (cut(saved(TENSORS)), "a PyTorch archive that is cut off"),
    (cut(safetensors_save(TENSORS)), "a safetensors file that is cut off or damaged"),
]


@pytest.mark.parametrize(("content", "words"), NO_WEIGHTS)
@pytest.mark.parametrize("read", [read_clip_state, load_weights])
@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_file_that_is_no_weights_is_said_to_be_what_it_is(
    tmp_path: Path, content: bytes, words: str, read: Callable[[Path], object], name: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ModelError, match=rf"{name}: {words}") as error:
        read(tmp_path / name)

    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([torch.ones(1)], "holds a list, not a state dict"),
        (torch.ones(1), "holds a Tensor, not a state dict"),
        ({"epoch": 3}, "no tensors in it, or none under a known key; found epoch"),
        (torch.nn.Linear(1, 1), r"more than tensors .*it holds torch\.nn\.modules\.linear\.Linear"),
    ],
    ids=["list", "tensor", "no weights", "module"],
)
def test_read_clip_state_of_something_else_says_what_it_holds(tmp_path: Path, value: object, words: str) -> None:
    (tmp_path / "clip.pt").write_bytes(saved(value))

    with pytest.raises(ModelError, match=words) as error:
        read_clip_state(tmp_path / "clip.pt")

    assert len(str(error.value).splitlines()) == 1


GOOD = {"format": "logoseg-1", "config": {"clip": {}}, "class_names": ["a"]}


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("{not json", "its description is no JSON"),
        ("[1]", "its description is a list"),
        (json.dumps({"format": "logoseg-1"}), "does not fit this version: 'config'"),
        (json.dumps({**GOOD, "config": None}), "does not fit this version"),
        (json.dumps({**GOOD, "config": {"clip": []}}), "does not fit this version"),
        (json.dumps({**GOOD, "config": {"clip": {"name": "x"}}}), "does not fit this version"),
    ],
)
def test_load_weights_with_a_description_that_is_damaged_is_refused(
    tmp_path: Path, description: str, words: str
) -> None:
    save_file(TENSORS, tmp_path / "weights.safetensors", metadata={"logoseg": description})

    with pytest.raises(ModelError, match=rf"weights\.safetensors: .*{words}"):
        load_weights(tmp_path / "weights.safetensors")


def test_load_weights_of_a_torch_file_says_what_to_give(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "weights.pt")

    with pytest.raises(ModelError, match=r"a file of torch\.save, no LoGoSeg weights\. Give the weights\.safetensors"):
        load_weights(tmp_path / "weights.pt")


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
def test_load_clip_with_a_tag_keeps_the_grid_that_was_trained(small_clip: torch.nn.Module, tmp_path: Path) -> None:
    path = write(small_clip, "open_clip state dict", tmp_path)
    config = replace(CLIP, pretrained="openai")

    loaded = load_clip(config, path)

    assert torch.equal(loaded.visual.positional_embedding, small_clip.visual.positional_embedding)
    assert build_image_encoder(loaded, config)(torch.rand(1, 3, 64, 64)).dense.shape == (1, 16, 4, 4)


@pytest.mark.parametrize("changes", [{"image_size": 64}, {"image_size": 32, "name": "ViT-B-16"}])
def test_load_clip_of_released_weights_without_the_tag_they_need_names_the_tags(
    small_clip: torch.nn.Module, tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = write(small_clip, "open_clip state dict", tmp_path)

    with pytest.raises(ModelError, match=r"^ClipConfig\.pretrained is not given: .*has openai, .* grid follow\.$"):
        load_clip(replace(CLIP, **changes), path)


@torch.no_grad()
def test_load_clip_of_the_package_at_another_size_resizes_the_positional_grid() -> None:
    config = shapes_vit_s().clip
    path = shipped_clip(config)
    assert path is not None

    old, new = (load_clip(replace(config, image_size=size), path).visual.positional_embedding for size in (96, 64))

    assert new.shape == (1 + 8 * 8, 128)
    assert torch.equal(new[0], old[0])
    # bicubic resizing keeps the mean of a grid up to its borders
    torch.testing.assert_close(new[1:].mean(dim=0), old[1:].mean(dim=0), rtol=0, atol=0.02)


@torch.no_grad()
def test_load_clip_with_a_text_tower_of_its_own_reads_files_of_both_layouts(tmp_path: Path) -> None:
    config = replace(CLIP, name="MobileCLIP2-S0", pretrained="dfndr2b", image_size=256)
    clip = build_clip(config)
    state = {name: tensor.clone() for name, tensor in clip.state_dict().items()}
    flat = {name.removeprefix("text."): tensor for name, tensor in state.items()}

    for number, layout in enumerate((state, flat)):
        save_file(layout, tmp_path / f"{number}.safetensors")
        loaded = load_clip(config, tmp_path / f"{number}.safetensors").state_dict()
        assert all(torch.equal(loaded[name], state[name]) for name in state)


def test_weights_file_of_before_there_were_tags_loads_with_its_resized_grid(
    small_clip: torch.nn.Module, micro_config: ModelConfig, tmp_path: Path
) -> None:
    config = replace(micro_config, clip=CLIP, decoder="class_volume")  # at 64 px, where the tower was trained at 32
    path = tmp_path / "weights.safetensors"

    save_weights(LoGoSeg(config), config, NAMES, path)
    loaded = load_weights(path).model

    assert "pretrained" not in json.loads(read_safetensors(path)[1]["logoseg"])["config"]["clip"]
    assert loaded.config.clip.pretrained is None
    assert loaded.image_encoder.positional_embedding.shape == (1 + 4 * 4, 32)


def test_auxiliary_heads_are_told_where_there_are_some() -> None:
    config = replace(vit_b16(), auxiliary_heads=True)

    assert "auxiliary_heads" not in model_config_to_dict(vit_b16())
    assert model_config_from_dict(json.loads(json.dumps(model_config_to_dict(config)))) == config


def test_weights_file_with_a_tag_keeps_it(tmp_path: Path) -> None:
    config = vit_b16()

    again = model_config_from_dict(json.loads(json.dumps(model_config_to_dict(config))))

    assert again == config
    assert again.clip.pretrained == "openai"


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


def test_weights_with_a_changed_value_name_or_word_are_refused(micro_network: LoGoSeg, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(micro_network, micro_network.config, NAMES, path)
    content = path.read_bytes()
    last = bytes([content[-1] ^ 1])
    for changed in (content[:-1] + last, content.replace(NAMES[0].encode(), b"x" * len(NAMES[0]), 1)):
        path.write_bytes(changed)
        for read in (load_weights, require_whole_file):
            with pytest.raises(ModelError, match=r"weights\.safetensors: damaged \(its sha256"):
                read(path)


def test_weights_of_before_there_was_a_sha256_are_read(micro_network: LoGoSeg, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(micro_network, micro_network.config, NAMES, path)
    with safe_open(path, "pt") as file:
        description = json.loads(file.metadata()["logoseg"])
    del description["sha256"]
    tensors = {name: tensor.contiguous() for name, tensor in micro_network.state_dict().items()}
    save_file(tensors, path, metadata={"logoseg": json.dumps(description)})

    require_whole_file(path)
    assert load_weights(path).class_names == tuple(NAMES)
