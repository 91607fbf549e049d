"""The one error that means: this configuration or weights file cannot be used, and here is why."""


class ModelError(ValueError):
    """A bad configuration or weights file. One line that names the thing, what was found and what is allowed."""
