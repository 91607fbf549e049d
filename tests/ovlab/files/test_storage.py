"""ovlab.files.storage: a file is there whole or not at all, here or in a bucket."""

import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from ovlab.files.storage import Folder
from ovlab.files.whole_file import PARTIAL
from ovlab.specs.errors import InputError, StoreError


@pytest.fixture(params=["local", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "local":
        return Folder(str(tmp_path / "data"))
    return Folder(f"s3://{request.getfixturevalue('s3_bucket')}/some/prefix")


def test_folder_written_files_read_back_and_listed(folder: Folder) -> None:
    folder.write("a.bin", b"12345")
    folder.write("sub/b.bin", b"")
    folder.write("a.bin", b"123")

    assert folder.read("a.bin") == b"123"
    assert folder.read_many(["sub/b.bin", "a.bin"]) == [b"", b"123"]
    assert folder.read_many(["a.bin"]) == [b"123"]
    assert folder.read_many([]) == []
    assert folder.sizes() == {"a.bin": 3}
    assert folder.sizes("sub") == {"b.bin": 0}
    assert folder.sizes("nothing") == {}
    assert folder.folders() == ["sub"]
    assert folder.folders("sub") == []
    assert Folder(f"{folder}/nothing").folders() == []


def test_folder_created_file_is_not_replaced_by_a_second_creation(folder: Folder) -> None:
    assert folder.create("sub/a", b"first") is True
    assert folder.create("sub/a", b"second") is False

    assert folder.read("sub/a") == b"first"
    assert folder.sizes("sub") == {"a": 5}


def test_folder_existing_files_are_read_and_missing_ones_left_out(folder: Folder) -> None:
    folder.write("sub/a", b"1")
    folder.write("b", b"")

    assert folder.read_existing(["sub/a", "none", "b"]) == {"sub/a": b"1", "b": b""}
    assert folder.read_existing([]) == {}
    with pytest.raises(InputError, match="none: not found"):
        folder.read_many(["b", "none"])


def test_folder_uploaded_file_comes_back_by_download(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(bytes(range(256)) * 300)

    folder.upload(tmp_path / "here", "sub/there")
    folder.download("sub/there", tmp_path / "back")

    assert (tmp_path / "back").read_bytes() == (tmp_path / "here").read_bytes()
    assert folder.sizes("sub") == {"there": 76800}
    with pytest.raises(InputError, match="none: not found"):
        folder.download("none", tmp_path / "none")


def test_folder_removed_file_leaves_the_others(folder: Folder) -> None:
    folder.write("a", b"1")
    folder.write("b", b"2")

    folder.remove("a")
    folder.remove("a")

    assert folder.sizes() == {"b": 1}


def test_folder_opened_file_reads_ranges(folder: Folder) -> None:
    folder.write("a.bin", b"0123456789")

    with folder.open("a.bin", 10) as file:
        file.seek(4)
        assert bytes(file.read(3)) == b"456"


def test_folder_removed_sub_folder_leaves_the_rest(folder: Folder) -> None:
    folder.write("keep", b"1")
    folder.write("sub/one", b"2")
    folder.write("sub/two", b"3")

    folder.remove_folder("sub")
    folder.remove_folder("sub")

    assert folder.sizes() == {"keep": 1}
    assert folder.sizes("sub") == {}


def test_folder_without_files_is_empty(folder: Folder) -> None:
    assert folder.is_empty()
    folder.write("sub/file", b"")
    assert not folder.is_empty()
    folder.remove_folder("sub")
    assert folder.is_empty()


def test_folder_missing_file_is_refused_with_its_address(folder: Folder) -> None:
    folder.write("there", b"")

    with pytest.raises(InputError, match="not-there: not found") as error:
        folder.read("not-there")

    assert str(error.value).startswith(folder.uri)


def test_folder_pickled_copy_reads_the_same(folder: Folder) -> None:
    folder.write("a", b"1")

    assert pickle.loads(pickle.dumps(folder)).read("a") == b"1"


@pytest.mark.usefixtures("s3_bucket")
def test_folder_unreachable_store_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OVLAB_STORE_PATIENCE", "0")
    with pytest.raises(StoreError, match="AWS_ENDPOINT_URL") as error:
        Folder("s3://bucket/unreachable").sizes()

    assert "\n" not in str(error.value)


def test_folder_missing_bucket_is_refused(s3_bucket: str) -> None:
    with pytest.raises(InputError, match="-missing"):
        Folder(f"s3://{s3_bucket}-missing/prefix").write("a", b"")


@pytest.mark.parametrize(
    "uri", ["", "gs://bucket/prefix", "http://host/path", "s3://", "s3:///prefix", "S3://bucket/x"]
)
def test_folder_of_an_unknown_kind_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match="s3://bucket/prefix"):
        Folder(uri)


@pytest.mark.parametrize("call", ["sizes", "folders", "is_empty"])
def test_folder_missing_bucket_is_not_an_empty_folder(s3_bucket: str, call: str) -> None:
    with pytest.raises(InputError, match=r"-missing.*no such bucket"):
        getattr(Folder(f"s3://{s3_bucket}-missing/prefix"), call)()


def test_folder_missing_bucket_has_no_missing_files(s3_bucket: str) -> None:
    with pytest.raises(InputError, match=r"-missing.*no such bucket"):
        Folder(f"s3://{s3_bucket}-missing/prefix").read_existing(["a"])


@pytest.mark.parametrize("prefix", ["/lead", "a//b", "a//b//", "a team/b c/", ""])
def test_folder_of_any_slashes_lists_what_was_written(s3_bucket: str, prefix: str) -> None:
    folder = Folder(f"s3://{s3_bucket}/{prefix}")
    folder.write("x", b"1")
    folder.write("sub/y", b"22")

    assert folder.sizes() == {"x": 1}
    assert folder.folders() == ["sub"]
    assert folder.read_existing(["sub/y"]) == {"sub/y": b"22"}
    assert not folder.is_empty()


def test_folder_file_that_is_a_folder_or_a_circle_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "good").write_bytes(b"1")

    assert Folder(str(tmp_path)).read_existing(["folder", "circle", "good", "none"]) == {"good": b"1"}
    assert {message.split(": ")[0] for message in caplog.messages} == {f"{tmp_path}/folder", f"{tmp_path}/circle"}


@pytest.mark.parametrize("is_there", [False, True])
def test_folder_that_vanished_since_it_was_used_takes_no_files_and_is_not_empty(tmp_path: Path, is_there: bool) -> None:
    folder = Folder(str(tmp_path / "store"))
    folder.write("a", b"1")
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    if is_there:
        (tmp_path / "store").mkdir()

    for write in (folder.write, folder.create):
        with pytest.raises(StoreError, match="mounted"):
            write("b", b"2")
    for read in (folder.sizes, folder.folders, folder.is_empty, folder.make, lambda: folder.read_existing(["a"])):
        with pytest.raises(StoreError, match="mounted"):
            read()
    with pytest.raises(StoreError, match="mounted"):
        folder.upload(tmp_path / "elsewhere" / "a", "b")

    assert not (tmp_path / "store" / "b").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO, errno.ESTALE])
def test_folder_fault_of_the_disk_is_one_line_with_place_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    folder = Folder(str(tmp_path))
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StoreError, match="the same command continues") as error:
        folder.create("name", b"1")

    assert str(error.value).startswith(f"{tmp_path}/name: {os.strerror(number)}. ")
    assert not list(tmp_path.iterdir())


def test_folder_that_vanishes_while_a_file_is_read_is_said_to_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(str(tmp_path / "store"))
    folder.write("a", b"1")

    def vanish(path: str) -> bytes:
        (tmp_path / "store").rename(tmp_path / "elsewhere")
        return Path(path).read_bytes()

    monkeypatch.setattr(folder._fs, "cat_file", vanish)
    with pytest.raises(StoreError, match="mounted"):
        folder.read("a")


def test_folder_name_that_is_too_long_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"File name too long\. Give a shorter path"):
        Folder(str(tmp_path)).write("a" * 300, b"")


@pytest.mark.parametrize("name", ["file", "file/data"])
def test_folder_that_is_a_file_or_behind_one_is_refused_and_not_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    folder = Folder(str(tmp_path / name))

    for call in (
        folder.sizes,
        folder.folders,
        folder.is_empty,
        lambda: folder.write("a", b""),
        lambda: folder.read("a"),
    ):
        with pytest.raises(InputError, match=rf"^{folder}: Not a directory\. A file is where a folder belongs"):
            call()
    with pytest.raises(InputError, match="Not a directory"):
        folder.read_existing(["a"])


def test_folder_file_that_is_a_folder_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()

    with pytest.raises(InputError, match=rf"^{tmp_path}/name: Is a directory\. .* move it away; the same command"):
        Folder(str(tmp_path)).write("name", b"")


def test_folder_copied_to_another_process_is_a_place_even_where_links_lead_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    folder = pickle.loads(pickle.dumps(Folder(str(tmp_path / "circle"))))

    with pytest.raises(StoreError, match="Its links lead in a circle"):
        folder.sizes()


def test_folder_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(str(tmp_path))
    folder.write("a", b"old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        folder.write("a", b"new")

    assert folder.read("a") == b"old"
    assert folder.sizes() == {"a": 3}


def test_folder_lock_sweeps_partial_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / f"x.{'0' * 32}{PARTIAL}").write_bytes(b"half")

    with Folder(str(tmp_path)).locked():
        assert Folder(str(tmp_path)).is_empty()
        assert Folder(str(tmp_path)).sizes() == {}

    assert [path.name for path in tmp_path.iterdir()] == ["sub"]


def test_folder_locked_by_another_process_is_refused_until_it_ends(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from ovlab.files.storage import Folder\n"
        f"with Folder({str(tmp_path)!r}).locked():\n"
        "    print('locked', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    other = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match="another process"), Folder(str(tmp_path)).locked():
            pass
        other.kill()

    with Folder(str(tmp_path)).locked():
        pass


def test_folder_markers_of_a_bucket_are_no_files(s3_bucket: str) -> None:
    """Consoles, and pyarrow's create_dir under Ray, leave an empty object whose key ends in a slash."""
    for folder in ("some/prefix", "some/prefix/sub"):
        client = Folder(f"s3://{s3_bucket}/{folder}")._fs
        client.call_s3("put_object", Bucket=s3_bucket, Key=f"{folder}/", Body=b"")
    folder = Folder(f"s3://{s3_bucket}/some/prefix")

    assert folder.is_empty()
    assert folder.sizes() == folder.sizes("sub") == {}
    assert folder.folders() == ["sub"]

    folder.write("sub/a", b"1")

    assert not folder.is_empty()
    assert folder.sizes("sub") == {"a": 1}
