"""Which device a command runs on."""

import torch

from ovlab.specs.device_names import require_device_name
from ovlab.specs.errors import InputError


def named_device(name: str) -> torch.device:
    """The device called `name`, of this machine or another; "auto" is a GPU where this one has one. Raises InputError
    as `require_device_name`."""
    require_device_name(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def is_here(device: torch.device) -> bool:
    """Whether this machine has it."""
    return device.type != "cuda" or (device.index or 0) < torch.cuda.device_count()


def pick_device(name: str) -> torch.device:
    """`named_device` of this machine. Raises InputError for one that is not there."""
    device = named_device(name)
    if not is_here(device):
        raise InputError(f"--device {name}: this machine has no such CUDA device that torch can use; use cpu or auto.")
    return device


def device_name(device: torch.device) -> str:
    """What a record says of the device: the model of a GPU of this machine, else the kind."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" and is_here(device) else device.type
