"""The command line: parse, call, print. Every command lives in ovlab.commands and imports its heavy parts when run."""

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from logoseg.model_error import ModelError
from ovlab.commands import (
    bench,
    compare,
    dashboards,
    data,
    demo,
    doctor,
    evaluate,
    plan,
    predict,
    pretrain,
    report,
    run,
    runs,
    submit,
    train,
    try_words,
)
from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.wording import disk_fault, is_unicode

_EPILOG = """\
examples:
  ovlab demo                                             the whole way once, on a laptop
  ovlab train --data DIR --preset tiny --out runs/first  train on a folder of photographs and labels
  ovlab evaluate runs/first --data DIR --split test      both mIoU conventions, per class
  ovlab plan table4                                      which runs a table of the paper needs
  ovlab run table4                                       make those that are missing
  ovlab report --out report                              all tables from the store, as pages and for a paper
  ovlab submit -- run table4 --store s3://bucket/store   the same as a job of a Ray cluster
  ovlab doctor                                           what is missing, and how to mend it
  ovlab predict photo.jpg --weights runs/first --classes "road, car, tree"
  ovlab try runs/first                                   a page: drop a photograph, type words, point for scores

completion, in bash and zsh: eval "$(register-python-argcomplete ovlab)"

exit codes: 0 done, 1 the work failed, 2 the call was wrong
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else here does. Its subparsers are of the same kind."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help.\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """With the nearest name, which argparse itself gives from Python 3.14 on."""
        if action.choices is not None and value not in action.choices:
            names = [str(choice) for choice in action.choices]
            near = difflib.get_close_matches(str(value), names, n=1)
            guess = f"the nearest is {near[0]!r}" if near else f"choose from {', '.join(names)}"
            raise argparse.ArgumentError(action, f"there is no {value!r}; {guess}")


class _Version(argparse.Action):
    """That of the installed package; read when asked for, not at every start."""

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> NoReturn:
        from importlib.metadata import version

        print(f"ovlab {version('logoseg')}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ovlab",
        description="The laboratory around LoGoSeg: open-vocabulary segmentation, from data to table.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (
        demo,
        data,
        pretrain,
        train,
        evaluate,
        plan,
        run,
        report,
        dashboards,
        compare,
        predict,
        try_words,
        runs,
        submit,
        doctor,
        bench,
    ):
        command.configure(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks how the line may go on
        import argcomplete

        argcomplete.autocomplete(parser)
    parsed = parser.parse_args(arguments)
    try:
        broken = next((argument for argument in arguments if not is_unicode(argument)), None)
        if broken is not None:
            raise InputError(f"{broken!a} is not UTF-8; rename the file, or give the words, in UTF-8.")
        return parsed.execute(parsed)
    except (InputError, ModelError) as error:
        print(f"ovlab: {error}", file=sys.stderr)
        return 2
    except WorkError as error:
        print(f"ovlab: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"ovlab: {disk_fault(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ovlab: interrupted", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
