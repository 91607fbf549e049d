"""What torch and its companions say of themselves, asked in a process of its own: a broken build may end it."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

_TIMEOUT = 180


@dataclass(frozen=True, slots=True)
class TorchProbe:
    """Versions are None where an import failed; `cuda` is what torch was built for, None for a build without.

    mamba: "absent", "works", or why it cannot be imported. error: of torch or torchvision.
    """

    torch: str | None = None
    torchvision: str | None = None
    cuda: str | None = None
    gpus: tuple[str, ...] = ()
    mamba: str = "absent"
    error: str | None = None


def probe_torch() -> TorchProbe:
    try:
        child = subprocess.run(
            [sys.executable, "-m", __name__], capture_output=True, text=True, check=False, timeout=_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return TorchProbe(error=f"importing torch and torchvision took more than {_TIMEOUT} s")
    try:
        found = json.loads(child.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = child.stderr.strip().splitlines()
        return TorchProbe(error=f"the import ended with {child.returncode}: {said[-1] if said else 'no word'}")
    return TorchProbe(**{**found, "gpus": tuple(found["gpus"])})


def _probe() -> TorchProbe:
    try:
        import torch
    except (ImportError, OSError) as error:
        return TorchProbe(error=_line(error))
    gpus = tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    try:
        import torchvision  # type: ignore[import-untyped]
        from torchvision.ops import nms  # type: ignore[import-untyped]

        # An operator of its own: a pair that does not match may import, and fail here.
        nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return TorchProbe(str(torch.__version__), None, torch.version.cuda, gpus, _mamba(), _line(error))
    return TorchProbe(str(torch.__version__), str(torchvision.__version__), torch.version.cuda, gpus, _mamba())


def _mamba() -> str:
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn  # noqa: F401
    except ModuleNotFoundError as error:
        return "absent" if error.name == "mamba_ssm" else _line(error)
    except Exception as error:  # a kernel built for another torch raises what it likes
        return _line(error)
    return "works"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


if __name__ == "__main__":
    print(json.dumps(asdict(_probe())))
