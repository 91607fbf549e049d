"""The option --store, the same for every command that reads or fills a store of results."""

import argparse
import os

from ovlab.ray.upload import STORE


def add_store(parser: argparse.ArgumentParser) -> None:
    """A cluster sets $OVLAB_STORE on its nodes, so that a job that says nothing does not write into its own folder."""
    default = os.environ.get(STORE) or "ovlab-store"
    parser.add_argument(
        "--store", default=default, help=f"the store of results (default: ${STORE}, else ./ovlab-store)"
    )
