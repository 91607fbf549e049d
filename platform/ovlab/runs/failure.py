"""A run that was not made, in words."""

import traceback
from typing import NamedTuple

from logoseg.model_error import ModelError
from ovlab.runs.planned import PlannedRun
from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.wording import disk_fault, one_line


class Failure(NamedTuple):
    """A run that was not made, and why in one line."""

    run: PlannedRun
    cause: str


def explained(error: Exception) -> tuple[str, str | None]:
    """The cause in one line; of an error that no message was written for, the traceback too."""
    if isinstance(error, InputError | ModelError | WorkError):
        return str(error), None
    if isinstance(error, OSError) and error.errno is not None:  # as a place that cannot be written to
        return disk_fault(error), None
    return f"{type(error).__name__}: {one_line(error)}", "".join(traceback.format_exception(error))
