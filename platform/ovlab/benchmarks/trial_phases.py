"""`ovlab` with its phases timed: `python -m ovlab.benchmarks.trial_phases FILE run ...` writes CPU seconds to FILE."""

import json
import runpy
import sys
import time
from pathlib import Path

from ovlab.benchmarks.phase_clock import PhaseClock

PHASES = {
    "painting": ("ovlab.shapes.dataset:ShapesDataset.__getitem__",),
    "augmentation": ("ovlab.training.batches:augment",),
    "encoder": ("logoseg.network:LoGoSeg.encode_image",),
    "head": ("logoseg.network:LoGoSeg.head",),
    "loss": ("ovlab.training.objective:upsampled_masked_bce",),
    "backward": ("torch:Tensor.backward",),
    "optimiser": ("torch.optim:AdamW.step",),
    "up-sampling": ("logoseg.answer:Answer.winners",),
    "counting": ("ovlab.evaluation.evaluator:sparse_counts",),
    "records": (
        "ovlab.training.loop:write_network",
        "ovlab.runs.evaluations:commit_shard",
        "ovlab.runs.evaluations:_put_record",
        "ovlab.runs.evaluations:keep_pictures",
    ),
}
IMPORTS, REST = "imports", "all else"

if __name__ == "__main__":
    clock = PhaseClock()
    clock.watch(PHASES)
    imports = time.process_time()
    file, sys.argv[1:] = Path(sys.argv[1]), sys.argv[2:]
    try:
        runpy.run_module("ovlab", run_name="__main__", alter_sys=True)  # ends by an exit with its code
    finally:
        named = {IMPORTS: imports, **{phase: clock.seconds[phase] for phase in PHASES}}
        rest = time.process_time() - sum(named.values())
        file.write_text(json.dumps({**named, REST: rest}), encoding="utf-8")
