"""logoseg.clip.text_encoder: text that is kept is the text that was asked for."""

from pathlib import Path

import pytest
import torch

from logoseg.clip.text_encoder import cached_text
from logoseg.network import LoGoSeg

NAMES, TEMPLATES = [("road",), ("sky", "heaven")], ("a {}", "the {}")


def refuse(*_: object) -> torch.Tensor:
    raise AssertionError("it is there")


def test_text_is_computed_once(micro_network: LoGoSeg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = micro_network.text_encoder
    first = cached_text(encoder, NAMES, TEMPLATES, tmp_path)
    monkeypatch.setattr(type(encoder), "forward", refuse)

    assert torch.equal(cached_text(encoder, NAMES, TEMPLATES, tmp_path), first)


def test_text_that_is_damaged_of_other_words_or_without_a_digest_is_computed_again(
    micro_network: LoGoSeg, tmp_path: Path
) -> None:
    encoder = micro_network.text_encoder
    cached_text(encoder, NAMES[::-1], TEMPLATES, tmp_path)
    (other,) = tmp_path.iterdir()
    first = cached_text(encoder, NAMES, TEMPLATES, tmp_path)
    (path,) = (file for file in tmp_path.iterdir() if file != other)
    content = path.read_bytes()

    for damaged in (content[:-1] + bytes([content[-1] ^ 1]), other.read_bytes(), b"", content[:40]):
        path.unlink()  # the tensors of before may be mapped from it
        path.write_bytes(damaged)
        assert torch.equal(cached_text(encoder, NAMES, TEMPLATES, tmp_path), first)
        assert path.read_bytes() == content
