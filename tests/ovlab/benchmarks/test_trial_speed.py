"""ovlab.benchmarks.trial_speed: another checkout is asked in its own words, and refused where it is none."""

import argparse
from pathlib import Path

import pytest

from ovlab.benchmarks.trial_speed import add_arguments, run
from ovlab.specs.errors import InputError

RUN_OF_ANOTHER = """\
import json, os, sys
from pathlib import Path

{option!r}
words = [word for word in sys.argv[3:] if word != "--no-tracking"]
given = dict(zip(words[::2], words[1::2]))
assert given["{option}"] == "1" and given["--limit-steps"], sys.argv
assert os.environ["PYTHONPATH"].startswith(os.getcwd()), os.environ["PYTHONPATH"]
for kind, record in (
    ("trainings", {{"final_loss": 2.0}}),
    ("evaluations", {{"evaluation": {{"benchmark": "shapes-pas-20"}}, "figures": {{"miou": 0.25}}}}),
):
    file = Path(given["--store"]) / kind / "any" / "record.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({{"record": record}}))
Path(os.getcwd(), "asked.txt").open("a").write("once ")
"""


def options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(given)


def checkout(folder: Path, option: str) -> Path:
    """One whose `ovlab` writes two records, and knows `option` alone."""
    package = folder / "platform" / "ovlab"
    (package / "commands").mkdir(parents=True)
    (package / "commands" / "run.py").write_text(f'"{option}"')
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(RUN_OF_ANOTHER.format(option=option))
    return folder


@pytest.mark.parametrize("option", ["--workers", "--runs-at-once"])
def test_checkouts_are_asked_in_their_own_words_once_a_round_and_once_before(
    tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, ours = checkout(tmp_path / "other", option), checkout(tmp_path / "ours", "--runs-at-once")
    monkeypatch.setattr("ovlab.benchmarks.trial_speed._HERE", ours)
    monkeypatch.setattr("ovlab.benchmarks.trial_speed._phases", lambda *given: {"painting": 3.0, "head": 1.0})

    report = run(options("--against", str(other), "--rounds", "2", "--limit-steps", "1"))

    assert [row["what"].strip() for row in report.rows] == ["other", "ours", "painting", "head"]
    assert [row["x CPU"] for row in report.rows[2:]] == [0.75, 0.25]
    assert (report.context["last losses apart, relative"], report.context["mIoU apart by at most"]) == (0.0, 0.0)
    assert {(folder / "asked.txt").read_text() for folder in (other, ours)} == {"once " * 3}


def test_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkout of this project"):
        run(options("--against", str(tmp_path)))
