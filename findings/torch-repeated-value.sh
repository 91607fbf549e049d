#!/bin/sh
# Guess: a function of one value gives one value, wherever in a tensor it stands.
# Found: On CPU, sigmoid, softplus and silu of a tensor full of ONE number hold two numbers, one unit in the last
# place apart: whole vectors go through another routine than the rest at the end (and short tensors through that
# alone). So a pixel's probability depends on where it stands and on the size of its batch. Seen with torch for x86-64
# with AVX2 and with AVX-512 (set ATEN_CPU_CAPABILITY=avx2 to choose); 37 elements leave a rest with either. The CUDA
# build agrees with AVX-512; other processors were not tried.
set -eu
sed -n '2,/^[^#]/s/^# //p' "$0"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 ||
    { echo "cannot install: nothing was tested"; exit 2; }

venv/bin/python -I - <<'PROGRAM'
import os
import subprocess
import sys

PROGRAM = """
import torch
torch.set_num_threads(1)
functions = {"sigmoid": torch.sigmoid, "softplus": torch.nn.functional.softplus, "silu": torch.nn.functional.silu}
print(torch.__version__, torch.backends.cpu.get_cpu_capability())
for name, function in functions.items():
    split = [(v, function(torch.full((37,), v)).unique()) for v in torch.linspace(-4, 4, 200).tolist()]
    split = [(value, found.tolist()) for value, found in split if len(found) > 1]
    print(name, len(split), *split[:1])
"""


def output(capability):
    environment = os.environ | ({"ATEN_CPU_CAPABILITY": capability} if capability else {})
    program = [sys.executable, "-I", "-c", PROGRAM]
    return subprocess.run(program, check=True, capture_output=True, text=True, env=environment).stdout.splitlines()


as_stated = True
for capability in (None, "avx2"):
    build, *lines = output(capability)
    print("Versions: torch", build)
    for line in lines:
        name, count, *example = line.split(" ", 2)
        print(f"  {name}: {count} of 200 values come out as two, e.g.", *example)
        as_stated = as_stated and int(count) > 0
raise SystemExit(None if as_stated else "changed: torch-repeated-value is no longer as stated")
PROGRAM
