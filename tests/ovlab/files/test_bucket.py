"""ovlab.files.bucket: a server that fails once is asked again, one that goes on failing ends in one line."""

import random
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from fault_proxy import FAULTS, SILENT, Fault, FaultProxy
from ovlab.files import bucket
from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError, StoreError

Bucket = tuple[FaultProxy, str]


def created(folder: Folder, _place: Path) -> object:
    # Whether the answer of this call was lost, it cannot know.
    folder.create("created", b"1234")
    return folder.read("created")


def uploaded(folder: Folder, place: Path) -> object:
    (place / "up").write_bytes(b"x" * 100_000)
    folder.upload(place / "up", "up")
    folder.download("up", place / "down")
    return (place / "down").read_bytes() == b"x" * 100_000


def written(folder: Folder, _place: Path) -> object:
    folder.write("new", b"12345")
    return folder.read_many(["new", "there"])


def removed(folder: Folder, _place: Path) -> object:
    folder.remove("there")
    return folder.sizes(), folder.folders(), folder.is_empty()


def cleared(folder: Folder, _place: Path) -> object:
    folder.write("sub/one", b"1")
    folder.write("sub/two", b"2")
    folder.remove_folder("sub")
    return folder.sizes("sub")


USES: tuple[Callable[[Folder, Path], object], ...] = (
    created,
    uploaded,
    removed,
    lambda folder, _place: folder.open("there", 5).read(3),
    lambda folder, _place: (folder.sizes(), folder.folders(), folder.is_empty(), folder.read_existing(["there", "no"])),
)


@pytest.fixture
def folder(faulty_bucket: Bucket) -> Folder:
    folder = Folder(f"s3://{faulty_bucket[1]}/prefix")
    folder.write("there", b"12345")
    return folder


@pytest.mark.parametrize(
    ("use", "fault"),
    [
        *product([written], FAULTS),
        *product([cleared], ["html", "error"]),
        *(pytest.param(*case, marks=pytest.mark.long) for case in product(USES, FAULTS)),
    ],
)
def test_bucket_that_fails_at_one_call_gives_what_it_gives_without(
    faulty_bucket: Bucket, folder: Folder, fault: Fault, use: Callable[[Folder, Path], object], tmp_path: Path
) -> None:
    proxy, _ = faulty_bucket
    begin = len(proxy.calls)
    expected = use(folder, tmp_path)
    num_calls = len(proxy.calls) - begin

    for number in range(num_calls):
        proxy.fault = {}.get
        folder.remove_folder("")
        folder.write("there", b"12345")
        faulty = len(proxy.calls) + number
        proxy.fault = {faulty: fault}.get
        assert use(folder, tmp_path) == expected, (number, proxy.calls[faulty])
        assert len(proxy.calls) > faulty


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_bucket_that_fails_at_one_call_of_an_upload_in_parts_keeps_the_whole_file(
    faulty_bucket: Bucket, folder: Folder, fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda *_arguments, **_options: 5 << 20)
    content = random.Random(0).randbytes(11 << 20)
    (tmp_path / "up").write_bytes(content)
    proxy, _ = faulty_bucket
    begin = len(proxy.calls)
    folder.upload(tmp_path / "up", "up")
    num_calls = len(proxy.calls) - begin
    assert num_calls == 5

    for number in range(num_calls):
        proxy.fault = {}.get
        folder.remove("up")
        proxy.fault = {len(proxy.calls) + number: fault}.get
        folder.upload(tmp_path / "up", "up")
        assert folder.read("up") == content, number


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=[] if fault in ("cut", "html") else pytest.mark.long)
        for fault in FAULTS
        if fault != "slow"
    ],
)
def test_bucket_that_goes_on_failing_ends_in_one_line(
    faulty_bucket: Bucket, folder: Folder, fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVLAB_STORE_PATIENCE", "0.1")
    proxy, name = faulty_bucket
    proxy.fault = lambda _number: fault
    uses = (
        *USES,
        written,
        cleared,
        lambda folder, _: folder.sizes(),
        lambda folder, _: folder.folders(),
        lambda folder, _: folder.is_empty(),
    )
    for use in uses:
        with pytest.raises(StoreError, match=rf"^s3://{name}/.*AWS_ENDPOINT_URL") as error:
            use(folder, tmp_path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("fault", SILENT)
@pytest.mark.parametrize("use", [lambda folder: folder.sizes(), lambda folder: folder.read("there")])
def test_bucket_that_falls_silent_is_asked_anew_with_a_word(
    faulty_bucket: Bucket,
    folder: Folder,
    fault: Fault,
    use: Callable[[Folder], object],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(bucket, "_TIMEOUT", 0.5)
    monkeypatch.setattr(bucket, "WORD_SECONDS", 0.2)
    proxy, name = faulty_bucket
    folder = Folder(folder.uri)
    expected = use(folder)
    caplog.clear()

    proxy.fault = {len(proxy.calls): fault}.get
    assert use(folder) == expected
    words = [message for message in caplog.messages if "no whole answer" in message]
    assert [word.startswith(f"s3://{name}/prefix/") for word in words] == [True]

    proxy.fault = lambda _number: fault
    with pytest.raises(StoreError, match=rf"^s3://{name}/.*AWS_ENDPOINT_URL") as error:
        use(folder)
    assert "\n" not in str(error.value)


def test_bucket_that_is_slow_is_waited_for_with_a_word(
    faulty_bucket: Bucket, folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bucket, "WORD_SECONDS", 0.2)
    proxy, name = faulty_bucket
    proxy.fault, proxy.delay = {len(proxy.calls): "slow"}.get, 0.6

    assert folder.sizes() == {"there": 5}
    assert [message.split(": ")[0] for message in caplog.messages if message.startswith("s3://")] == [
        f"s3://{name}/prefix/"
    ]


def test_bucket_of_a_server_without_conditional_writes_keeps_the_first(
    faulty_bucket: Bucket, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = bucket.PatientS3._pipe_file

    async def without(self: bucket.PatientS3, path: str, data: bytes, mode: str = "overwrite") -> object:
        if mode == "create":
            raise OSError(38, "A header you provided implies functionality that is not implemented")
        return await put(self, path, data)

    monkeypatch.setattr(bucket.PatientS3, "_pipe_file", without)

    assert folder.create("new", b"first") is True
    assert folder.create("new", b"second") is False
    assert folder.read("new") == b"first"


@pytest.mark.parametrize("value", ["", "-1", "soon", "inf", "nan"])
def test_patience_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OVLAB_STORE_PATIENCE", value)
    with pytest.raises(InputError, match="OVLAB_STORE_PATIENCE"):
        bucket.patience()
