"""A method other than LoGoSeg as data: its name, the CLIP underneath and its options. Plain values, no code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from logoseg.config import ClipConfig, ModelConfig
from logoseg.prompts import PAPER
from ovlab.specs.errors import InputError
from ovlab.specs.fingerprint import canonical_json


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodConfig:
    """`method` is a name of `ovlab.methods.registry`, or that of a class of one's own; where its file lies is no part
    of what it is. `options` are its settings by name, each as JSON, in the order of their names.

    `revision` tells one code of the method from another: the version that it declares, or the sha256 of its file. None
    in a table, which does not look; see `ovlab.methods.registry.resolved`.
    """

    method: str
    clip: ClipConfig
    prompt_templates: tuple[str, ...] = PAPER
    options: tuple[tuple[str, str], ...] = ()
    revision: str | None = field(default=None)

    def __post_init__(self) -> None:
        if not self.method.replace("-", "_").isidentifier():
            raise InputError(f"MethodConfig.method must be a name, such as cat-seg or a class; got {self.method!r}.")

    @property
    def fewest_tokens(self) -> int:
        """A side that it can work on, in tokens."""
        return 1

    @property
    def values(self) -> dict[str, Any]:
        """The options as plain values."""
        return {name: json.loads(value) for name, value in self.options}


def as_options(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """`MethodConfig.options` of plain values. Raises InputError for one that JSON cannot hold."""
    return tuple((name, canonical_json(values[name])) for name in sorted(values))


Model = ModelConfig | MethodConfig


def method_name(model: Model) -> str:
    """What a person calls the method of a model."""
    return model.method if isinstance(model, MethodConfig) else "LoGoSeg"


class OwnMethod(NamedTuple):
    """A class of one's own, and the file in which it stands."""

    name: str
    file: str


def own_method(method: str) -> OwnMethod | None:
    """FILE.py:CLASS taken apart; None for a plain name. Raises InputError for half of it."""
    file, colon, name = method.rpartition(":")
    if not colon and not method.endswith(".py"):
        return None
    if not name.isidentifier() or not file.endswith(".py"):
        raise InputError(f"{method}: write FILE.py:CLASS, for example my_method.py:MyMethod.")
    return OwnMethod(name, str(Path(file)))


def unresolved(method: str, model: ModelConfig, options: Mapping[str, Any]) -> MethodConfig:
    """A method as a person writes it, a name or FILE.py:CLASS, on the CLIP and with the prompts of a preset."""
    own = own_method(method)
    return MethodConfig(
        method=own.name if own else method,
        clip=model.clip,
        prompt_templates=model.prompt_templates,
        options=as_options(options),
    )
