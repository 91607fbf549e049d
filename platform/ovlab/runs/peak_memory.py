"""The most memory that a stretch of work held at once."""

from pathlib import Path

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """From its making on: that of torch on a GPU; elsewhere that of the whole process, which Linux alone tells."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.is_known = True
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            _RESET.write_text("5")  # the peak becomes what is held now
        except OSError:
            self.is_known = False

    def num_bytes(self) -> int | None:
        """None where it is not known."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        if not self.is_known:
            return None
        lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
