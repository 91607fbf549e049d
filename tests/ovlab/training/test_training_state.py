import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from logoseg.config import ClipConfig, ModelConfig
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.errors import InputError
from ovlab.specs.training import ScheduleSpec, TrainingSpec
from ovlab.training.run_folder import RunIdentity
from ovlab.training.training_state import (
    TrainingState,
    capture,
    frozen_digest,
    load_newest_state,
    restore,
    save_state,
    seed_step,
)

SPEC = TrainingSpec(
    model=ModelConfig(clip=ClipConfig(name="none", image_size=16, middle_layer=1, guidance_layers=(0, 1))),
    dataset="pictures",
    split="train",
    augmentation=AugmentationSpec(crop_size=16),
    schedule=ScheduleSpec(steps=8, batch_size=2),
)
RUN = RunIdentity(
    spec=SPEC,
    class_names=("sky", "road"),
    samples_digest="a" * 64,
    frozen_digest="b" * 64,
    data_digest="c" * 64,
    weights_digest="d" * 64,
    training_version=2,
)


@pytest.fixture
def model() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Linear(2, 2))
    model[2].requires_grad_(False)
    return model


@pytest.fixture
def optimizer(model: nn.Module) -> AdamW:
    optimizer = AdamW([weight for weight in model.parameters() if weight.requires_grad], fused=True)
    model[1](model[0](torch.rand(2, 3, 4, 4))).square().mean().backward()
    optimizer.step()
    return optimizer


@pytest.fixture
def state(model: nn.Module, optimizer: AdamW) -> TrainingState:
    return capture(7, 28, RUN, model, optimizer)


def test_state_read_back_is_equal_to_the_bit(tmp_path: Path, state: TrainingState) -> None:
    save_state(tmp_path, state)
    read = load_newest_state(tmp_path)

    assert (read.step, read.position, read.fingerprint, read.spec) == (7, 28, state.fingerprint, state.spec)
    assert read.model.keys() == state.model.keys()
    assert all(torch.equal(read.model[name], state.model[name]) for name in state.model)
    for index, moments in state.optimizer["state"].items():
        assert all(torch.equal(read.optimizer["state"][index][name], moments[name]) for name in moments)
    assert read.optimizer["param_groups"] == state.optimizer["param_groups"]


def test_state_holds_buffers_and_learning_weights_and_no_frozen_ones(state: TrainingState) -> None:
    assert "1.running_mean" in state.model
    assert "0.weight" in state.model
    assert not any(name.startswith("2.") for name in state.model)


def test_state_saved_many_times_keeps_the_last_two(tmp_path: Path, state: TrainingState) -> None:
    for step in (1, 2, 10, 100):
        save_state(tmp_path, state._replace(step=step))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010.pt", "step-00000100.pt"]
    assert load_newest_state(tmp_path).step == 100


def test_state_of_an_empty_or_missing_folder_is_none(tmp_path: Path) -> None:
    assert load_newest_state(tmp_path) is None
    assert load_newest_state(tmp_path / "missing") is None


def test_save_that_fails_half_way_leaves_the_old_state_alone(
    tmp_path: Path, state: TrainingState, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_state(tmp_path, state)

    def disk_full(content: object, file: BinaryIO) -> None:
        file.write(b"PK half a file")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", disk_full)
    with pytest.raises(OSError, match="No space left"):
        save_state(tmp_path, state._replace(step=8))

    assert [path.name for path in tmp_path.iterdir()] == ["step-00000007.pt"]
    assert load_newest_state(tmp_path).step == 7


def test_states_that_are_equal_are_equal_files(tmp_path: Path, state: TrainingState) -> None:
    first, second = (save_state(tmp_path / name, state) for name in "ab")

    assert first.read_bytes() == second.read_bytes()


def test_load_passes_over_and_removes_what_a_killed_save_left(tmp_path: Path, state: TrainingState) -> None:
    path = save_state(tmp_path, state)
    (tmp_path / f"step-00000008.pt.{'0' * 32}.partial").write_bytes(path.read_bytes()[:100])

    assert load_newest_state(tmp_path).step == 7
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def flip_a_bit_of_a_weight(content: bytes, state: TrainingState) -> bytes:
    weight = state.model["0.weight"].numpy().tobytes()
    assert content.count(weight) == 1
    return content.replace(weight, bytes([weight[0] ^ 1]) + weight[1:])


def cut_off_the_end(content: bytes, state: TrainingState) -> bytes:
    return content[:-100]


def leave_nothing(content: bytes, state: TrainingState) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [flip_a_bit_of_a_weight, cut_off_the_end, leave_nothing])
def test_load_of_a_damaged_file_takes_the_one_before_and_says_so(
    damage: Callable[[bytes, TrainingState], bytes],
    tmp_path: Path,
    state: TrainingState,
    caplog: pytest.LogCaptureFixture,
) -> None:
    save_state(tmp_path, state)
    newest = save_state(tmp_path, state._replace(step=8))
    newest.write_bytes(damage(newest.read_bytes(), state))

    with caplog.at_level(logging.WARNING):
        assert load_newest_state(tmp_path).step == 7

    assert str(newest) in caplog.text


def test_load_with_every_file_damaged_begins_from_the_start_and_says_so_in_one_line(
    tmp_path: Path, state: TrainingState, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (8, 9):
        (tmp_path / f"step-{number:08d}.pt").write_bytes(b"nothing")

    with caplog.at_level(logging.WARNING):
        assert load_newest_state(tmp_path) is None
    save_state(tmp_path, state)

    (line,) = caplog.messages
    assert "step-00000008.pt" in line
    assert "step-00000009.pt" in line
    assert line.endswith("the training begins from the start.")
    # What is damaged is not taken for newer.
    assert load_newest_state(tmp_path).step == 7


def test_restore_into_another_model_names_the_first_weight_that_differs(state: TrainingState, optimizer: AdamW) -> None:
    other = nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5))

    with pytest.raises(InputError, match=r"step 7 is another model's: 0.bias is \(4,\) there and \(5,\) here"):
        restore(state, RUN, other, optimizer)


def test_restore_of_another_specs_state_is_refused(state: TrainingState, model: nn.Module, optimizer: AdamW) -> None:
    with pytest.raises(InputError, match="another spec"):
        restore(state, replace(RUN, spec=replace(SPEC, seed=9)), model, optimizer)


@pytest.mark.parametrize(
    "other",
    [
        {"class_names": ("sky", "street")},
        {"samples_digest": "0" * 64},
        {"frozen_digest": "0" * 64},
        {"data_digest": "0" * 64},
        {"weights_digest": None},
        {"training_version": 3},
    ],
    ids=lambda other: str(*other),
)
def test_restore_of_the_state_of_a_run_with_the_same_spec_on_something_else_is_refused(
    other: dict[str, object], state: TrainingState, model: nn.Module, optimizer: AdamW
) -> None:
    with pytest.raises(InputError, match="checkpoint of step 7 is of a run with other data, classes or CLIP weights"):
        restore(state, replace(RUN, **other), model, optimizer)


def test_restore_of_a_state_of_before_goes_by_its_spec(
    state: TrainingState, model: nn.Module, optimizer: AdamW
) -> None:
    restore(state._replace(run=None), RUN, model, optimizer)


def test_seed_of_a_step_decides_its_random_numbers_whatever_was_drawn_before() -> None:
    def drawn(seed: int, step: int) -> torch.Tensor:
        seed_step(seed, step)
        return torch.rand(4)

    first = drawn(0, 5)
    torch.rand(3)

    assert torch.equal(drawn(0, 5), first)
    assert not torch.equal(drawn(0, 6), first)
    assert not torch.equal(drawn(1, 5), first)


def test_frozen_digest_changes_with_frozen_weights_only(model: nn.Module) -> None:
    before = frozen_digest(model)

    with torch.no_grad():
        model[0].weight += 1
    assert frozen_digest(model) == before

    with torch.no_grad():
        model[2].bias[1] += 1
    assert frozen_digest(model) != before


def test_state_of_before_there_was_a_seal_is_read_unless_a_checksum_does_not_hold(
    tmp_path: Path, state: TrainingState, caplog: pytest.LogCaptureFixture
) -> None:
    path = save_state(tmp_path, state)
    older, trailer = path.read_bytes()[:-72], path.read_bytes()[-72:]
    assert trailer.startswith(b"\nsha256 ")
    path.write_bytes(older)
    assert load_newest_state(tmp_path).step == 7

    path.write_bytes(flip_a_bit_of_a_weight(older, state))

    assert load_newest_state(tmp_path) is None
    assert "the checksum of" in caplog.text


def test_frozen_digest_does_not_go_by_the_order_of_weights() -> None:
    torch.manual_seed(0)
    weights = {name: nn.Parameter(torch.randn(3), requires_grad=False) for name in ("b", "a", "c")}

    digests = {frozen_digest(nn.ParameterDict(dict(order))) for order in (weights.items(), reversed(weights.items()))}

    assert len(digests) == 1
