"""MLflow's client, told to be quiet and to ask once, and its many errors as two.

The files beside this one import it before anything of MLflow, which reads some of these settings when it is imported.
"""

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

# MLflow asks its own questions again and again for up to an hour; here whoever publishes asks again.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# It prints the address of each run that ends, and the password in it.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import _get_alembic_config
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ovlab.files.whole_file import writing
from ovlab.specs.wording import one_line
from ovlab.tracking.destination import sole_creator, sqlite_file

__all__ = ["MlflowClient", "MlflowException", "Refused", "Unavailable", "answered", "prepare_schema"]

# Without its report of every table that a new database gets.
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("urllib3").setLevel(logging.ERROR)

# Answers that no later attempt would change.
_FINAL = {
    "INVALID_PARAMETER_VALUE",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
    "BAD_REQUEST",
    "INVALID_STATE",
}
_REASON_LENGTH = 300
_OTHER_SCHEMA = re.compile(r"(?:found version |revision identified by ')(\w+)")
# What went wrong, somewhere in the exceptions that each library on the way has wrapped around it.
_NETWORK = re.compile(r"(?:\[Errno -?\d+\]|Read timed out|Remote end closed|Connection reset)[^'\")]*")


class Unavailable(Exception):
    """The server cannot be asked now; the same is for a later time. One line that says why."""


class Refused(Exception):
    """The server will never take this. One line that says why."""


@contextmanager
def answered() -> Iterator[None]:
    """MLflow's errors in the block, or in the function below it, as Refused, where no later attempt would help, and
    Unavailable."""
    try:
        yield
    except MlflowException as error:
        raise (Refused if error.error_code in _FINAL else Unavailable)(_cause(error)) from error
    # The network, the disk, a database that is away, none or newer, a driver that is not installed, no address.
    except (OSError, SQLAlchemyError, CommandError, ImportError, ValueError) as error:
        raise Unavailable(_cause(error)) from error


def prepare_schema(uri: str) -> None:
    """Make the tables of a new database, before anyone writes: two processes that do it at once break it.

    Raises Unavailable where there is no such server.
    """
    try:
        with answered(), sole_creator(uri) as new:
            _require_own(uri)
            if new is not None:
                # Beside its place, because MLflow cannot go on with tables that a kill left half made.
                with writing(new) as partial:
                    MlflowClient(f"sqlite:///{partial}").search_experiments(max_results=1)
            MlflowClient(uri).search_experiments(max_results=1)
    except Refused as error:
        raise Unavailable(str(error)) from error


def _require_own(uri: str) -> None:
    """MLflow asks for a file that cannot be opened for minutes, and puts its tables beside those of anyone."""
    file = sqlite_file(uri)
    if file is None or not file.exists():
        return
    file.open("rb").close()
    with closing(sqlite3.connect(file)) as database:
        try:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.Error as error:
            raise OSError(f"{file}: {error}") from None
    if tables and "alembic_version" not in tables:
        raise OSError(f"{file}: not a database of MLflow (it has the table {min(tables)})")


def _cause(error: Exception) -> str:
    text = one_line(error.orig if isinstance(error, DBAPIError) and error.orig is not None else error)
    found = _OTHER_SCHEMA.search(text)
    if found and not _is_known_schema(found[1]):
        return f"a newer MLflow than this one made the schema of the database ({found[1]}); install that one"
    if re.search(r"<(html|!doctype)", text, re.IGNORECASE):
        code = re.search(r"error code (\d+)", text)
        return "a web page answers there, not MLflow" + (f" (HTTP {code[1]})" if code else "")
    network = _NETWORK.search(text)
    if network:
        return f"no answer ({network[0]})"
    return text[:_REASON_LENGTH]


def _is_known_schema(revision: str) -> bool:
    scripts = ScriptDirectory.from_config(_get_alembic_config("sqlite://"))
    return revision in {script.revision for script in scripts.walk_revisions()}
