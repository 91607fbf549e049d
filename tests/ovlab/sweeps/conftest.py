import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ovlab.results import shards


@pytest.fixture(scope="session")
def micro_run() -> ModuleType:
    """The module micro_run.py beside this file, which is a program too."""
    spec = importlib.util.spec_from_file_location("micro_run", Path(__file__).with_name("micro_run.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True, scope="module")
def small_shards_and_own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "IMAGES_PER_SHARD", 2)
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield
