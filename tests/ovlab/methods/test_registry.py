"""From the name of a method to its class and its options; what a method must have is said in one line."""

from pathlib import Path

import pytest

from logoseg.presets import PRESETS
from ovlab.methods.registry import method_class, named_method, own_files, own_files_of, subject_of
from ovlab.specs.errors import InputError
from ovlab.specs.fingerprint import fingerprint
from ovlab.specs.method import MethodConfig, as_options, own_method
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import Alone, Row, Table, Variation
from ovlab.specs.training import TrainingSpec

COSINE = Path(__file__).parents[2] / "programs" / "cosine_method.py"
PRESET = "shapes-vit-s"
WHOLE = """
from dataclasses import dataclass
from torch import nn


@dataclass(frozen=True)
class Config:
    clip: object
    prompt_templates: tuple = ("a {}",)


class Whole(nn.Module):
    Config = Config

    def encode_text(self, names, templates): ...
    def text_digest(self): ...
    def encode_image(self, images): ...
    def head(self, features, text, *, class_mask=None, class_cap=None): ...
"""


def cosine(**options: object) -> MethodConfig:
    return named_method(f"{COSINE}:Cosine", PRESET, options)


def write(folder: Path, text: str) -> str:
    (folder / "mine.py").write_text(text)
    return str(folder / "mine.py")


def test_method_with_a_default_and_the_same_given_is_one_method() -> None:
    assert fingerprint(cosine()) == fingerprint(cosine(width=16)) != fingerprint(cosine(width=8))
    assert cosine(width=8).values == {"width": 8}


def test_method_whose_file_changes_is_another_and_is_refused_where_the_first_was_planned(tmp_path: Path) -> None:
    file = write(tmp_path, WHOLE)
    first = named_method(f"{file}:Whole", PRESET, {})
    Path(file).write_text(WHOLE + "\n# another thought\n")
    second = named_method(f"{file}:Whole", PRESET, {})

    assert fingerprint(first) != fingerprint(second)
    with pytest.raises(InputError, match=r"method Whole: its code is .* here, and .* where it was planned"):
        method_class(first, {"Whole": file})


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (WHOLE.replace("    def text_digest(self): ...\n", ""), "method Whole lacks text_digest"),
        (WHOLE.replace("    Config = Config\n", "").replace("    def head", "    def heads"), "lacks Config, head"),
        (WHOLE.replace("class Whole(nn.Module)", "class Whole"), "no torch.nn.Module class"),
        (WHOLE.replace("class Whole", "class Half"), "has no class Whole"),
        ("import nothing_of_that_name\n", r"cannot be imported \(ModuleNotFoundError"),
        ("1 / 0\n", r"cannot be imported \(ZeroDivisionError: division by zero\)"),
    ],
)
def test_method_that_lacks_what_a_segmenter_has_is_said_in_one_line(
    tmp_path: Path, changed: str, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        named_method(f"{write(tmp_path, changed)}:Whole", PRESET, {})

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "options", "complaint"),
    [
        ("cosine", {}, "no method 'cosine'"),
        (f"{COSINE}:Cosine", {"widht": 3}, "no option 'widht'. The nearest is 'width'"),
        (f"{COSINE}:Cosine", {"width": 0}, "width must be at least 1, got 0"),
        (f"{COSINE}", {}, "write FILE.py:CLASS"),
        ("nowhere.py:Cosine", {}, "nowhere.py: no such file"),
    ],
)
def test_method_that_is_not_there_or_refuses_an_option_is_said_in_one_line(
    method: str, options: dict[str, object], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        named_method(method, PRESET, options)


def test_own_method_is_taken_apart_and_a_name_is_left_alone() -> None:
    assert own_method("a/b.py:Mine") == ("Mine", "a/b.py")
    assert own_method("cat-seg") is None


def test_own_files_with_one_name_in_two_files_are_refused() -> None:
    with pytest.raises(InputError, match=r"Mine stands in b\.py and in a\.py"):
        own_files(["a.py:Mine", "b.py:Mine"])


def test_own_files_of_tables_are_those_of_trained_and_untrained_rows() -> None:
    rows = (
        Row(key="a", label="A", run=Variation(method="a.py:A")),
        Row(key="b", label="B", run=Alone(method="b.py:B")),
        Row(key="c", label="C", run=Alone()),
        Row(key="d", label="D", run=Variation()),
    )
    assert own_files_of([Table(name="t", title="T", rows=rows)]) == {"A": "a.py", "B": "b.py"}


def test_subject_of_a_row_is_a_training_of_the_method_or_the_model_alone() -> None:
    trained = subject_of(Variation(method=f"{COSINE}:Cosine", model={"width": 4}, schedule={"steps": 7}), SHAPES, 3)
    assert isinstance(trained, TrainingSpec)
    assert trained.model == cosine(width=4)
    assert (trained.schedule.steps, trained.seed) == (7, 3)

    assert subject_of(Alone(method=f"{COSINE}:Cosine", options={"width": 4}), SHAPES, 3) == cosine(width=4)
    assert subject_of(Alone(), SHAPES, 3) == PRESETS[PRESET]()


def test_variation_of_a_method_with_a_region_grid_is_refused() -> None:
    with pytest.raises(InputError, match="region_grid is LoGoSeg's"):
        subject_of(Variation(method=f"{COSINE}:Cosine", region_grid=6), SHAPES, 0)


def test_options_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(InputError, match="cannot fingerprint"):
        as_options({"function": print})
