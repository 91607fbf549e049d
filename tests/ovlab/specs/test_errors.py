"""Every error class of the project: what crosses Ray arrives as what it was."""

import ast
import importlib
import pickle
from pathlib import Path

import pytest
from ray import cloudpickle

ROOT = Path(__file__).parents[3]
# Of those that take more than a sentence.
ARGUMENTS = {"TrainingError": (1, "a report", b"pickled"), "Terminated": ()}


def error_classes() -> list[tuple[str, str]]:
    """Module and name of each class of ours that is an exception, by what it inherits from."""
    declared = [
        (".".join(file.relative_to(root).with_suffix("").parts), node.name, [ast.unparse(base) for base in node.bases])
        for root in (ROOT / "model", ROOT / "platform")
        for file in sorted(root.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    errors = {"Exception", "BaseException", "ValueError", "RuntimeError", "OSError", "SystemExit"}
    found: dict[tuple[str, str], None] = {}
    while True:
        new = [(module, name) for module, name, bases in declared if errors & {*bases} and (module, name) not in found]
        if not new:
            return list(found)
        found |= dict.fromkeys(new)
        errors |= {name for _, name in new}


@pytest.mark.parametrize(("module", "name"), error_classes(), ids=lambda value: value)
@pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
def test_error_crosses_processes_as_itself(pickler: object, module: str, name: str) -> None:
    kind = getattr(importlib.import_module(module), name)
    error = kind(*ARGUMENTS.get(name, ("a sentence.",)))

    arrived = pickler.loads(pickler.dumps(error))

    assert type(arrived) is kind
    assert (arrived.args, str(arrived), vars(arrived)) == (error.args, str(error), vars(error))


def test_the_errors_that_a_person_reads_are_among_them() -> None:
    names = {name for _, name in error_classes()}

    assert {"InputError", "WorkError", "Stopped", "ModelError", "DamagedError", "TakenError", "TrainingError"} <= names
