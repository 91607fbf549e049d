"""ovlab.files.sealed: what is read is what was written, or it is refused."""

from pathlib import Path

import pytest

from ovlab.files.sealed import DamagedError, append_seal, is_sealed, pack_sealed, unpack_sealed

CONTENT = {"miou": 1 / 3, "classes": ["sky", "tree, oak"], "none": None}


def test_sealed_content_reads_back_as_it_was_written() -> None:
    assert unpack_sealed("format", pack_sealed("format", CONTENT), place="x") == CONTENT


def test_sealed_content_with_any_byte_changed_is_refused_or_the_same() -> None:
    content = pack_sealed("format", CONTENT)
    num_refused = 0
    for position in range(len(content)):
        for bit in (0x01, 0x10, 0x80):
            changed = bytearray(content)
            changed[position] ^= bit
            try:
                assert unpack_sealed("format", bytes(changed), place="x") == CONTENT
            except DamagedError:
                num_refused += 1
    assert num_refused > len(content)


def test_sealed_content_of_another_format_is_refused() -> None:
    with pytest.raises(DamagedError, match=r"^there/x\.json: of the format 'one', not 'other'"):
        unpack_sealed("other", pack_sealed("one", CONTENT), place="there/x.json")


def test_sealed_file_with_any_byte_changed_is_refused_or_taken_for_one_without_a_seal(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"some content")
    append_seal(path)
    content = path.read_bytes()
    assert is_sealed(path)
    outcomes = []
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(changed)
        try:
            outcomes.append(is_sealed(path))
        except DamagedError:
            outcomes.append(True)
    # What precedes the digits marks the seal: without it, the content is what it was.
    assert outcomes == [True] * 12 + [False] * 8 + [True] * 64


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 500])
def test_file_without_a_seal_is_told_apart(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)

    assert not is_sealed(tmp_path / "file")
