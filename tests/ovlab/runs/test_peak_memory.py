import numpy as np
import torch

from ovlab.runs.peak_memory import PeakMemory


def test_peak_counts_what_was_held_and_let_go_since_it_was_made_and_not_before() -> None:
    before = np.ones(2**27, dtype=np.uint8)
    held = PeakMemory(torch.device("cpu")).num_bytes()
    del before
    memory = PeakMemory(torch.device("cpu"))
    low = memory.num_bytes()
    block = np.ones(2**26, dtype=np.uint8)
    del block

    assert held is not None
    assert low is not None
    assert held - low > 2**26
    assert memory.num_bytes() - low > 2**25
