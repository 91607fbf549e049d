"""classes.json of a folder: the names of the classes, and the label value that means "ignore this pixel".

{"classes": ["sky", "road"], "ignore_index": 255}    or just    ["sky", "road"]
"""

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError


class ClassList(NamedTuple):
    """Class n is names[n]. Without an `ignore_index` it is the largest value of the label file: 255 or 65535."""

    names: tuple[str, ...]
    ignore_index: int | None


def read_class_list(path: Path) -> ClassList:
    """Read classes.json. Other keys beside the two are left alone.

    Raises InputError for a file that is missing or no JSON, for names that are empty, no text or there twice, and for
    an ignore index that no label can hold or that is a class.
    """
    content = _parsed(path)
    names, ignore_index = (
        (content.get("classes"), content.get("ignore_index")) if isinstance(content, dict) else (content, None)
    )
    if not isinstance(names, list) or not names:
        raise InputError(f'{path}: no class names; write {{"classes": ["sky", "road"], "ignore_index": 255}}.')
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{path}: class {index} is {json.dumps(name)}; every class needs a name.")
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise InputError(f"{path}: the class name {repeated[0]!r} is there {names.count(repeated[0])} times; keep one.")
    if len(names) >= IGNORE_INDEX:
        raise InputError(f"{path}: {len(names)} classes; a 16-bit label holds at most {IGNORE_INDEX - 1}.")
    if ignore_index is not None:
        _check_ignore_index(path, ignore_index, len(names))
    return ClassList(tuple(names), ignore_index)


def _parsed(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f'{path}: no such file; write {{"classes": ["sky", "road"], "ignore_index": 255}}.') from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    except ValueError as error:  # no JSON, or no UTF-8
        raise InputError(f"{path}: is not JSON ({error}).") from None


def _check_ignore_index(path: Path, ignore_index: object, num_classes: int) -> None:
    if not isinstance(ignore_index, int) or isinstance(ignore_index, bool) or not 0 <= ignore_index <= 65535:
        raise InputError(f"{path}: ignore_index must be a whole number in 0 .. 65535, got {json.dumps(ignore_index)}.")
    if ignore_index < num_classes:
        raise InputError(
            f"{path}: ignore_index {ignore_index} is also class {ignore_index} of {num_classes}; "
            f"use a value of at least {num_classes}, in 16-bit labels if it is above 255."
        )
