"""Methods by name: those that come with the package, those of other packages, and a class in a file of one's own.

A package offers one under the entry points "ovlab.methods": a name, and MODULE:CLASS.
"""

import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from logoseg.config import ModelConfig
from logoseg.model_error import ModelError
from logoseg.presets import PRESETS
from ovlab.specs.errors import InputError
from ovlab.specs.method import MethodConfig, Model, as_options, own_method, unresolved
from ovlab.specs.suite import Suite
from ovlab.specs.table import Alone, Table, Variation
from ovlab.specs.training import TrainingSpec
from ovlab.specs.wording import one_line

GROUP = "ovlab.methods"
BUILT_IN: Mapping[str, str] = {
    "cat-seg": "rivals.cat_seg:CatSeg",
    "sed": "rivals.sed:Sed",
    "san": "rivals.san:San",
    "maskclip": "rivals.training_free:MaskClip",
    "sclip": "rivals.training_free:Sclip",
    "clearclip": "rivals.training_free:ClearClip",
    "naclip": "rivals.training_free:NaClip",
    "bridge": "rivals.bridge_alone:BridgeAlone",
}
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


def resolved(config: MethodConfig, files: Mapping[str, str], preset: str) -> MethodConfig:
    """With all options, those of the method's preset or of its defaults among them, and the revision of the code here.

    `preset`: the one of LoGoSeg whose CLIP it stands on. Raises InputError as `method_class`, for a CLIP on which the
    method does not stand, and for an option that it does not have or refuses.
    """
    found, revision = _find(config.method, files)
    presets = getattr(found, "presets", None)
    if presets is None:
        base = _checked(config, lambda: found.Config(clip=config.clip, prompt_templates=config.prompt_templates))
    elif preset in presets:
        base = presets[preset]()
    else:
        raise InputError(f"method {config.method}: does not stand on {preset}, but on {', '.join(presets)}.")
    known = {field.name for field in fields(found.Config)} - {"clip"}
    for name in config.values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise InputError(f"method {config.method}: no option {name!r}. The nearest is {near!r}.")
    return _described(config.method, revision, _checked(config, lambda: replace(base, **_values(config))))


def of_network(method: str, network: Any, files: Mapping[str, str]) -> MethodConfig:
    """What a network that was read from published weights is as data; it keeps its Config as `config`."""
    return _described(method, _find(method, files)[1], network.config)


def own_config(found: type[Any], config: MethodConfig) -> Any:
    """The `Config` of a method's class, with these values. Raises InputError for what it refuses."""
    given = {"clip": config.clip, "prompt_templates": config.prompt_templates, **_values(config)}
    return _checked(config, lambda: found.Config(**given))


def _values(config: MethodConfig) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in config.values.items()}


def _checked(config: MethodConfig, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (ModelError, ValueError, TypeError) as error:
        raise InputError(f"method {config.method}: {one_line(error)}") from None


def _described(method: str, revision: str, config: Any) -> MethodConfig:
    options = {field.name: getattr(config, field.name) for field in fields(config) if field.name not in _SHARED}
    return MethodConfig(
        method=method,
        clip=config.clip,
        prompt_templates=config.prompt_templates,
        options=as_options(options),
        revision=revision,
    )


def training_of(run: Variation, suite: Suite, seed: int, *, limit_steps: int | None = None) -> TrainingSpec:
    """`run.training`, its method resolved. Raises InputError as `resolved`."""
    spec = run.training(suite, seed, limit_steps=limit_steps)
    if isinstance(spec.model, ModelConfig) or run.method is None:
        return spec
    model = resolved(spec.model, own_files([run.method]), run.preset(suite))
    return replace(spec, model=model, augmentation=replace(spec.augmentation, crop_size=model.clip.image_size))


def subject_of(
    run: Variation | Alone, suite: Suite, seed: int, *, limit_steps: int | None = None
) -> TrainingSpec | Model:
    """What a row asks for, its method resolved: a training, or a model that needs none. Raises InputError as
    `resolved`."""
    if isinstance(run, Variation):
        return training_of(run, suite, seed, limit_steps=limit_steps)
    model = run.model(suite)
    return model if isinstance(model, ModelConfig) else resolved(model, own_files([run.method]), run.preset(suite))


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


def named_method(method: str, preset: str, options: Mapping[str, Any]) -> MethodConfig:
    """A method as it is written on a command line, on the CLIP of a preset, resolved."""
    return resolved(unresolved(method, PRESETS[preset](), options), own_files([method]), preset)


def released_network(method: str, file: Path, files: Mapping[str, str]) -> Any:
    """The network of weights that the authors of a method published. Raises InputError for a method that reads none,
    and ModelError for another file."""
    found, _ = _find(method, files)
    if not hasattr(found, "from_released"):
        raise InputError(f"method {method}: reads no published weights; name a preset, as in {method}:shapes-vit-s.")
    return found.from_released(file)


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
