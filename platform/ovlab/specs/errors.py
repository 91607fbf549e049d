"""The one error that means: the call was wrong, and here is what to do."""


class InputError(ValueError):
    """Bad input from a person: a path, a value, a file. One line that names the thing, what was found and what to do.

    The command line prints the message without a traceback and exits with code 2.
    """
