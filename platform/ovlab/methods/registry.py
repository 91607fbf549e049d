"""Methods by name: those that come with the package, those of other packages, and a class in a file of one's own.

A package offers one under the entry points "ovlab.methods": a name, and MODULE:CLASS.
"""

import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from logoseg.config import ClipConfig, ModelConfig
from logoseg.model_error import ModelError
from ovlab.specs.errors import InputError
from ovlab.specs.method import MethodConfig, Model, as_options, own_method
from ovlab.specs.suite import Suite
from ovlab.specs.table import Alone, Table, Variation
from ovlab.specs.training import TrainingSpec
from ovlab.specs.wording import one_line

GROUP = "ovlab.methods"
BUILT_IN: Mapping[str, str] = {}
# Where nothing is one's own.
NO_FILES: Mapping[str, str] = {}
# Fields of a method's Config that are fields of MethodConfig too.
_SHARED = ("clip", "prompt_templates")


def method_class(config: MethodConfig, files: Mapping[str, str]) -> type[Any]:
    """The class behind a method; `files` says where those of one's own lie, by the name of the class.

    Raises InputError for a method that is not there, that cannot be imported, that lacks a call of a Segmenter, or
    whose code is not that of `config.revision`.
    """
    found, revision = _find(config.method, files)
    if config.revision is not None and config.revision != revision:
        raise InputError(
            f"method {config.method}: its code is {revision[:12]} here, and {config.revision[:12]} where it was "
            f"planned or trained. Give the same code, or train again."
        )
    return found


def resolved(config: MethodConfig, files: Mapping[str, str]) -> MethodConfig:
    """With all options, those of the defaults among them, and the revision of the code that is here.

    Raises InputError as `method_class`, and for an option that the method does not have or refuses.
    """
    found, revision = _find(config.method, files)
    known = {field.name for field in fields(found.Config)} - {*_SHARED}
    for name in config.values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            nearest = f" The nearest is {near[0]!r}." if near else " It has none."
            raise InputError(f"method {config.method}: no option {name!r}.{nearest}")
    whole = own_config(found, config)
    values = {name: getattr(whole, name) for name in known}
    return replace(config, options=as_options(values), revision=revision, prompt_templates=whole.prompt_templates)


def own_config(found: type[Any], config: MethodConfig) -> Any:
    """The `Config` of a method's class, with these values. Raises InputError for what it refuses."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in config.values.items()}
    try:
        return found.Config(clip=config.clip, prompt_templates=config.prompt_templates, **values)
    except (ModelError, ValueError, TypeError) as error:
        raise InputError(f"method {config.method}: {one_line(error)}") from None


def training_of(run: Variation, suite: Suite, seed: int, *, limit_steps: int | None = None) -> TrainingSpec:
    """`run.training`, its method resolved. Raises InputError as `resolved`."""
    spec = run.training(suite, seed, limit_steps=limit_steps)
    if isinstance(spec.model, ModelConfig) or run.method is None:
        return spec
    return replace(spec, model=resolved(spec.model, own_files([run.method])))


def subject_of(
    run: Variation | Alone, suite: Suite, seed: int, *, limit_steps: int | None = None
) -> TrainingSpec | Model:
    """What a row asks for, its method resolved: a training, or a model that needs none. Raises InputError as
    `resolved`."""
    if isinstance(run, Variation):
        return training_of(run, suite, seed, limit_steps=limit_steps)
    model = run.model(suite)
    return model if isinstance(model, ModelConfig) else resolved(model, own_files([run.method]))


def own_files(methods: Sequence[str]) -> dict[str, str]:
    """Where the classes of one's own lie, of methods as they are written on a command line or in a table."""
    files: dict[str, str] = {}
    for own in filter(None, map(own_method, methods)):
        if files.setdefault(own.name, own.file) != own.file:
            raise InputError(f"{own.name} stands in {own.file} and in {files[own.name]}; rename one of the two.")
    return files


def own_files_of(tables: Iterable[Table]) -> dict[str, str]:
    """The same of all rows of tables."""
    methods = (getattr(row.run, "method", None) for table in tables for row in table.rows)
    return own_files(list(dict.fromkeys(method for method in methods if method is not None)))


def named_method(method: str, clip: ClipConfig, options: Mapping[str, Any]) -> MethodConfig:
    """A method as it is written on a command line, resolved."""
    own = own_method(method)
    config = MethodConfig(method=own.name if own else method, clip=clip, options=as_options(options))
    return resolved(config, own_files([method]))


def _find(name: str, files: Mapping[str, str]) -> tuple[type[Any], str]:
    """The class, and its revision."""
    if name in files:
        path = Path(files[name])
        found = getattr(_module(path), name, None)
        if found is None:
            raise InputError(f"{path}: has no class {name}.")
        revision = hashlib.sha256(path.read_bytes()).hexdigest()
    else:
        found = _imported(name, _registered(name))
        revision = f"{getattr(found, 'version', None)}"
        if not revision.isdecimal():
            raise InputError(f"method {name}: its class needs `version`, a whole number that tells its code apart.")
    from ovlab.methods.segmenter import require_segmenter  # torch, which came with the class

    require_segmenter(found, f"method {name}")
    return found, revision


def _registered(name: str) -> str:
    known = dict(BUILT_IN) | {point.name: point.value for point in entry_points(group=GROUP)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        nearest = f" The nearest is {near[0]!r}." if near else ""
        raise InputError(f"no method {name!r}.{nearest} One of your own is written FILE.py:CLASS (--method).")
    return known[name]


def _imported(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"method {name}: {place} cannot be imported ({one_line(error)}).") from None


def _module(path: Path) -> Any:
    """The module of a file, imported once, under a name that any process gives it."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; it is to hold a method.")
    name = f"ovlab_method_{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None  # a .py
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except Exception as error:  # whatever a person's file raises is said in one line
        del sys.modules[name]
        raise InputError(f"{path}: cannot be imported ({type(error).__name__}: {one_line(error)}).") from None
    return module
