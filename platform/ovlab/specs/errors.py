"""The errors that are said in one line, without a traceback: the call was wrong, and the work failed."""


class InputError(ValueError):
    """Bad input from a person: a path, a value, a file. One line that names the thing, what was found and what to do.

    The command line prints the message without a traceback and exits with code 2.
    """


class WorkError(RuntimeError):
    """The call was right, but the work cannot go on. One line that says where and why; exit code 1."""


class StoreError(WorkError, OSError):
    """A disk or a server does not do what it is there for. One line with the place and what to do; exit code 1."""


class Stopped(WorkError):
    """The work was asked to stop before its end. What is done is kept, and the same call continues it."""
