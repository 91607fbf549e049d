"""What `ovlab predict` is given to look at: files, folders of them, and standard input as "-"."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ovlab.specs.errors import InputError
from ovlab.specs.wording import first_names

STDIN = "-"


def photographs_in(places: Sequence[str]) -> list[Path]:
    """The files, and of each folder the photographs that lie in it, by name; "-" stays what it is.

    Raises InputError for what is not there, for a folder without photographs, and for two of one name, whose answers
    would be one file.
    """
    found: list[Path] = []
    for place in places:
        path = Path(place)
        if place == STDIN or path.is_file():
            found.append(path)
        elif path.is_dir():
            found += _inside(path)
        else:
            raise InputError(f"{place}: {'not a file' if path.exists() else 'no such file'}; give a photograph.")
    twice = [name for name, count in Counter(path.stem for path in found).items() if count > 1]
    if twice:
        names = first_names([str(path) for path in found if path.stem == twice[0]])
        raise InputError(f"{names} would be written to one {twice[0]}-overlay.png; rename one, or give them apart.")
    return found


def _inside(folder: Path) -> list[Path]:
    from PIL import Image

    from ovlab.evaluation.video import SUFFIXES

    Image.init()  # so that all suffixes are known
    known = {*Image.EXTENSION, *SUFFIXES}
    inside = sorted(path for path in folder.iterdir() if path.suffix.lower() in known and path.is_file())
    if not inside:
        raise InputError(f"{folder}: no photograph in it; give a folder with image files, or the files.")
    return inside
