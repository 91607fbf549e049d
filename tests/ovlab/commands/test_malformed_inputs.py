"""Malformed photographs, labels and class lists through every command that takes one: a right result, or one line and
an exit code that says whose fault it is; never a traceback, a wait without end or half of a result."""

import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ovlab.cli import main
from ovlab.datasets.manifest import MANIFEST

# A network of a second, on images of 64 px.
MICRO = [
    *("--set", "model.clip.image_size=64", "--set", "augmentation.crop_size=64", "--loader-workers", "0"),
    *("--set", "model.guidance_dim=16", "--set", "model.attention_heads=2", "--set", "model.region_grid=2"),
    *("--set", "model.fusion_depth=1", "--set", "model.decoder_dims=[16,16]", "--set", "model.stripe_width=2"),
    *("--set", "model.state_dim=4", "--steps", "1", "--batch-size", "1"),
]
CLASSES = ["sky", "grass"]
HEIGHT, WIDTH = 40, 60
LABEL = (np.arange(HEIGHT)[:, None] * np.ones((1, WIDTH), int) >= HEIGHT // 2).astype(np.uint8)
COLOURS = np.array([(120, 170, 230), (70, 120, 60)], np.uint8)[LABEL]

Content = Callable[[], bytes] | str


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def photo(kind: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    return saved(Image.fromarray(COLOURS).convert(mode), kind, **options)


def chunked(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these chunks."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def header(width: int, height: int, bits: int, colour: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)


def bomb() -> bytes:
    return chunked(header(20_000, 10_000, 8), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))


def few_bits(bits: int) -> bytes:
    rows = (b"\0" + bytes(-(-WIDTH * bits // 8))) * HEIGHT
    return chunked(header(WIDTH, HEIGHT, bits), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))


def exif(value: bytes) -> bytes:
    """EXIF data of one entry, the orientation, of which `value` is type, count and content."""
    return b"Exif\0\0II*\0" + struct.pack("<IHH", 8, 1, 0x0112) + value + bytes(4)


def long_text() -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("comment", " " * (PngImagePlugin.MAX_TEXT_CHUNK + 1), zip=True)
    return texts


SIX = struct.pack("<HIHH", 3, 1, 3, 0)  # turned by 180 degrees: as stored for labels, upright for `predict`
READ: dict[str, Callable[[], bytes]] = {
    "grey": lambda: photo(mode="L"),
    "one bit": lambda: photo(mode="1"),
    "grey with alpha": lambda: photo(mode="LA"),
    "alpha": lambda: photo(mode="RGBA"),
    "palette": lambda: photo(mode="P"),
    "CMYK": lambda: photo("JPEG", mode="CMYK"),
    "GIF": lambda: photo("GIF", save_all=True, append_images=[Image.fromarray(255 - COLOURS)]),
    "WebP": lambda: photo("WEBP"),
    "TIFF": lambda: photo("TIFF"),
    "turned": lambda: photo("JPEG", exif=exif(SIX)),
    "orientation 0": lambda: photo("JPEG", exif=exif(struct.pack("<HIHH", 3, 1, 0, 0))),
}
NO_FILE: dict[str, Content] = {kind: kind for kind in ("pipe", "folder", "nowhere")}
DAMAGED: dict[str, Content] = {
    "empty": lambda: b"",
    "page": lambda: b"<html>not found</html>",
    "pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
    "macOS companion": lambda: b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(4000),
    "cut": lambda: photo()[:-60],
    "bomb": bomb,
    "long text": lambda: photo(pnginfo=long_text()),
    **NO_FILE,
}
REFUSED: dict[str, Content] = {
    **DAMAGED,
    "cut JPEG": lambda: photo("JPEG")[:-300],
    "grey of 16 bits": lambda: saved(Image.fromarray(COLOURS[..., 0].astype(np.uint16) * 257), "PNG"),
    "TIFF of 16 bits": lambda: saved(Image.fromarray(COLOURS[..., 0].astype(np.uint16) * 257), "TIFF"),
    "numbers": lambda: saved(Image.fromarray(COLOURS[..., 0].astype(np.float32)), "TIFF"),
}
NO_NUMBER = {"orientation in letters": lambda: photo("JPEG", exif=exif(struct.pack("<HI4s", 2, 4, b"six\0")))}
BAD_LABELS: dict[str, Content] = {
    **{name: content for name, content in DAMAGED.items() if name != "cut"},
    "cut": lambda: saved(Image.effect_noise((WIDTH, HEIGHT), 9), "PNG")[:300],
    "colour": lambda: photo(),
    "alpha": lambda: photo(mode="LA"),
    "JPEG": lambda: saved(Image.fromarray(LABEL), "JPEG"),
    "boolean TIFF": lambda: saved(Image.fromarray(LABEL > 0), "TIFF"),
    "TIFF": lambda: saved(Image.fromarray(LABEL), "TIFF"),
    "numbers": lambda: saved(Image.fromarray(LABEL.astype(np.float32)), "TIFF"),
    "32 bits": lambda: saved(Image.fromarray(LABEL.astype(np.int32)), "TIFF"),
    "1 bit": lambda: few_bits(1),
    "2 bits": lambda: few_bits(2),
    "4 bits": lambda: few_bits(4),
    "unknown class": lambda: saved(Image.fromarray(LABEL + np.uint8(200)), "PNG"),
    "other size": lambda: saved(Image.fromarray(LABEL[:-1]), "PNG"),
    "turned": lambda: saved(Image.fromarray(LABEL.T.copy()), "PNG"),
}
GOOD_LISTS: dict[str, bytes] = {
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(CLASSES).encode(),
    "odd names": json.dumps(["door, double door", "50 % shadow / (bar) " + "x" * 40]).encode(),
    "escaped letters": rb'["\u5929\u7a7a", "\ud83c\udf33"]',
}
BAD_LISTS: dict[str, bytes | str] = {
    "empty": b"",
    "page": b"<html>",
    "other encoding": '["Himmel", "Straße"]'.encode("latin-1"),
    "UTF-16": json.dumps(CLASSES).encode("utf-16"),
    "half a pair": rb'["sky", "gr\ud83d"]',
    "deep brackets": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "no names": b"{}",
    "numbers": b"[1, 2]",
    "a number beyond": b"[" + b"9" * 5000 + b"]",
    "blank": b'["sky", " "]',
    "entity without text": b'["sky", "&nbsp;"]',
    "capitals": b'["tree", "Tree"]',
    "white space": rb'["road sign", "road\u00a0 sign"]',
    "entity": b'["rock & soil", "rock &amp; soil"]',
    "too many": json.dumps([f"class {n}" for n in range(65_536)]).encode(),
    "class ignored": b'{"classes": ["sky", "grass"], "ignore_index": 1}',
    "key mistyped": b'{"classes": ["sky", "grass"], "ignore": 255}',
    "pipe": "pipe",
    "folder": "folder",
    "nowhere": "nowhere",
}


def put(path: Path, content: Content | bytes) -> Path:
    path.unlink(missing_ok=True)
    if content == "pipe":
        os.mkfifo(path)
    elif content == "folder":
        path.mkdir()
    elif content != "nowhere":
        path.write_bytes(content if isinstance(content, bytes) else content())  # type: ignore[operator]
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One pair, in train and in val alike."""
    for split in ("train", "val"):
        for kind, picture in (("images", COLOURS), ("labels", LABEL)):
            (tmp_path / "mine" / split / kind).mkdir(parents=True)
            Image.fromarray(picture).save(tmp_path / "mine" / split / kind / "0.png")
    (tmp_path / "mine" / "classes.json").write_text(json.dumps(CLASSES))
    return tmp_path / "mine"


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """One pair in the layout of ADEChallengeData2016, whose label 0 means "not labelled"."""
    for kind, name, picture in (("images", "0.jpg", COLOURS), ("annotations", "0.png", LABEL + np.uint8(1))):
        (tmp_path / "ade" / kind / "validation").mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / "ade" / kind / "validation" / name)
    return tmp_path / "ade"


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, own_cache: object) -> Path:
    """A network after one update."""
    root = tmp_path_factory.mktemp("trained")
    for kind, picture in (("images", COLOURS), ("labels", LABEL)):
        (root / "mine" / "train" / kind).mkdir(parents=True)
        Image.fromarray(picture).save(root / "mine" / "train" / kind / "0.png")
    (root / "mine" / "classes.json").write_text(json.dumps(CLASSES))
    assert main(["train", "--data", str(root / "mine"), "--out", str(root / "run"), *MICRO]) == 0
    return root / "run"


class Called:
    """A call of the command line: its exit code, and whether it says no more than it should."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> None:
        capsys.readouterr()
        try:
            self.code = main([str(argument) for argument in arguments])
        except SystemExit as error:  # the parser's own refusals
            self.code = int(error.code or 0)
        self.out, self.err = capsys.readouterr()
        assert "Traceback" not in self.out + self.err

    def require_refused(self) -> None:
        said = [line for line in self.err.splitlines() if line.startswith("ovlab: ")]
        assert (self.code, len(said)) == (2, 1), self.err


def folder_commands(folder: Path, weights: Path, out: Path) -> dict[str, list[object]]:
    return {
        "train": ["train", "--data", folder, "--out", out, *MICRO],
        "evaluate": ["evaluate", weights, "--data", folder, "--store", out],
        "verify": ["data", "verify", folder, "--split", "val", "--workers", 1],
    }


def require_refused_everywhere(folder: Path, weights: Path, capsys: pytest.CaptureFixture[str], verified: int) -> None:
    for name, command in folder_commands(folder, weights, folder.parent / "out").items():
        called = Called(capsys, *command)
        if name == "verify" and verified == 1:
            assert called.code == 1, called.err
            assert "FAILED" in called.out
        else:
            called.require_refused()
    left = {path.name for path in folder.parent.glob("out/**/*") if path.is_file()}
    assert not {name for name in left if name.endswith((".safetensors", ".parquet", "record.json"))}, left


def require_read_everywhere(folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in folder_commands(folder, weights, folder.parent / "out").values():
        called = Called(capsys, *command)
        assert called.code == 0, called.err


@pytest.mark.parametrize("kind", [*READ, *REFUSED, *NO_NUMBER])
def test_photograph_is_predicted_or_refused(
    kind: str, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(tmp_path / "photo.jpg", {**READ, **REFUSED, **NO_NUMBER}[kind])

    called = Called(capsys, "predict", path, "--weights", weights, "--classes", "sky, grass", "--out", tmp_path / "out")

    if kind in READ:
        assert called.code == 0, called.err
        with Image.open(tmp_path / "out" / "photo-labels.png") as labels:
            assert labels.size == (WIDTH, HEIGHT)
    else:
        called.require_refused()
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [*READ, *NO_NUMBER])  # whose size the label has: the tag is not asked for
def test_photograph_of_a_folder_is_read(
    kind: str, folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "val"):
        put(folder / split / "images" / "0.png", {**READ, **NO_NUMBER}[kind])

    require_read_everywhere(folder, weights, capsys)


@pytest.mark.parametrize("kind", REFUSED)
def test_photograph_of_a_folder_is_refused(
    kind: str, folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "val"):
        put(folder / split / "images" / "0.png", REFUSED[kind])

    require_refused_everywhere(folder, weights, capsys, verified=2 if kind in NO_FILE else 1)


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_label_of_a_folder_is_refused(
    kind: str, folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "val"):
        put(folder / split / "labels" / "0.png", BAD_LABELS[kind])

    require_refused_everywhere(folder, weights, capsys, verified=2 if kind in NO_FILE else 1)


@pytest.mark.parametrize("kind", BAD_LISTS)
def test_class_list_is_refused(kind: str, folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(folder / "classes.json", BAD_LISTS[kind])

    require_refused_everywhere(folder, weights, capsys, verified=2)


@pytest.mark.parametrize("kind", GOOD_LISTS)
def test_class_list_is_read(kind: str, folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(folder / "classes.json", GOOD_LISTS[kind])

    require_read_everywhere(folder, weights, capsys)


def test_class_name_that_a_text_tower_would_cut_is_refused(
    folder: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a red door " * 30
    put(folder / "classes.json", json.dumps(["sky", name]).encode())
    commands = folder_commands(folder, weights, tmp_path / "out")
    photograph = folder / "val" / "images" / "0.png"
    commands["predict"] = ["predict", photograph, "--weights", weights, "--classes", name, "--out", tmp_path / "out"]

    assert Called(capsys, *commands.pop("verify")).code == 0
    for command in commands.values():
        called = Called(capsys, *command)
        called.require_refused()
        assert "tokens; this text tower reads 77. Shorten it." in called.err
    assert not [path for path in tmp_path.glob("out/**/*") if path.suffix in (".safetensors", ".parquet", ".png")]


# What a file is called beside what it holds, and why it is no pair.
ODD_NAMES: dict[str, tuple[str, str, str]] = {
    "WebP": ("0.webp", "0.png", "must be .jpg or .jpeg or .png; convert it"),
    "label of JPEG": ("0.png", "0.jpg", "files in labels/ must be .png; convert it"),
    "no UTF-8": (os.fsdecode(b"caf\xe9.png"), os.fsdecode(b"caf\xe9.png"), "file name in another encoding"),
}


@pytest.mark.parametrize("kind", ODD_NAMES)
def test_file_name_of_a_folder_is_refused_for_what_it_is(
    kind: str, folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photograph, label, reason = ODD_NAMES[kind]
    for split in ("train", "val"):
        (folder / split / "images" / "0.png").rename(folder / split / "images" / photograph)
        (folder / split / "labels" / "0.png").rename(folder / split / "labels" / label)

    require_refused_everywhere(folder, weights, capsys, verified=2)

    assert reason in Called(capsys, "data", "verify", folder, "--split", "val").err


@pytest.mark.parametrize(
    ("photograph", "label"),
    [("city.2019.0001.png", "city.2019.0001.png"), ("0.JPEG", "0.PNG"), ("a\n,'\"b.png", "a\n,'\"b.png")],
    ids=["dots", "capitals", "signs"],
)
def test_file_name_of_a_folder_may_have_dots_capitals_and_signs(
    photograph: str, label: str, folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "val"):
        (folder / split / "images" / "0.png").rename(folder / split / "images" / photograph)
        (folder / split / "labels" / "0.png").rename(folder / split / "labels" / label)

    require_read_everywhere(folder, weights, capsys)


def test_companions_of_macos_in_a_folder_are_no_pictures(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (folder / split / kind / "._0.png").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")

    require_read_everywhere(folder, weights, capsys)


@pytest.mark.parametrize("shape", [(1, 200), (2, 20_000), (3000, 2)], ids=str)
def test_picture_of_a_line_is_read_by_every_command(
    shape: tuple[int, int], folder: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = np.zeros(shape, np.uint8)
    label[:, shape[1] // 2 :] = 1
    for split in ("train", "val"):
        Image.fromarray(label * np.uint8(90)).save(folder / split / "images" / "0.png")
        Image.fromarray(label).save(folder / split / "labels" / "0.png")

    require_read_everywhere(folder, weights, capsys)
    photograph = folder / "val" / "images" / "0.png"
    command = ["predict", photograph, "--weights", weights, "--classes", "sky, grass", "--out", tmp_path / "predicted"]
    assert Called(capsys, *command).code == 0
    with Image.open(tmp_path / "predicted" / "0-labels.png") as labels:
        assert labels.size == shape[::-1]


BAD_WORDS = {
    "twice": "Sky, sky",
    "none": "",
    "comma": " , ",
    "no UTF-8": "\udcff, sky",
    "half a pair": "\ud83c",
    "long": "x" * 600,
    "brackets": "[" * 5000,
}


@pytest.mark.parametrize("kind", BAD_WORDS)
def test_words_of_predict_are_refused(
    kind: str, folder: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photograph = folder / "val" / "images" / "0.png"
    command = ["predict", photograph, "--weights", weights, "--classes", BAD_WORDS[kind], "--out", tmp_path / "out"]

    called = Called(capsys, *command)

    called.require_refused()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [*READ, *NO_NUMBER])
def test_photograph_of_a_download_is_prepared(kind: str, download: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(download / "images" / "validation" / "0.jpg", {**READ, **NO_NUMBER}[kind])
    out = download.parent / "out"

    prepared = Called(capsys, "data", "prepare", "a-150", "--source", download, "--out", out, "--workers", 1)
    verified = Called(capsys, "data", "verify", out, "--allow-partial", "--workers", 1)

    assert (prepared.code, verified.code) == (0, 0), prepared.err + verified.err + verified.out


@pytest.mark.parametrize("kind", [*REFUSED, *(f"label: {kind}" for kind in BAD_LABELS)])
def test_pair_of_a_download_is_refused(kind: str, download: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if kind in REFUSED:
        put(download / "images" / "validation" / "0.jpg", REFUSED[kind])
    else:
        put(download / "annotations" / "validation" / "0.png", BAD_LABELS[kind.removeprefix("label: ")])
    out = download.parent / "out"

    Called(capsys, "data", "prepare", "a-150", "--source", download, "--out", out, "--workers", 1).require_refused()

    assert not (out / MANIFEST).exists()
    assert not list(out.glob("**/*.parquet"))
