import mmap

import torch

from ovlab.runs.peak_memory import PeakMemory

MIB = 2**20


def touched(num_mib: int) -> mmap.mmap:
    """Pages of their own, in use: closing gives them back to the system at once, which a heap need not do."""
    pages = mmap.mmap(-1, num_mib * MIB)
    for _ in range(num_mib):
        pages.write(b"\1" * MIB)
    return pages


def test_peak_counts_what_was_held_and_let_go_since_it_was_made_and_not_before() -> None:
    before = touched(128)
    held = PeakMemory(torch.device("cpu")).num_bytes()
    before.close()
    memory = PeakMemory(torch.device("cpu"))
    low = memory.num_bytes()
    touched(64).close()

    assert held is not None
    assert low is not None
    assert held - low > 96 * MIB
    assert memory.num_bytes() - low > 48 * MIB
