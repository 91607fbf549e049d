"""The devices that models run on, by name, without asking for them and without torch."""

import re

from ovlab.specs.errors import InputError

_KNOWN = re.compile(r"auto|cpu|cuda(:\d{1,3})?")


def require_device_name(name: str) -> None:
    """Raise InputError for a name of another kind of device: scans and kernels are tested on these two alone."""
    if not _KNOWN.fullmatch(name):
        raise InputError(f"--device {name}: not a device that models run on here; use cpu, cuda, cuda:1 or auto.")
