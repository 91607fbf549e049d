"""GPUs that cannot be asked are no GPUs, and no error."""

import pynvml
import pytest

from ovlab.store.gpus import gpu_names, open_gpus


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda gpu: f"NVIDIA {gpu}")


def refuse(*_arguments: object) -> None:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)


@pytest.mark.usefixtures("two_gpus")
def test_gpus_are_named_in_their_order() -> None:
    assert gpu_names() == ("NVIDIA 0", "NVIDIA 1")


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_driver_that_refuses_gives_no_gpu(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setattr(pynvml, call, refuse)

    assert (open_gpus(), gpu_names()) == ([], ())


@pytest.mark.usefixtures("two_gpus")
def test_gpu_that_does_not_say_its_name_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", refuse)

    assert gpu_names() == ()
