"""`ovlab predict` on files, folders and standard input: an answer each, the words read once, bad calls one line."""

import io
import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import logoseg
from logoseg.clip.text_encoder import TextEncoder
from ovlab.cli import main
from ovlab.evaluation.video import frames_of, rate_of, write_video
from ovlab.shapes.dataset import open_shapes

WORDS = "sky, grass, blue circle"


@pytest.fixture
def scenes(tmp_path: Path) -> list[Path]:
    folder, dataset = tmp_path / "scenes", open_shapes("shapes-a-150", "val")
    folder.mkdir()
    (folder / "notes.txt").write_text("no photograph")
    paths = [folder / f"{name}.png" for name in ("b", "a", "c")]
    for index, path in enumerate(paths):
        Image.fromarray(dataset[index].image).save(path)
    return paths


def predict(tmp_path: Path, *arguments: object) -> int:
    out = ("--weights", "clip:shapes-vit-s", "--classes", WORDS, "--out", tmp_path / "out", "--device", "cpu")
    return main(["predict", *map(str, (*arguments, *out))])


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_folder_and_files_are_answered_in_order_as_each_alone_with_one_reading_of_the_words(
    scenes: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    forward = TextEncoder.forward
    monkeypatch.setattr(TextEncoder, "forward", lambda *asked: reads.append(asked[1:]) or forward(*asked))
    other = tmp_path / "z.png"
    other.write_bytes(scenes[0].read_bytes())

    assert predict(tmp_path, scenes[0].parent, other, "--json", "--batch-size", 2, "--contact-sheet") == 0

    answers = json.loads(capsys.readouterr().out)
    assert [Path(answer["overlay"]).name for answer in answers] == [f"{name}-overlay.png" for name in "abcz"]
    assert len(reads) == 1
    assert names_in(tmp_path / "out") == sorted(
        ["contact-sheet.jpg", *(f"{name}-{kind}.png" for name in "abcz" for kind in ("labels", "overlay"))]
    )
    model = logoseg.load("clip:shapes-vit-s")
    for name, answer in zip("abcz", answers, strict=True):
        path = other if name == "z" else scenes[0].parent / f"{name}.png"
        alone = model.predict(path, WORDS.split(", "))
        labels = np.asarray(Image.open(answer["labels"]))
        assert (labels == alone.labels).mean() > 0.999  # another batch may round otherwise
        assert answer["shares"] == pytest.approx(alone.shares, abs=1e-3)


def test_standard_input_is_a_photograph(
    scenes: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stdin:
        buffer = io.BytesIO(scenes[0].read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin())

    assert predict(tmp_path, "-", "--scores") == 0

    out = capsys.readouterr().out
    assert names_in(tmp_path / "out") == ["stdin-labels.png", "stdin-overlay.png", "stdin-scores.npz"]
    assert all(str(tmp_path / "out" / name) in out for name in names_in(tmp_path / "out"))
    with np.load(tmp_path / "out" / "stdin-scores.npz") as found:
        best = found["scores"].argmax(axis=0)
    assert (best == np.asarray(Image.open(tmp_path / "out" / "stdin-labels.png"))).mean() > 0.95  # float16 makes ties


def test_prompts_synonyms_windows_and_opacity_are_those_of_the_python_api(
    scenes: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--template", "a {}", "--template", "the {}", "--synonyms", "grass: green hedge, sand", "--opacity", 0.2)

    assert predict(tmp_path, scenes[0], *options, "--sliding-window", "--json") == 0

    answer = json.loads(capsys.readouterr().out)
    windows = logoseg.config.SlidingWindow(input_size=96)
    expected = logoseg.load("clip:shapes-vit-s").predict(
        scenes[0],
        WORDS.split(", "),
        templates=["a {}", "the {}"],
        synonyms={"grass": ["green hedge", "sand"]},
        inference=windows,
    )
    np.testing.assert_array_equal(np.asarray(Image.open(answer["labels"])), expected.labels)
    np.testing.assert_array_equal(np.asarray(Image.open(answer["overlay"])), np.asarray(expected.overlay(0.2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("FOLDER", "nothing.jpg"), "nothing.jpg: no such file"),
        (("EMPTY",), "EMPTY: no photograph in it"),
        (("FOLDER/a.png", "FOLDER/a.png"), "would be written to one a-overlay.png"),
        (("FOLDER", "--opacity", "1.5"), "--opacity 1.5: give a number from 0"),
        (("FOLDER", "--batch-size", "0"), "--batch-size must be at least 1"),
        (("FOLDER", "--synonyms", "grass"), 'give a word and its other names, as in "car: automobile, taxi"'),
        (("FOLDER", "--synonyms", "road: lava"), "'road' is none of the words sky, grass, blue circle"),
        (("FOLDER", "--synonyms", "sky: red", "--synonyms", "sky: blue"), "'sky' is there twice"),
        (("FOLDER", "--template", "a photo"), "templates must each hold one {}"),
        (("FOLDER", "--clip", "no.pt"), "no.pt: no such file"),
    ],
)
def test_calls_that_cannot_be_are_refused_in_one_line_and_nothing_is_written(
    scenes: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[Any, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    scenes[0].parent.rename(tmp_path / "FOLDER")

    assert predict(tmp_path, *arguments) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


def test_video_gets_an_overlay_of_as_many_frames(
    scenes: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("av")
    frames = [np.asarray(Image.open(path))[:91] for path in scenes for _ in range(2)]
    write_video(tmp_path / "walk.mp4", frames, Fraction(10))

    assert predict(tmp_path, tmp_path / "walk.mp4", scenes[0], "--json", "--batch-size", 4) == 0

    photo, video = json.loads(capsys.readouterr().out)
    assert Path(photo["overlay"]).name == "b-overlay.png"
    assert video["frames"] == 6
    assert sum(video["shares"].values()) == pytest.approx(1)
    found = list(frames_of(Path(video["overlay"])))
    assert [frame.shape for frame in found] == [(90, 96, 3)] * 6
    assert rate_of(Path(video["overlay"])) == 10


def test_file_that_is_no_video_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av")
    (tmp_path / "walk.mp4").write_bytes(b"no video")

    assert predict(tmp_path, tmp_path / "walk.mp4") == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert "walk.mp4: the video cannot be decoded" in line
    assert not (tmp_path / "out").exists()


def test_video_without_pyav_says_how_it_is_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "walk.mp4").write_bytes(b"")

    assert predict(tmp_path, tmp_path / "walk.mp4") == 2

    assert "pip install av" in capsys.readouterr().err
