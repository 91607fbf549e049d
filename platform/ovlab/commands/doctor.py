"""`ovlab doctor`: what is there, what is missing, and how to mend it."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ovlab.commands.store_option import add_store

if TYPE_CHECKING:
    from ovlab.checks.installation import Finding

_EPILOG = """\
examples:
  ovlab doctor                                        this machine, without starting anything
  ovlab doctor --ray                                  start a Ray for it, and ask a worker too
  ovlab doctor --address auto --store s3://bucket/store --data coco-stuff=s3://bucket/coco-stuff
  ovlab submit -- doctor --ray --store s3://bucket/store   every node of a cluster, with the sources of a job

A Ray that --address or RAY_ADDRESS names is asked; none is started without --ray.
exit code: 0 the work can be done, 1 a check failed
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "doctor",
        help="check this machine and a cluster",
        description="Check what the work needs; each line says how to mend what is wrong.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_store(parser)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=URI", help="where a data set lies")
    parser.add_argument("--address", metavar="HOST:PORT", help="a running Ray, or auto (default: $RAY_ADDRESS)")
    parser.add_argument("--ray", action="store_true", help="start a Ray where none is named, and ask its workers")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    findings = [*_machine(), *_places(arguments.store, arguments.data)]
    address = arguments.address or os.environ.get("RAY_ADDRESS")
    if arguments.ray or address:
        from ovlab.ray.node_checks import check_ray

        findings += check_ray(address, arguments.store)
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            print(line(finding))
    return 1 if any(finding.status == "failed" for finding in findings) else 0


def line(finding: "Finding") -> str:
    said = f"{finding.status:<8} {finding.check}: {finding.found}"
    return f"{said}\n         {finding.mend}" if finding.mend else said


def _machine() -> "list[Finding]":
    from ovlab.checks import installation as doctor
    from ovlab.checks.torch_probe import probe_torch
    from ovlab.tracking.provenance import devices

    print("importing torch in a process of its own, which takes a while", file=sys.stderr)
    probe = probe_torch()
    # The last one is the processor.
    driver_gpus = devices()[:-1]
    return [
        doctor.packages(doctor.declared_requirements()),
        doctor.torch_pair(probe),
        doctor.gpu(probe, driver_gpus),
        doctor.mamba(probe),
        doctor.photographs(),
        doctor.shared_memory(),
        doctor.token(os.environ, Path.home()),
    ]


def _places(store: str, options: list[str]) -> "list[Finding]":
    from ovlab.checks import installation as doctor
    from ovlab.datasets.places import parse_places

    return [doctor.store(store), doctor.mlflow(store), *doctor.data(parse_places(options), os.environ)]
