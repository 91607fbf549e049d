"""Names that a store, a manifest or an index gives lead to no place outside of its folder."""

import os
from pathlib import Path, PurePosixPath

from ovlab.files.sealed import DamagedError


def require_inside(folder: str, name: str) -> None:
    """Raises DamagedError for the name of a file in `folder`, here or in a bucket, that is absolute or has a ".."."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise DamagedError(f"{folder}: the name {name!r} leads out of it; nothing is read or written there.")


def inside(folder: Path, name: str) -> Path:
    """The place of `name` in `folder`. Raises DamagedError as `require_inside`, and for links that lead elsewhere;
    `folder` itself may be one."""
    require_inside(str(folder), name)
    path = folder / name
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise DamagedError(f"{path}: a link leads out of {folder}; nothing is read or written there.")
    return path
