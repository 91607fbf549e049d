"""`ovlab bench`: speed as a ratio against a named peer, measured in one run, and how often verdicts are false."""

import argparse
import importlib
import sys

from ovlab.specs.errors import InputError

# Each is a module of ovlab.benchmarks, NAME_speed but for one, with add_arguments(parser) and run(arguments) -> Report.
_OF_ERRORS = "verdicts"
BENCHMARKS = {
    "scan": "the selective scan against mamba-ssm's reference and mambapy",
    "postprocess": "up-sampling and argmax in one go against the two steps",
    "head": "our heads against those of CAT-Seg, SED and SAN, and as a share of the ViT-B/16 image encoder",
    "metrics": "counting a confusion matrix against detectron2's way and torchmetrics",
    "intervals": "the image bootstrap as a product of matrices against loops over resamples",
    "tables": "all tables and the site from a store of many runs",
    "data": "preparing, verifying and reading shards",
    "evaluation": "one process against Ray with 1 and 2 actors, and what Ray adds",
    "sweep": "the rows of Table 4 in one process against trials of Ray Tune, and what Ray adds",
    "trial": "whole runs of Table 4 against those of another checkout, and by phase",
    "start": "what a command costs before its work begins against importing torch and open_clip",
    "gpu": "images/s of training and evaluation on a CUDA device, and its scan against mamba-ssm's kernel",
    "presets": "size, time and memory of every preset at its real resolution",
    _OF_ERRORS: "false verdicts, coverage and power of the tests behind claims",
}

_EPILOG = """\
benchmarks:
{names}

examples:
  ovlab bench scan
  ovlab bench head --help

Each prints a table and, as its last line, the same figures as one JSON document. Absolute times mean little on a
busy machine; the ratios are of one run.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    names = "\n".join(f"  {name:<12} {text}" for name, text in BENCHMARKS.items())
    parser = commands.add_parser(
        "bench",
        help="measure speed against named peers",
        description="Measure speed against named peers.",
        epilog=_EPILOG.format(names=names),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("benchmark", choices=BENCHMARKS, metavar="BENCHMARK", help=", ".join(BENCHMARKS))
    # What follows belongs to the benchmark, whose module is heavy and loaded only when it is named.
    parser.add_argument(
        "options", nargs=argparse.REMAINDER, help="options of the benchmark; see ovlab bench NAME --help"
    )
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    from ovlab.benchmarks.outcome import print_json, print_report

    if not sys.platform.startswith("linux"):
        raise InputError("ovlab bench reads peak memory from /proc, which only Linux has.")
    name = "verdict_errors" if arguments.benchmark == _OF_ERRORS else f"{arguments.benchmark}_speed"
    module = importlib.import_module(f"ovlab.benchmarks.{name}")
    parser = argparse.ArgumentParser(
        prog=f"ovlab bench {arguments.benchmark}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON document alone")
    options = parser.parse_args(arguments.options)
    _require_counts(f"bench {arguments.benchmark}", options)
    (print_json if options.json else print_report)(module.run(options))
    return 0


def _require_counts(command: str, options: argparse.Namespace) -> None:
    """Raise InputError for a number below 1: sizes, repeats and threads are what benchmarks take."""
    for name, given in vars(options).items():
        for number in given if isinstance(given, list) else [given]:
            if type(number) is int and number < 1:
                raise InputError(f"{command}: --{name.replace('_', '-')} must be at least 1, got {number}.")
