"""Which device a command runs on."""

import torch

from ovlab.specs.errors import InputError


def pick_device(name: str) -> torch.device:
    """The device called `name`; "auto" is a GPU where there is one. Raises InputError for one that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"--device {name}: not a device; use cpu, cuda, cuda:1 or auto.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"--device {name}: this machine has no CUDA device that torch can use; use cpu or auto.")
    return device


def device_name(device: torch.device) -> str:
    """What a record says of the device: the model of a GPU, else the kind."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
