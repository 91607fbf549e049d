"""The NVIDIA GPUs of this machine, asked of their driver: torch would take memory on each of them."""

from typing import Any


def open_gpus() -> list[Any]:
    """A handle of NVML for each GPU; none without a driver, or without the permission to ask it."""
    import pynvml  # a third of a second, which `ovlab --help` should not cost

    try:
        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []


def gpu_names() -> tuple[str, ...]:
    """What each is called; none where the driver does not say."""
    import pynvml

    try:
        return tuple(str(pynvml.nvmlDeviceGetName(gpu)) for gpu in open_gpus())
    except pynvml.NVMLError:
        return ()
