"""The CLIP weights that a training starts from: a file or a name that was given, those of the package, or random."""

import re
from pathlib import Path

from logoseg.clip.bridge_facts import BRIDGES, missing_packages
from logoseg.clip.known_files import origin
from logoseg.clip.shipped import RELEASED, is_own, shipped_clip
from logoseg.config import ClipConfig
from logoseg.file_kind import file_kind
from ovlab.specs.errors import InputError

# In place of a file: random weights of the run's seed.
RANDOM = "none"
# What no path to weights looks like.
_NAME = re.compile(r"[\w-]+|hf-hub:[\w.-]+/[\w.-]+", re.ASCII)


def clip_file(preset: str, clip: ClipConfig, given: str | None, *, option: str = "--clip ") -> Path | None:
    """The file, or None for random weights: where `given` is RANDOM, and for a model of the package without weights.

    `option` is what stands before the file in the command. Raises InputError for a file that is not there, ModelError
    for one that `file_kind` refuses and for a name that cannot be fetched, and InputError where nothing is given of a
    model whose released weights do not come with the package.
    """
    if given == RANDOM:
        return None
    if given is not None:
        return given_file(clip, given, option=option)
    shipped = shipped_clip(clip)
    if shipped is None and not is_own(clip):
        raise InputError(f"{preset}: {missing(clip)}; give {option}FILE, or {option}{RANDOM} for random ones.")
    return shipped


def given_file(clip: ClipConfig, given: str, *, option: str = "--clip ") -> Path:
    """The file itself, or the one that a name stands for: a tag of open_clip, or hf-hub:OWNER/NAME. Raises as
    `clip_file` does."""
    if (file := Path(given)).is_file():
        file_kind(file)
        return file
    if is_own(clip) or not _NAME.fullmatch(given):
        raise InputError(f"{option}{given}: no such file.")
    from logoseg.clip.fetching import fetched  # torch, which starting a sweep from files does without

    return fetched(clip.name, given)


def provenance_of(clip: ClipConfig, file: Path | None) -> str:
    """What a record says of the CLIP weights that a training started from."""
    return "random" if file is None else origin(clip, file)


def missing(clip: ClipConfig) -> str:
    """That the weights are not here, and which those of the paper are."""
    if clip.name in BRIDGES:
        return missing_packages(clip.name)
    tag = RELEASED.get(clip.name)
    named = f'in open_clip "{tag}", by which name they are fetched; see "Released CLIP weights" in model/README.md'
    meant = "" if tag is None else f" ({named})"
    return f"CLIP weights of {clip.name} do not come with the package{meant}"
