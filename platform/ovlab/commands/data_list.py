"""`ovlab data list`: what is known, how to obtain it, and what is prepared where."""

import argparse
import json
from typing import Any

from ovlab.commands.data_action import add_action
from ovlab.commands.data_facts import amount, facts
from ovlab.specs.wording import thousands

_EPILOG = """\
examples:
  ovlab data list                            every data set, and how to obtain its download
  ovlab data list a-150                      one of them
  ovlab data list --at data --at s3://b/sets what is prepared in these places
"""


def configure(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = add_action(actions, "list", "say what is known, how to obtain it, and what is prepared where", _EPILOG)
    parser.add_argument("name", nargs="?", metavar="NAME", help="one data set (default: all)")
    parser.add_argument("--at", action="append", default=[], metavar="URI", help="a place to look for prepared sets")
    parser.set_defaults(execute=_execute)


def _execute(arguments: argparse.Namespace) -> int:
    from ovlab.datasets.catalog import DATASETS, lookup
    from ovlab.datasets.published_file import PublishedFile

    chosen = [lookup(arguments.name)] if arguments.name else list(DATASETS.values())
    known: list[dict[str, Any]] = [
        {
            "name": dataset.name,
            "title": dataset.title,
            "num_images": dict(dataset.num_images),
            "num_classes": dataset.num_label_classes,
            "obtain": list(map(str, dataset.obtain)),
            "may_be_fetched": [step.url for step in dataset.obtain if isinstance(step, PublishedFile)],
        }
        for dataset in chosen
    ]
    prepared = [found for place in arguments.at for found in _prepared_at(place)]
    if arguments.name:
        prepared = [found for found in prepared if found["name"] == arguments.name]
    if arguments.json:
        print(json.dumps({"known": known, "prepared": prepared}))
        return 0
    if arguments.at:
        print(f"prepared in {', '.join(arguments.at)}:{'' if prepared else ' nothing'}")
    for found in prepared:
        print(f"    {found['uri']}: {found['name']} {found['split']}, {amount(found)}")
    for entry in known:
        images = ", ".join(f"{split} {thousands(count)}" for split, count in entry["num_images"].items())
        print(f"{entry['name']}: {entry['title']}; {entry['num_classes']} classes; images: {images}")
        for step in entry["obtain"]:
            print(f"    {step}")
        if entry["may_be_fetched"]:
            print(f"    ovlab data get {entry['name']} --out DIR does as much of it as anyone may")
        print(f"    ovlab data prepare {entry['name']} --source DIR --out URI")
    if not arguments.name:
        print("shapes-coco and the shapes benchmarks: painted on demand, nothing to download; they can be prepared too")
    return 0


def _prepared_at(place: str) -> list[dict[str, Any]]:
    """The prepared splits in `place`: it may be one itself, or hold some in its folders."""
    from ovlab.datasets.manifest import MANIFEST, load_manifest
    from ovlab.files.storage import Folder

    root = Folder(place)
    candidates = [root, *(Folder(root.locate(name)) for name in root.folders())]
    return [facts(folder.uri, load_manifest(folder)) for folder in candidates if MANIFEST in folder.sizes()]
