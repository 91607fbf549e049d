"""`ovlab data`: what is known, fetching and preparing an original download, and verifying what was prepared."""

import argparse

from ovlab.commands import data_get, data_list, data_prepare, data_verify

_EPILOG = """\
A folder of your own needs no preparation:
  FOLDER/classes.json          {"classes": ["sky", ["road", "street"], ["background", "wall", "tree"]],
                                "seen": ["sky"], "background": "background", "ignore_index": 255}
  FOLDER/val/images/NAME.jpg   any number of splits
  FOLDER/val/labels/NAME.png   8- or 16-bit, the index of the class at every pixel

A class is a name, or a list of its name and other words for it. All keys but "classes" may be left out. seen: the
classes that training has named. background: the last class; each of its other words is asked for, its name is not.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "data",
        help="list, fetch, prepare and verify data sets",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (data_list, data_get, data_prepare, data_verify):
        action.configure(actions)
