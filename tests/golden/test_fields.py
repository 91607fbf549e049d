"""Every field of an identity is read where work is done: one that only the fingerprint knows would part equal runs, and
one that is forgotten on the way would let a run answer for another.

Reads are heard by class, so that a namesake elsewhere counts for nothing, while runs that between them use every
choice are made, told and reported.
"""

import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any

import jaxtyping
import pytest

import golden
import logoseg
from logoseg.config import ClipConfig, ModelConfig, SlidingWindow, WholeImage
from ovlab.cli import main
from ovlab.specs import evaluation, fingerprint
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.evaluation import Collapse, EvaluationSpec, Protocol, Scoring
from ovlab.specs.resolved import ResolvedTraining
from ovlab.specs.training import ScheduleSpec, TrainingSpec
from ovlab.tracking import params

IDENTITIES = (
    TrainingSpec,
    ModelConfig,
    ClipConfig,
    ScheduleSpec,
    AugmentationSpec,
    ResolvedTraining,
    EvaluationSpec,
    Protocol,
    WholeImage,
    SlidingWindow,
    Scoring,
    Collapse,
)
SOURCES = tuple(str(Path(place).parent) for place in (logoseg.__file__, Path(evaluation.__file__).parent))
# What says, writes, compares and changes any field of any spec.
OF_ANY_SPEC = {str(Path(fingerprint.__file__).with_name(f"{name}.py")) for name in ("fingerprint", "serialization")}
OF_ANY_SPEC |= {str(Path(fingerprint.__file__).with_name(f"{name}.py")) for name in ("fields", "overrides")}
OF_ANY_SPEC.add(params.__file__)
# A property of a spec and who reads it: what hears them, and what checks the type.
BETWEEN = (__file__, str(Path(jaxtyping.__file__).parent), "<@beartype")


def is_use(frame: FrameType | None, own_file: str) -> bool:
    """Whether who reads is neither a check nor the spec itself, as in a property, on behalf of a check."""
    while frame is not None:
        name, file = frame.f_code.co_name, frame.f_code.co_filename
        if name == "__post_init__" or name.startswith("require"):
            return False
        if file != own_file and not file.startswith(BETWEEN):
            return file.startswith(SOURCES) and file not in OF_ANY_SPEC
        frame = frame.f_back
    return False


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """The fields, as "Class.field", that runs, evaluations and a report have read."""
    found: set[str] = set()

    def hear(kind: type) -> Any:
        names = {field.name for field in fields(kind)}
        own_file = sys.modules[kind.__module__].__file__ or ""

        def get(owner: object, name: str) -> object:
            if name in names and is_use(sys._getframe(1), own_file):
                found.add(f"{kind.__name__}.{name}")
            return object.__getattribute__(owner, name)

        return get

    folder = tmp_path_factory.mktemp("fields")
    table = ["first_run", "--limit-steps", "1", "--limit-images", "1", "--store", str(folder / "store")]
    with pytest.MonkeyPatch.context() as patch:
        for kind in IDENTITIES:
            patch.setattr(kind, "__getattribute__", hear(kind))
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name in ("vit, class volume", "vit, pixel embedding"):
            golden.trained(name)
        clip = golden.networks()["clip:shapes-vit-s"]
        for view in golden.VIEWS.values():
            golden.prediction(clip, view)
        score = ["evaluate", "clip:shapes-vit-s", "--data", "shapes-pas-20b", "--limit", "1", "--boundary"]
        assert main([*score, "--device", "cpu", "--store", str(folder / "store")]) == 0
        here = ["--workdir", str(folder / "runs"), "--runs-at-once", "1", "--no-tracking", "--device", "cpu"]
        assert main(["run", *table, *here]) == 0
        assert main(["report", *table]) == 0
        yield found


@pytest.mark.parametrize("kind", IDENTITIES)
def test_every_field_of_an_identity_is_read_where_work_is_done(read: set[str], kind: type) -> None:
    unread = [field.name for field in fields(kind) if f"{kind.__name__}.{field.name}" not in read]

    assert not unread, f"{kind.__name__}: only its fingerprint knows {', '.join(unread)}; use it, or leave it out."
