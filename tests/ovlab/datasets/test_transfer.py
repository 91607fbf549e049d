"""ovlab.datasets.transfer against a server of this process: what breaks off goes on, what is wrong is one line."""

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ovlab.datasets.published_file import PublishedFile
from ovlab.datasets.transfer import get
from ovlab.specs.errors import WorkError


class FileServer(ThreadingHTTPServer):
    """Serves `content` at every address under the version `tag`; the answers listed in `cuts` are cut off after so many
    bytes, one a request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.tag = b"", '"one"'
        self.cuts: list[int] = []
        self.ranges: list[str | None] = []
        self.has_ranges = True

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.ranges.append(asked)
        is_same = self.server.has_ranges and asked is not None and self.headers["If-Range"] == self.server.tag
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if is_same and asked else 0
        content = self.server.content
        if self.path == "/missing.zip":
            self.send_error(404)
            return
        if is_same and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if is_same else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", self.server.tag)
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else len(content)
        self.wfile.write(content[start : start + cut])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[FileServer]:
    server = FileServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def archive(kind: str, name: str = "images/a.jpg") -> bytes:
    content = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(content, "w") as packed:
            packed.writestr(name, bytes(range(256)) * 40)
    else:
        with tarfile.open(fileobj=content, mode="w") as packed_tar:
            entry = tarfile.TarInfo(name)
            entry.size = 10240
            packed_tar.addfile(entry, io.BytesIO(bytes(range(256)) * 40))
    return content.getvalue()


def published(server: FileServer, name: str, content: bytes) -> PublishedFile:
    server.content = content
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return PublishedFile(url=f"{server.uri}/{name}", licence="-", num_bytes=len(content), checksum=checksum, into="set")


def silent(done: int, total: int) -> None:
    pass


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archive_is_fetched_once_unpacked_and_done_with_though_it_is_removed(
    kind: str, server: FileServer, tmp_path: Path
) -> None:
    file = published(server, f"set.{kind}", archive(kind))
    told: list[tuple[int, int]] = []

    first = get(file, tmp_path, lambda done, total: told.append((done, total)))
    (tmp_path / f"set.{kind}").unlink()
    second = get(file, tmp_path, silent)

    assert (tmp_path / "set" / "images" / "a.jpg").read_bytes() == bytes(range(256)) * 40
    assert (first.sha256, first.was_there) == (hashlib.sha256(server.content).hexdigest(), False)
    assert second == first._replace(was_there=True)
    assert told[-1] == (len(server.content), len(server.content))
    assert len(server.ranges) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"set", f"set.{kind}.sha256"}


def test_transfer_that_breaks_off_goes_on_behind_what_came(server: FileServer, tmp_path: Path) -> None:
    file = published(server, "set.zip", archive("zip"))
    server.cuts = [1000, 2000]

    got = get(file, tmp_path, silent)

    assert server.ranges == [None, "bytes=1000-", "bytes=3000-"]
    assert f"sha256:{got.sha256}" == file.checksum


def test_transfer_that_brings_nothing_is_one_line_and_the_next_call_goes_on(server: FileServer, tmp_path: Path) -> None:
    file = published(server, "set.zip", archive("zip"))
    server.cuts = [1000, 0]

    with pytest.raises(WorkError, match=r"closed the connection\. 0\.0 MB of it are in .*set.zip.part"):
        get(file, tmp_path, silent)
    assert not (tmp_path / "set.zip").exists()
    get(file, tmp_path, silent)

    assert server.ranges == [None, "bytes=1000-", "bytes=1000-"]


def test_file_that_has_changed_meanwhile_is_fetched_from_its_beginning(server: FileServer, tmp_path: Path) -> None:
    file = published(server, "set.zip", archive("zip"))
    server.cuts = [1000, 0]
    with pytest.raises(WorkError):
        get(file, tmp_path, silent)
    file = published(server, "set.zip", archive("zip", "images/another.jpg"))
    server.tag = '"two"'

    get(file, tmp_path, silent)

    assert (tmp_path / "set" / "images" / "another.jpg").exists()


def test_server_that_knows_no_ranges_gives_the_whole_file_again(server: FileServer, tmp_path: Path) -> None:
    file = published(server, "set.zip", archive("zip"))
    server.cuts, server.has_ranges = [1000], False

    assert f"sha256:{get(file, tmp_path, silent).sha256}" == file.checksum


def test_process_that_was_killed_with_all_bytes_there_asks_for_nothing_more(server: FileServer, tmp_path: Path) -> None:
    file = published(server, "set.zip", archive("zip"))
    (tmp_path / "set.zip.part").write_bytes(server.content)
    (tmp_path / "set.zip.part.json").write_text('{"version": "\\"one\\""}')

    get(file, tmp_path, silent)

    assert server.ranges == [f"bytes={len(server.content)}-"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"checksum": "md5:" + "0" * 32}, r"the md5 is [0-9a-f]{32}, published is 0{32}"),
        ({"num_bytes": 5}, r"has [0-9,]+ bytes, published are 5"),
    ],
)
def test_other_content_than_published_is_one_line_and_leaves_nothing(
    changes: dict[str, object], reason: str, server: FileServer, tmp_path: Path
) -> None:
    file = replace(published(server, "set.zip", archive("zip")), **changes)

    with pytest.raises(WorkError, match=reason) as refused:
        get(file, tmp_path, silent)

    assert "\n" not in str(refused.value)
    assert not (tmp_path / "set.zip").exists()
    assert not (tmp_path / "set").exists()
    assert not (tmp_path / "set.zip.part").exists()


def test_file_without_a_published_checksum_leaves_the_one_that_it_had(server: FileServer, tmp_path: Path) -> None:
    file = replace(published(server, "list.json", b"[1]"), checksum=None, num_bytes=None)

    got = get(file, tmp_path, silent)

    assert got.sha256 == hashlib.sha256(b"[1]").hexdigest()
    assert (tmp_path / "set" / "list.json").read_bytes() == b"[1]"
    assert (tmp_path / "set" / "list.json.sha256").read_text() == f"{got.sha256}  list.json\n"


def test_server_that_is_not_there_or_has_no_such_file_is_one_line(server: FileServer, tmp_path: Path) -> None:
    gone = PublishedFile(url="http://127.0.0.1:9/set.zip", licence="-")
    with pytest.raises(WorkError, match=r"127\.0\.0\.1:9/set\.zip: the server cannot be reached"):
        get(gone, tmp_path, silent)
    with pytest.raises(WorkError, match="the server answers 404 Not Found"):
        get(replace(gone, url=f"{server.uri}/missing.zip"), tmp_path, silent)


def test_archive_that_leads_out_of_its_folder_writes_nothing_there(server: FileServer, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    get(published(server, "set.zip", archive("zip", "../../out.jpg")), inner, silent)
    with pytest.raises(WorkError, match="cannot be unpacked"):
        get(published(server, "set.tar", archive("tar", "../../out.jpg")), inner, silent)

    assert not (tmp_path / "out.jpg").exists()


def test_archive_that_is_none_is_one_line(server: FileServer, tmp_path: Path) -> None:
    file = published(server, "set.zip", b"<html>sign in</html>")

    with pytest.raises(WorkError, match=r"set\.zip: cannot be unpacked .* remove it, and it is fetched anew"):
        get(file, tmp_path, silent)

    assert not (tmp_path / "set.zip.sha256").exists()
