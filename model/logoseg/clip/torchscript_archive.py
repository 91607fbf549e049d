"""The weights in a TorchScript archive, read as tensors; torch.jit.load would build modules of the code in it.

The archive is a zip file. Its data.pkl is a pickle of the modules; the sources of their classes, beside it, list which
attributes are parameters and buffers. They are searched for these lists and never compiled.
"""

import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_LISTS = ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist")
_NAMES = re.compile(r"^  __(?:parameters|buffers)__ = \[(.*?)\]", re.MULTILINE | re.DOTALL)


def is_torchscript(path: Path) -> bool:
    """Whether a zip file is an archive of TorchScript, and not of torch.save."""
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """What `torch.jit.load(path).state_dict()` holds.

    Raises pickle.UnpicklingError where there is more than modules, tensors and plain values, and nearly any other error
    for a damaged archive.
    """
    with zipfile.ZipFile(path) as archive:
        pickled = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        root = pickled.removesuffix("data.pkl")
        with archive.open(pickled) as file:
            module = _Unpickler(file, archive, root).load()
        return dict(_weights(module, archive, root, ""))


class _Module:
    """A module of any class, as its attributes alone. `source` and `title`: where its class is written."""

    source, title = "", ""

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        self.__dict__.update(attributes)


class _Unpickler(pickle.Unpickler):
    """Knows the names that archives of weights need, and no others: a pickle may call whatever it names."""

    def __init__(self, file: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self._archive, self._root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return type(name, (_Module,), {"source": f"code/{module.replace('.', '/')}.py", "title": name})
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch.jit._pickle" and name in _LISTS:
            return list
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"GLOBAL {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, _ = pid
        content = self._archive.read(f"{self._root}data/{key}")
        return torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.empty(0, dtype=dtype)


def _tensor(storage: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: object) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _weights(module: Any, archive: zipfile.ZipFile, root: str, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of a module and of those in it."""
    source = archive.read(f"{root}{module.source}").decode()
    _, _, rest = source.partition(f"class {module.title}(Module):\n")
    own = rest.partition("\nclass ")[0]
    names = {name for listed in _NAMES.findall(own) for name in re.findall(r'"(.*?)"', listed)}
    for name, value in vars(module).items():
        if isinstance(value, _Module):
            yield from _weights(value, archive, root, f"{prefix}{name}.")
        elif isinstance(value, Tensor) and name in names:
            yield f"{prefix}{name}", value
