"""ovlab.runs.failure: why a run was not made, in words."""

import pytest

from logoseg.model_error import ModelError
from ovlab.runs.failure import explained
from ovlab.specs.errors import InputError, WorkError


@pytest.mark.parametrize("kind", [InputError, ModelError, WorkError])
def test_error_that_a_message_was_written_for_is_that_message(kind: type[Exception]) -> None:
    assert explained(kind("a sentence.")) == ("a sentence.", None)


def test_place_that_cannot_be_written_to_is_named_without_a_traceback() -> None:
    error = OSError(30, "Read-only file system", "/store/trainings")

    cause, trace = explained(error)

    assert cause.startswith("/store/trainings: Read-only file system. ")
    assert trace is None


def test_any_other_error_has_its_type_and_its_traceback() -> None:
    cause, report = explained(KeyError("x"))

    assert cause == "KeyError: 'x'"
    assert report is not None
    assert "KeyError" in report
