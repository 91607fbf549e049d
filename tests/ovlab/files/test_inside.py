"""ovlab.files.inside: whatever a name from a store says, it leads to no place outside."""

from pathlib import Path

import pytest

from ovlab.files.inside import inside
from ovlab.files.sealed import DamagedError
from ovlab.files.storage import Folder

NAMES = ("../marker", "a/../../marker", "/marker", "a/..", "..", "mark\0er")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "marker").write_bytes(b"marker")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_inside_name_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match="leads out"):
        inside(tmp_path / "store", name)


def test_inside_links_are_followed_within_the_folder_alone(tmp_path: Path, outside: Path) -> None:
    store = tmp_path / "store"
    (store / "a").mkdir(parents=True)
    (store / "own").symlink_to("a")
    (store / "other").symlink_to(outside)
    (store / "a" / "file").symlink_to("../../outside/marker")
    (tmp_path / "link").symlink_to(store)

    assert inside(store, "own/new") == store / "own" / "new"
    assert inside(tmp_path / "link", "a/new") == tmp_path / "link" / "a" / "new"
    assert inside(store, "a/..b") == store / "a" / "..b"
    for name in ("other", "other/new", "a/file", "own/file"):
        with pytest.raises(DamagedError, match="a link leads out"):
            inside(store, name)


@pytest.mark.parametrize("place", ["local", "s3"])
@pytest.mark.parametrize("name", NAMES)
def test_folder_reads_and_writes_nothing_under_a_name_that_leads_out(
    place: str, name: str, tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    local = str(tmp_path / "outer" / "store")
    folder = Folder(local if place == "local" else f"s3://{request.getfixturevalue('s3_bucket')}/outer/store")
    (tmp_path / "here").write_bytes(b"marker")
    calls = (
        lambda: folder.read(name),
        lambda: folder.open(name, 6),
        lambda: folder.write(name, b"marker"),
        lambda: folder.create(name, b"marker"),
        lambda: folder.upload(tmp_path / "here", name),
        lambda: folder.download(name, tmp_path / "there"),
        lambda: folder.remove(name),
        lambda: folder.remove_folder(name),
        lambda: folder.sizes(name),
        lambda: folder.folders(name),
    )

    for call in calls:
        with pytest.raises(DamagedError, match="leads out"):
            call()

    assert folder.read_existing([name]) == {}
    assert "leads out" in caplog.text
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["here"]


def test_folder_writes_nothing_through_a_link_and_leaves_it_out_when_reading(
    tmp_path: Path, outside: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Folder(str(tmp_path / "store"))
    folder.write("a/own", b"own")
    (tmp_path / "store" / "link").symlink_to(outside)
    (tmp_path / "store" / "a" / "marker").symlink_to(outside / "marker")
    (tmp_path / "store" / ".lock").symlink_to(outside / "lock")

    for name in ("link/new", "a/marker"):
        for call in (lambda name=name: folder.write(name, b"x"), lambda name=name: folder.create(name, b"x")):
            with pytest.raises(DamagedError, match="a link leads out"):
                call()
    with pytest.raises(DamagedError, match="a link leads out"), folder.locked():
        pass

    assert folder.read_existing(["a/own", "a/marker", "link/marker"]) == {"a/own": b"own"}
    assert caplog.text.count("a link leads out") == 2
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"marker": b"marker"}
