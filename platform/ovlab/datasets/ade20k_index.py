"""index_ade20k.pkl, the catalogue that comes with the full ADE20K: the check that 847 ids mean what we say.

The file is a pickled dictionary of lists and NumPy arrays. Its objectnames holds the names of all objects, and the id
that a label map holds is the position of the name there, counted from 1.
"""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ovlab.specs.errors import InputError

INDEX_FILE = "index_ade20k.pkl"

# A pickle may call any function it names. Lists of names and arrays of counts need no others than these.
_ALLOWED = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("_codecs", "encode"),
    *(
        (module, function)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for function in ("_reconstruct", "scalar")
    ),
    *((module, "_frombuffer") for module in ("numpy.core.numeric", "numpy._core.numeric")),
}


def refuse_other_names(path: Path, raw_ids: Sequence[int], class_names: Sequence[str]) -> None:
    """Raises InputError, one line, unless objectnames[id - 1] is the class name for each of the ids."""
    names = _object_names(path)
    for raw_id, expected in zip(raw_ids, class_names, strict=True):
        found = names[raw_id - 1] if raw_id <= len(names) else "nothing"
        if found.split() != expected.split():
            raise InputError(
                f"{path}: object {raw_id} is '{found}', expected '{expected}'. "
                "Download ADE20K_2021_17_01, or move this index away to go by the published table alone."
            )


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _object_names(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            index = _Unpickler(file).load()
        return [str(name) for name in index["objectnames"]]
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, IndexError, OSError, UnicodeDecodeError) as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise InputError(f"{path}: not the index of ADE20K_2021_17_01 ({reason}).") from None
