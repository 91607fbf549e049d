"""How busy this machine is, under the names that MLflow's page of system metrics shows.

MLflow's own monitor would send each sample from the training process to the server; these go through the journal.
"""

import psutil
import pynvml

from ovlab.store.gpus import open_gpus


class SystemMetrics:
    """Call it for a sample: percentages, and megabytes of 10^6 bytes. `node` tells several machines of one run apart.

    Rates are since the call before. What cannot be measured is left out; nothing is raised.
    """

    def __init__(self, node: str | None = None) -> None:
        self.prefix = "system/" if node is None else f"system/{node}/"
        self._gpus = open_gpus()
        self._sent, self._received = _network_bytes()
        psutil.cpu_percent()  # the first call has nothing to compare with

    def __call__(self) -> dict[str, float]:
        sample: dict[str, float] = {}
        for measure in (self._processor, self._disk, self._network, self._gpu):
            try:
                sample |= measure()
            except Exception:  # a metric less, for whatever reason, is no reason to disturb a run
                continue
        return {self.prefix + name: value for name, value in sample.items()}

    def _processor(self) -> dict[str, float]:
        memory = psutil.virtual_memory()
        return {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / 1e6,
            "system_memory_usage_percentage": memory.percent,
        }

    def _disk(self) -> dict[str, float]:
        disk = psutil.disk_usage("/")
        return {"disk_usage_percentage": disk.percent, "disk_available_megabytes": disk.free / 1e6}

    def _network(self) -> dict[str, float]:
        sent, received = _network_bytes()
        rates = {
            "network_transmit_megabytes": (sent - self._sent) / 1e6,
            "network_receive_megabytes": (received - self._received) / 1e6,
        }
        self._sent, self._received = sent, received
        return rates

    def _gpu(self) -> dict[str, float]:
        sample = {}
        for index, gpu in enumerate(self._gpus):
            memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
            sample[f"gpu_{index}_memory_usage_megabytes"] = memory.used / 1e6
            sample[f"gpu_{index}_memory_usage_percentage"] = 100 * memory.used / memory.total
            sample[f"gpu_{index}_utilization_percentage"] = float(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu)
        return sample


def _network_bytes() -> tuple[int, int]:
    counters = psutil.net_io_counters()
    return (0, 0) if counters is None else (counters.bytes_sent, counters.bytes_recv)
