"""MLflow's client, told to be quiet and to ask once, and its errors as the two that a replay knows.

The files beside this one import it before anything of MLflow, which reads some of these settings when it is imported.
"""

import logging
import os
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

# MLflow asks its own questions again and again for up to an hour; here the spool asks again.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ovlab.specs.wording import one_line
from ovlab.tracking.destination import sole_creator
from ovlab.tracking.replay import Refused, Unavailable

__all__ = ["MlflowClient", "MlflowException", "answered", "prepare_schema"]

# Without its report of every table that a new database gets.
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)

# Answers that no later attempt would change.
_FINAL = {
    "INVALID_PARAMETER_VALUE",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
    "BAD_REQUEST",
    "INVALID_STATE",
}
_REASON_LENGTH = 300
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def answered(call: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """`call` with MLflow's errors as Refused, where no later attempt would help, and Unavailable."""

    @wraps(call)
    def translated(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return call(*args, **kwargs)
        except MlflowException as error:
            raise (Refused if error.error_code in _FINAL else Unavailable)(one_line(error)[:_REASON_LENGTH]) from error
        except OSError as error:  # the network, the disk, a database that is away
            raise Unavailable(one_line(error)[:_REASON_LENGTH]) from error

    return translated


@answered
def prepare_schema(uri: str) -> None:
    """Make the tables of a new database, before anyone writes: two processes that do it at once break it."""
    with sole_creator(uri):
        MlflowClient(uri).search_experiments(max_results=1)
