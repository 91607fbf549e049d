"""`ovlab dashboards`: the files that show runs at work in Grafana."""

import argparse
from pathlib import Path


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "dashboards",
        help="write the dashboards of Grafana and the configuration of Prometheus",
        description="Write grafana/*.json and prometheus.yml.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("dashboards"), metavar="DIR", help="where to (default: ./dashboards)"
    )
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    from ovlab.ray.dashboard_files import write_files

    for path in write_files(arguments.out):
        print(path)
    return 0
