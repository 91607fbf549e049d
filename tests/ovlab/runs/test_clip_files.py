"""ovlab.runs.clip_files: which weights a training starts from, and what is refused."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import open_clip
import pytest

from logoseg.clip.known_files import OPENAI
from logoseg.clip.shipped import RELEASED, shipped_clip
from logoseg.model_error import ModelError
from logoseg.presets import PRESETS
from ovlab.runs.clip_files import RANDOM, clip_file
from ovlab.specs.errors import InputError


def file_of(preset: str, given: str | None = None) -> Path | None:
    return clip_file(preset, PRESETS[preset]().clip, given)


def test_a_file_that_is_given_comes_before_those_of_the_package(tmp_path: Path) -> None:
    given = tmp_path / "clip.pt"
    given.write_bytes(b"\x80\x02")  # a pickle, as torch wrote it before 1.6

    assert file_of("vit-b16", str(given)) == given
    assert file_of("shapes-vit-s", str(given)) == given
    assert file_of("shapes-vit-s") == shipped_clip(PRESETS["shapes-vit-s"]().clip)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_random_weights_are_for_the_asking(preset: str) -> None:
    assert file_of(preset, RANDOM) is None


def test_a_model_that_was_never_pretrained_starts_from_random_weights() -> None:
    assert file_of("tiny") is None


@pytest.mark.parametrize("preset", ["vit-b16", "vit-l14", "convnext-b", "convnext-l"])
def test_a_model_of_the_paper_does_not_silently_start_from_random_weights(preset: str) -> None:
    tag = RELEASED[PRESETS[preset]().clip.name]

    with pytest.raises(InputError, match=rf'{preset}: .*"{tag}", by which name.* give --clip FILE, or --clip none'):
        file_of(preset)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"--clip nowhere\.pt: no such file"):
        file_of("tiny", "nowhere.pt")


def test_a_tag_is_the_file_that_open_clip_fetches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fetched: list[str] = []

    def download(source: dict[str, str], *, prefer_hf_hub: bool) -> str:
        fetched.append(source["hf_hub"] if prefer_hf_hub else source.get("url") or source["hf_hub"])
        return str(tmp_path / "weights")

    monkeypatch.setattr("open_clip.download_pretrained", download)
    assert file_of("convnext-b", RELEASED["convnext_base_w_320"]) == tmp_path / "weights"
    assert file_of("vit-b16", "hf-hub:owner/a-clip.1") == tmp_path / "weights"
    assert file_of("vit-b16", "openai") == file_of("vit-b16", "openai")

    hub = open_clip.get_pretrained_cfg("convnext_base_w_320", RELEASED["convnext_base_w_320"])["hf_hub"]
    sha256 = next(digest for digest, released in OPENAI.items() if "ViT-B-16" in released.title)
    assert fetched[:2] == [hub, "owner/a-clip.1/"]
    assert sha256 in fetched[2]
    assert len(fetched) == 3


def test_a_name_that_is_no_tag_of_the_model_is_refused_with_its_tags() -> None:
    with pytest.raises(ModelError, match=r"laion2b_s34b: no such file, and no tag of ViT-B-16-quickgelu, .*openai"):
        file_of("vit-b16", "laion2b_s34b")
    with pytest.raises(InputError, match=r"--clip openai: no such file"):
        file_of("shapes-vit-s", "openai")


@pytest.mark.parametrize("answer", [404, 200], ids=["not there", "cut off"])
def test_weights_that_cannot_be_fetched_say_what_to_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: int
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer)
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"cut")

    monkeypatch.setenv("HOME", str(tmp_path))
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/openaipublic/{'0' * 64}/{answer}.pt"
        monkeypatch.setattr("open_clip.get_pretrained_cfg", lambda *_: {"url": address})
        with pytest.raises(ModelError, match=rf"tag-{answer}: not fetched .*Download {address}"):
            file_of("vit-b16", f"tag-{answer}")
        server.shutdown()


@pytest.mark.parametrize(("model", "tag"), RELEASED.items())
def test_released_weights_are_where_open_clip_finds_them(model: str, tag: str) -> None:
    assert open_clip.get_pretrained_cfg(model, tag)["hf_hub"]
