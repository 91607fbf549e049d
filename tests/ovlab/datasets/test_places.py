"""ovlab.datasets.places: a name is found where it was said to lie, and what lies there has that name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ovlab.datasets.original import FolderSplit
from ovlab.datasets.places import VARIABLE, open_named, parse_places
from ovlab.datasets.prepare import prepare
from ovlab.shapes.dataset import open_shapes
from ovlab.specs.errors import InputError


def test_parse_places_reads_names_and_addresses() -> None:
    assert parse_places(["a-150=s3://bucket/a=b", "pc-59=/data/pc"]) == {
        "a-150": "s3://bucket/a=b",
        "pc-59": "/data/pc",
    }


@pytest.mark.parametrize("options", [["a-150"], ["=x"], ["a-150="], ["a-150=x", "a-150=y"]])
def test_parse_places_of_another_form_is_refused(options: list[str]) -> None:
    with pytest.raises(InputError, match="--data"):
        parse_places(options)


def test_open_named_shapes_set_needs_no_place() -> None:
    assert open_named("shapes-a-150", "val", {}).name == "shapes-a-150"


@pytest.mark.parametrize("below", ["", "/val"])
def test_open_named_finds_shards_at_the_place_or_in_the_folder_of_the_split(
    make_download: Callable[..., FolderSplit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    split = make_download(4)
    prepare(split, f"{tmp_path}/sets/{split.name}{below}")

    by_option = open_named(split.name, split.split, {split.name: f"{tmp_path}/sets/{split.name}"})
    monkeypatch.setenv(VARIABLE, str(tmp_path / "sets"))
    by_variable = open_named(split.name, split.split, {})

    assert by_option.sample_ids == by_variable.sample_ids
    assert len(by_option) == 4


def test_open_named_place_of_another_set_is_refused(make_download: Callable[..., FolderSplit], tmp_path: Path) -> None:
    split = make_download(4)
    prepare(split, str(tmp_path / "out"))

    with pytest.raises(InputError, match=f"holds the data set '{split.name}', not 'a-150'"):
        open_named("a-150", split.split, {"a-150": str(tmp_path / "out")})


def test_open_named_shapes_set_with_a_place_is_read_there(tmp_path: Path) -> None:
    painted = open_shapes("shapes-pas-20", "val", num_samples=3)
    prepare(painted, str(tmp_path / "out"))

    found = open_named("shapes-pas-20", "val", {"shapes-pas-20": str(tmp_path / "out")})

    assert (len(found), len(open_named("shapes-pas-20", "val", {}))) == (3, 300)


def test_open_named_folder_in_one_that_is_called_like_the_shapes_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match="shapes-photographs/street: no such folder"):
        open_named("street", "val", {"street": "shapes-photographs/street"})


def test_open_named_without_a_place_is_refused_and_says_how_to_give_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)

    with pytest.raises(InputError, match=r"--data a-150=URI, or set OVLAB_DATA"):
        open_named("a-150", "val", {})
