"""Where data sets and CLIP weights lie on this machine. No part of what a run is: another machine has other places."""

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from logoseg.presets import PRESETS
from ovlab.datasets.places import open_named
from ovlab.datasets.sample import SegmentationDataset
from ovlab.runs.clip_files import clip_file
from ovlab.specs.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """places: of data sets by name. clip_files: by preset, RANDOM for random weights. method_files: of classes of one's
    own, by their name."""

    places: Mapping[str, str] = field(default_factory=dict)
    clip_files: Mapping[str, str] = field(default_factory=dict)
    method_files: Mapping[str, str] = field(default_factory=dict)

    def absolute(self) -> "Sources":
        """The same places, for a process with another working folder."""
        places = {name: uri if "://" in uri else os.path.realpath(uri) for name, uri in self.places.items()}
        files = {
            preset: os.path.realpath(file) if Path(file).exists() else file  # a name, or RANDOM
            for preset, file in self.clip_files.items()
        }
        methods = {name: os.path.realpath(file) for name, file in self.method_files.items()}
        return Sources(places=places, clip_files=files, method_files=methods)

    def dataset(self, name: str, split: str) -> SegmentationDataset:
        """The split, opened. Raises InputError where it is not."""
        return open_named(name, split, self.places)

    def clip_file(self, preset: str) -> Path | None:
        """The CLIP weights that a training of `preset` starts from; see `ovlab.runs.clip_files`."""
        return clip_file(preset, PRESETS[preset]().clip, self.clip_files.get(preset), option=f"--clip {preset}=")


def parse_clip_files(options: Iterable[str]) -> dict[str, str]:
    """The files or names by preset, from options PRESET=FILE. Raises InputError for another form, and for a preset that
    is not there."""
    files: dict[str, str] = {}
    for option in options:
        preset, equals, file = option.partition("=")
        if not (preset and equals and file):
            raise InputError(f"--clip {option}: write PRESET=FILE, for example vit-b16=ViT-B-16.pt.")
        if preset not in PRESETS:
            nearest = difflib.get_close_matches(preset, PRESETS, n=1, cutoff=0.0)[0]
            raise InputError(f"--clip {option}: no preset {preset!r}. The nearest is {nearest!r}.")
        if files.setdefault(preset, file) != file:
            raise InputError(f"--clip {option}: {preset} was given before as {files[preset]}; give one file.")
    return files
