"""`ovlab submit`: run a command of ovlab as a job of a Ray cluster."""

import argparse
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from ovlab.specs.errors import InputError
from ovlab.specs.wording import shown

_EPILOG = """\
examples:
  ovlab submit -- run table4 --suite shapes --store s3://bucket/store
  OVLAB_STORE=s3://bucket/store ovlab submit --address http://head:8265 -- run table4 --suite shapes
  ovlab submit --no-wait --env MLFLOW_TRACKING_URI=http://10.0.0.5:5000 -- run table1 --suite paper

The sources and experiments/ are sent, stamped with the commit and what was changed since: the files that git tracks
(`git add` a new one), or without git those with the suffix of a source. Nothing else is, and a file that looks like a
secret ends the call. Files that a job writes outside its store are lost with it. Ctrl-C stops following, not the job.
The exit code is the job's. Variables of --env are in no record and on no page, but can be read by everyone who may see
the job: no credentials there; nodes get theirs from their role.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "submit",
        help="run a command as a job of a Ray cluster",
        description="Send the sources to a Ray cluster and run a command of ovlab there as a job.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--address",
        metavar="URL",
        help="the cluster's dashboard, http://HOST:8265 (default: $RAY_API_SERVER_ADDRESS, $RAY_ADDRESS, this machine)",
    )
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a variable for the job")
    parser.add_argument("--dry-run", action="store_true", help="print what would be sent, and send nothing")
    parser.add_argument("--no-wait", action="store_true", help="hand the job in, print its id and end")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="after `--`: a command of ovlab with its options")
    parser.set_defaults(execute=partial(execute, parsers=commands.choices))


def execute(arguments: argparse.Namespace, *, parsers: dict[str, argparse.ArgumentParser]) -> int:
    from ovlab.ray.upload import (
        authentication,
        cluster_address,
        entrypoint,
        job_command,
        job_environment,
        source_package,
    )
    from ovlab.tracking.provenance import provenance, stamp

    if arguments.command[0] == "submit":
        raise InputError("ovlab submit -- submit: a job cannot be submitted by a job; write the command itself.")
    command = job_command(arguments.command, parsers)
    package = source_package()
    package.require_no_secret()
    package.require_small()
    if arguments.dry_run:
        print(package.listing())
        print(f"and the command: ovlab {' '.join(map(shown, command))}")
        return 0
    address = cluster_address(arguments.address)
    source = provenance().source
    variables = job_environment(stamp(source), arguments.env)

    os.environ.update(authentication(os.environ, Path.home()))
    from ovlab.ray.jobs import Jobs

    jobs = Jobs(address)
    with tempfile.TemporaryDirectory() as folder:
        package.copy_to(Path(folder))
        job = jobs.submit(entrypoint(command), Path(folder), variables, {"commit": source.commit})
    if arguments.no_wait:
        print(job)
        return 0
    try:
        print(f"{job} on {jobs.address}: ovlab {' '.join(map(shown, command))}", file=sys.stderr)
        return jobs.follow(job, lambda text: print(text, end="", flush=True))
    except KeyboardInterrupt:
        print(
            f"\novlab: {job} goes on. RAY_API_SERVER_ADDRESS={jobs.address} ray job logs --follow {job} shows it, "
            f"ray job stop {job} stops it.",
            file=sys.stderr,
        )
        return 1
