"""ovlab.datasets.verify: sound data passes, and every kind of damage is found and named."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.benchmarks.synthetic_download import write_download
from ovlab.datasets.encoding import encode_label
from ovlab.datasets.manifest import MANIFEST, Manifest, load_manifest, pack_manifest
from ovlab.datasets.prepare import prepare
from ovlab.datasets.sharded import open_shards
from ovlab.datasets.shards import Row, pack_shard
from ovlab.datasets.verify import Verification, verify, verify_folder
from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError

NUM_SAMPLES = 7


@pytest.fixture
def uri(tmp_path: Path) -> str:
    split = write_download(tmp_path / "download", num_images=NUM_SAMPLES, height=24, width=36, num_classes=5)
    prepare(split, str(tmp_path / "out"), num_samples_per_shard=3)
    return str(tmp_path / "out")


def failed(verification: Verification) -> list[str]:
    assert verification.passed == all(check.passed for check in verification.checks)
    return [check.name for check in verification.checks if not check.passed]


def rewrite_shard(uri: str, shard: int, change: Callable[[Row], Row]) -> None:
    """Put changed rows into a shard and correct its sha256, as a faulty program would."""
    dataset = open_shards(uri)
    entry = dataset.manifest.shards[shard]
    content = pack_shard(change(row) for row in dataset.shard_rows(shard))
    dataset.folder.write(entry.file, content)
    entries = list(dataset.manifest.shards)
    entries[shard] = replace(entry, sha256=hashlib.sha256(content).hexdigest(), num_bytes=len(content))
    rewrite_manifest(uri, replace(dataset.manifest, shards=tuple(entries)))


def rewrite_manifest(uri: str, manifest: Manifest) -> None:
    Folder(uri).write(MANIFEST, pack_manifest(manifest))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_verify_sound_data_passes_every_check(uri: str, num_workers: int) -> None:
    seen: list[int] = []

    result = verify(uri, num_workers=num_workers, progress=lambda done, total: seen.append(done))

    assert failed(result) == []
    assert len(result.checks) == 6
    assert result.problems == ()
    assert (result.num_samples, sorted(seen)[-1]) == (NUM_SAMPLES, NUM_SAMPLES)
    manifest = load_manifest(Folder(uri))
    assert result.ignored_share == manifest.num_ignored_pixels / (NUM_SAMPLES * 24 * 36)


@pytest.mark.parametrize("column", ["image", "label"])
def test_verify_flipped_byte_names_shard_and_sample(uri: str, column: str) -> None:
    path = Path(uri) / "shards" / "00001.parquet"
    content = bytearray(path.read_bytes())
    value = getattr(open_shards(uri).row(4), column)
    content[bytes(content).index(value) + len(value) // 2] ^= 16
    path.write_bytes(content)

    result = verify(uri)

    assert "digests, images and label values" in failed(result)
    assert [(p.file, p.sample_id) for p in result.problems] == [
        ("shards/00001.parquet", None),
        ("shards/00001.parquet", "000004"),
    ]
    assert "sha256" in result.problems[0].message


def test_verify_any_flipped_byte_of_a_shard_is_found(uri: str) -> None:
    path = Path(uri) / "shards" / "00000.parquet"
    content = path.read_bytes()
    for position in np.random.default_rng(0).integers(len(content), size=25):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)

        result = verify(uri)

        assert not result.passed
        assert {problem.file for problem in result.problems} == {"shards/00000.parquet"}


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:500])])
def test_verify_missing_or_truncated_shard_is_named(uri: str, damage: Callable[[Path], object]) -> None:
    damage(Path(uri) / "shards" / "00002.parquet")

    result = verify(uri)

    assert {problem.file for problem in result.problems} == {"shards/00002.parquet"}
    assert "class histogram" in failed(result)


def test_verify_flipped_byte_of_the_index_is_refused(uri: str) -> None:
    path = Path(uri) / "index.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(InputError, match=r"index\.parquet: damaged"):
        verify(uri)


def test_verify_label_with_a_value_that_is_no_class_names_the_sample(uri: str) -> None:
    def change(row: Row) -> Row:
        label = row.decode().label.copy()
        label[0, 0] = 5
        return row._replace(label=encode_label(label, 6)) if row.id == "000002" else row

    rewrite_shard(uri, 0, change)

    result = verify(uri)

    assert [problem.sample_id for problem in result.problems] == ["000002"]
    assert "label values [5] are no classes; there are 5" in result.problems[0].message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row._replace(id="stranger"), "id is stranger"),
        (lambda row: row._replace(height=row.height + 1), "height is 25"),
        (lambda row: row._replace(image=row.image + b"\0"), "digest is "),
    ],
)
def test_verify_row_that_differs_from_the_index_is_named(uri: str, change: Callable[[Row], Row], message: str) -> None:
    rewrite_shard(uri, 0, lambda row: change(row) if row.id == "000001" else row)

    result = verify(uri)

    assert [problem.sample_id for problem in result.problems] == ["000001"]
    assert message in result.problems[0].message


def test_verify_wrong_histogram_is_found(uri: str) -> None:
    manifest = load_manifest(Folder(uri))
    first, second, *rest = manifest.class_pixels
    rewrite_manifest(uri, replace(manifest, class_pixels=(first + 1, second - 1, *rest)))

    result = verify(uri)

    assert failed(result) == ["class histogram"]
    assert result.problems == ()


def test_verify_manifest_that_contradicts_its_index_is_found(uri: str) -> None:
    manifest = load_manifest(Folder(uri))
    rewrite_manifest(uri, replace(manifest, content_digest="0" * 64))

    assert failed(verify(uri)) == ["manifest and index"]


def test_verify_fewer_samples_than_published_fails_unless_allowed(tmp_path: Path) -> None:
    split = write_download(tmp_path / "download", num_images=4, height=24, width=36, num_classes=5)
    (split.label_folder / "000002.png").unlink()
    prepare(split, str(tmp_path / "out"), skip_bad=True)

    result = verify(str(tmp_path / "out"))

    assert failed(result) == ["number of samples"]
    assert result.checks[0].found.startswith("3 of 4 samples, 1 bad ones left out (see bad.jsonl)")
    assert failed(verify(str(tmp_path / "out"), allow_partial=True)) == []


def test_verify_more_classes_than_8_bits_hold_passes(tmp_path: Path) -> None:
    split = write_download(tmp_path / "download", num_images=3, height=24, width=36, num_classes=254)
    table = split.table.copy()
    table[table < 254] += 593  # classes 593 .. 846
    wide = replace(split, table=table, class_names=tuple(f"class {i}" for i in range(847)))
    prepare(wide, str(tmp_path / "out"))

    result = verify(str(tmp_path / "out"))

    assert failed(result) == []
    assert max(np.flatnonzero(load_manifest(Folder(str(tmp_path / "out"))).class_pixels)) > 593


def test_verify_in_a_bucket_finds_the_same_as_in_a_folder(uri: str, s3_bucket: str) -> None:
    remote = Folder(f"s3://{s3_bucket}/set")
    for path in Path(uri).rglob("*"):
        if path.is_file():
            remote.write(str(path.relative_to(uri)), path.read_bytes())
    assert verify(remote.uri) == replace(verify(uri), uri=remote.uri)

    remote.write("shards/00001.parquet", remote.read("shards/00001.parquet")[:-1])

    assert not verify(remote.uri).passed


def test_verification_is_plain_enough_for_json(uri: str) -> None:
    assert json.loads(json.dumps(asdict(verify(uri))))["checks"][0]["passed"] is True


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A split `val` of 70 pairs with two classes."""
    for kind in ("images", "labels"):
        (tmp_path / "mine" / "val" / kind).mkdir(parents=True)
    label = np.array([[0, 1, 255]], np.uint8)
    for number in range(70):
        Image.new("RGB", (3, 1)).save(tmp_path / "mine" / "val" / "images" / f"{number}.png")
        Image.fromarray(label).save(tmp_path / "mine" / "val" / "labels" / f"{number}.png")
    (tmp_path / "mine" / "classes.json").write_text('["sky", "road"]')
    return tmp_path / "mine"


@pytest.mark.parametrize("num_workers", [1, 2])
def test_verify_folder_that_is_whole_passes(own_folder: Path, num_workers: int) -> None:
    found = verify_folder(own_folder, "val", num_workers=num_workers)

    assert found.passed
    assert (found.num_samples, found.num_bad_samples, found.problems) == (70, 0, ())
    assert found.ignored_share == pytest.approx(1 / 3)
    assert [check.found for check in found.checks] == [
        "all can be read",
        "2 of 2 classes occur; 33.33 % of the pixels are ignored",
    ]


def test_verify_folder_names_the_photographs_whose_label_does_not_tell_which_way_up_they_are(own_folder: Path) -> None:
    """Of 3 x 1 pixels: mirrored and upside down they stay so, upright (1) and turned by a right angle are clear."""
    for name, tag, size in (("1", 1, (3, 1)), ("2", 2, (3, 1)), ("3", 3, (3, 1)), ("6", 6, (1, 3)), ("7", 7, (2, 2))):
        exif = Image.Exif()
        exif[0x0112] = tag
        Image.new("RGB", size).save(own_folder / "val" / "images" / f"{name}.png", exif=exif)
    Image.new("L", (2, 2)).save(own_folder / "val" / "labels" / "7.png")

    found = verify_folder(own_folder, "val")

    assert found.passed
    (orientation,) = [check.found for check in found.checks if check.name == "orientation"]
    assert orientation == (
        "3 with an EXIF orientation that the size of the label cannot tell are read as stored: 2.png; 3.png; 7.png"
    )


def test_verify_folder_names_every_pair_that_cannot_be_read(own_folder: Path) -> None:
    (own_folder / "val" / "images" / "7.png").write_bytes(b"<html>")
    Image.new("L", (3, 1), 9).save(own_folder / "val" / "labels" / "66.png")

    found = verify_folder(own_folder, "val")

    assert not found.passed
    assert found.checks[0].found == "2 of 70 cannot be read"
    assert [problem.sample_id for problem in found.problems] == ["66", "7"]
    assert "value 9 at row 0" in found.problems[0].message
    assert "7.png: the photograph cannot be decoded (not an image)" in found.problems[1].message


def test_verify_folder_of_masks_of_0_and_255_says_what_is_wrong(own_folder: Path) -> None:
    for path in (own_folder / "val" / "labels").iterdir():
        Image.fromarray(np.array([[0, 0, 255]], np.uint8)).save(path)

    found = verify_folder(own_folder, "val")

    assert [check.passed for check in found.checks] == [True, False]
    assert "while no pixel is 'road'. Give each class its own index" in found.checks[1].found
