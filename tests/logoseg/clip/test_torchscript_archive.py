"""logoseg.clip.torchscript_archive: the tensors are those of torch.jit.load, and nothing of the archive is run."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from logoseg.clip.released_weights import read_clip_state
from logoseg.clip.torchscript_archive import is_torchscript, read_torchscript
from logoseg.model_error import ModelError
from small_clips import small_vit


class Block(nn.Module):
    """Every kind of attribute, and a parameter that is a view of half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).reshape(2, 3).half().t())
        self.register_buffer("size", torch.tensor([224, 7]))
        self.register_buffer("none", torch.empty(0))
        self.register_buffer("kept_out", torch.tensor([True]), persistent=False)
        self.mask = torch.tensor([3.0, 4.0])
        self.bias = None
        self.sides = [1, 2]

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.float() + self.mask.sum()


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = Block()
        self.rest = nn.Sequential(nn.Linear(2, 3), Block())
        self.tied = self.first
        self.scale = nn.Parameter(torch.tensor(4.6))

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.first(x)) * self.scale


def script(path: Path) -> None:
    torch.jit.script(Model()).save(str(path))


def trace(path: Path) -> None:
    torch.jit.trace(Model(), torch.ones(1, 3)).save(str(path))


@pytest.mark.parametrize("write", [script, trace])
def test_state_is_that_of_torch_jit_load(write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    write(path)
    expected = torch.jit.load(path).state_dict()

    state = read_torchscript(path)

    assert is_torchscript(path)
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        assert state[name].dtype == tensor.dtype
        assert torch.equal(state[name], tensor), name


def test_state_of_a_clip_is_that_of_torch_jit_load(tmp_path: Path) -> None:
    path = tmp_path / "clip.pt"
    inputs = torch.rand(1, 3, 32, 32), torch.zeros(1, 16, dtype=torch.int64)
    torch.jit.trace(small_vit().eval(), inputs, check_trace=False).save(str(path))
    expected = torch.jit.load(path).state_dict()

    state = read_torchscript(path)

    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in state)


def test_reading_loads_no_module_and_compiles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "model.pt")
    for name in ("load", "script", "CompilationUnit"):
        monkeypatch.delattr(torch.jit, name)

    assert read_clip_state(tmp_path / "model.pt")["scale"].item() == pytest.approx(4.6)


class Marker:
    """Says to print a word where it is read back."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("marker",)


@pytest.mark.parametrize("content", [Marker(), {"weight": Marker()}, pickle.PickleBuffer, Path("marker")])
def test_archive_that_names_a_function_is_refused_and_the_function_not_called(
    content: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/constants.pkl", pickle.dumps((), 2))
        archive.writestr("model/data.pkl", pickle.dumps(content, 2))

    with pytest.raises(ModelError, match=r"model\.pt: more than tensors and plain values.*it holds \w+\.\w+"):
        read_clip_state(path)

    assert capsys.readouterr().out == ""


def test_archive_with_a_changed_byte_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    script(path)
    content = bytearray(path.read_bytes())
    content[content.index(torch.tensor(4.6).numpy().tobytes())] ^= 1
    path.write_bytes(content)

    with pytest.raises(ModelError, match="cut off or damaged"):
        read_clip_state(path)
