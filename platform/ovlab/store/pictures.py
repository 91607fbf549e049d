"""A few pictures of an evaluation in the store, for people: photograph, ground truth, prediction, difference.

    evaluations/<fingerprint>/pictures/<sha256>.webp    the pictures, by what is in them
    evaluations/<fingerprint>/pictures/index.json       written last: which images they show, under a seal

Equal pictures have equal names: photograph and ground truth are those of every other run on the benchmark.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ovlab.files.sealed import DamagedError, pack_sealed, unpack_sealed
from ovlab.specs.errors import InputError
from ovlab.specs.serialization import spec_from_json, spec_to_json
from ovlab.store.store import Store, evaluation_folder

FORMAT = "ovlab-pictures-1"

KINDS = ("image", "truth", "prediction", "difference")

Choice = Literal["first", "worst", "best"]

_FILE = re.compile(r"[0-9a-f]{64}\.webp")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureClass:
    """A class that is in the ground truth or the prediction of an image. colour: as #rrggbb; pixels are those that are
    scored. Raises InputError for another colour."""

    name: str
    colour: str
    num_gt_pixels: int
    num_pred_pixels: int

    def __post_init__(self) -> None:
        if not _COLOUR.fullmatch(self.colour):
            raise InputError(f"a colour must be written as #rrggbb, got {self.colour!r}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One image of the benchmark. miou: of this image alone, a fraction; None without ground truth. chosen: why it is
    here. width, height: of the pictures in pixels. files: the name of each of KINDS. Raises InputError for a name that
    `put_picture` does not give."""

    id: str
    miou: float | None
    chosen: Choice
    width: int
    height: int
    files: Mapping[str, str]
    classes: tuple[PictureClass, ...]

    def __post_init__(self) -> None:
        for name in self.files.values():
            if not _FILE.fullmatch(name):
                raise InputError(f"a picture must be named <sha256>.webp, got {name!r}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pictures:
    """Those of one evaluation."""

    pictures: tuple[Picture, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys(name for picture in self.pictures for name in picture.files.values()))


def put_picture(store: Store, fingerprint: str, content: bytes) -> str:
    """Write one picture; returns its name."""
    name = f"{_digest(content)}.webp"
    store.folder.write(_place(fingerprint, name), content)
    return name


def put_pictures(store: Store, fingerprint: str, pictures: Pictures) -> None:
    """Write the index, after all its files."""
    content = {"evaluation": fingerprint, **json.loads(spec_to_json(pictures))}
    store.folder.write(_place(fingerprint, "index.json"), pack_sealed(FORMAT, content))


def pictures_of(store: Store, fingerprint: str) -> Pictures | None:
    """The index of an evaluation's pictures; None where none were kept. Raises DamagedError for other content."""
    name = _place(fingerprint, "index.json")
    content = store.folder.read_existing([name]).get(name)
    if content is None:
        return None
    place = store.folder.locate(name)
    try:
        fields = json.loads(content)
        if fields.keys() != {"pictures"}:  # indices of before had no seal
            fields = unpack_sealed(FORMAT, content, place=place)
            if fields.pop("evaluation") != fingerprint:
                raise DamagedError(f"{place}: damaged, it is the index of another evaluation.")
        return spec_from_json(Pictures, json.dumps(fields), place=place)
    except DamagedError:
        raise
    except (InputError, ValueError, AttributeError, KeyError) as error:
        raise DamagedError(f"{place}: damaged, no pictures can be shown ({error}).") from None


def read_pictures(store: Store, fingerprint: str, names: list[str]) -> dict[str, bytes]:
    """The files among `names` that are there, by name. A damaged one is left out and named in a warning."""
    places = {_place(fingerprint, name): name for name in names}
    found = {places[place]: content for place, content in store.folder.read_existing(places).items()}
    damaged = [name for name, content in found.items() if name != f"{_digest(content)}.webp"]
    for name in damaged:
        place = store.folder.locate(_place(fingerprint, name))
        _log.warning("%s: damaged (its sha256 is not its name); it is left out.", place)
    return {name: content for name, content in found.items() if name not in damaged}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _place(fingerprint: str, name: str) -> str:
    return f"{evaluation_folder(fingerprint)}/pictures/{name}"
