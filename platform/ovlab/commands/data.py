"""`ovlab data`: what is known, preparing an original download, and verifying what was prepared."""

import argparse

from ovlab.commands import data_list, data_prepare, data_verify


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("data", help="list, prepare and verify data sets", description=__doc__)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (data_list, data_prepare, data_verify):
        action.configure(actions)
