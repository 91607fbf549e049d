from pathlib import Path

import pytest

from ovlab.files.atomic_file import remove_partials, replacing, write_text


def test_replacing_a_file_shows_it_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_text("old")

    with replacing(path) as partial:
        partial.write_text("new")
        assert partial.suffix == ".png"
        assert path.read_text() == "old"

    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_that_fails_keeps_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write_half() -> None:
        with replacing(path) as partial:
            partial.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_remove_partials_takes_away_only_what_a_killed_writer_left(tmp_path: Path) -> None:
    write_text(tmp_path / "kept.txt", "Grüße")
    (tmp_path / ".partial-lost.txt").write_text("ha")

    remove_partials(tmp_path)

    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["Grüße"]
