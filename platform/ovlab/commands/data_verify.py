"""`ovlab data verify`: whether what was prepared, or a folder of one's own, is whole and scores as it must."""

import argparse
import json
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ovlab.commands.data_action import add_action, add_workers, worker_died
from ovlab.specs.wording import percent, thousands

if TYPE_CHECKING:
    from ovlab.datasets.verify import Verification

_EPILOG = """\
examples:
  ovlab data verify data/a-150
  ovlab data verify s3://bucket/a-847 --workers 8 --json
  ovlab data verify photographs/camvid --split train

exit code: 0 everything holds, 1 something does not (each damaged shard and sample is named)
"""


def configure(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = add_action(actions, "verify", "check every byte, count and label, and two known scores", _EPILOG)
    parser.add_argument("uri", metavar="URI", help="where `ovlab data prepare` wrote to, or a folder of your own")
    parser.add_argument("--split", default="val", help="split of a folder of your own (default: val)")
    parser.add_argument("--allow-partial", action="store_true", help="accept fewer samples than were published")
    add_workers(parser)
    parser.set_defaults(execute=_execute)


def _execute(arguments: argparse.Namespace) -> int:
    from ovlab.datasets.folder import open_folder
    from ovlab.datasets.opening import is_own_folder
    from ovlab.datasets.sharded import open_shards
    from ovlab.datasets.verify import verify, verify_folder
    from ovlab.runs.progress import open_progress

    own = is_own_folder(arguments.uri)
    dataset = open_folder(Path(arguments.uri), arguments.split) if own else open_shards(arguments.uri)
    try:
        with open_progress("verify", total=len(dataset), unit="image") as progress:

            def tell(done: int, total: int) -> None:
                progress.update(done)

            if own:
                root = Path(arguments.uri)
                found = verify_folder(root, arguments.split, num_workers=arguments.workers, progress=tell)
            else:
                found = verify(
                    arguments.uri,
                    num_workers=arguments.workers,
                    allow_partial=arguments.allow_partial,
                    progress=tell,
                )
    except BrokenProcessPool:
        return worker_died("nothing was verified")
    if arguments.json:
        print(json.dumps({"passed": found.passed, **asdict(found)}))
    else:
        _print_verification(found)
    return 0 if found.passed else 1


def _print_verification(found: "Verification") -> None:
    print(f"{found.uri}: {found.name} {found.split}, {thousands(found.num_samples)} samples")
    for check in found.checks:
        print(f"    {'ok    ' if check.passed else 'FAILED'}  {check.name}: {check.found}")
    print(f"    {percent(found.ignored_share, 2)} % of the pixels are ignored")
    for problem in found.problems:
        print(f"    {problem}")
    print("verified: everything holds" if found.passed else "verified: something does not hold")
