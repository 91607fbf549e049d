"""ovlab.datasets.prepare: what is refused, because something else is there or the split is none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ovlab.datasets.original import FolderSplit
from ovlab.datasets.prepare import prepare
from ovlab.specs.errors import InputError

MakeDownload = Callable[..., FolderSplit]
Unfinish = Callable[[FolderSplit, Path], None]


def replaced(original: FolderSplit, **changes: object) -> FolderSplit:
    values = {field: getattr(original, field) for field in FolderSplit.__dataclass_fields__}
    return FolderSplit(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "other"}, "name was synthetic, now other"),
        ({"split": "train"}, "split was val, now train"),
        ({"class_names": ("a", "b", "c", "d", "e")}, "class_names_digest"),
        ({"sample_ids": ("000000", "000001")}, "num_source_samples was 5, now 2"),
        ({"expected_count": 6}, "num_expected_samples was 5, now 6"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_prepare_other_split_in_the_same_place_is_refused(
    make_download: MakeDownload,
    tmp_path: Path,
    unfinish: Unfinish,
    change: dict[str, object],
    field: str,
    finished: bool,
) -> None:
    split = make_download(5)
    prepare(split, str(tmp_path / "out"), num_samples_per_shard=2)
    if not finished:
        unfinish(split, tmp_path / "out")

    with pytest.raises(InputError, match=field):
        prepare(replaced(split, **change), str(tmp_path / "out"), num_samples_per_shard=2)


def test_prepare_other_number_of_samples_a_shard_is_refused(make_download: MakeDownload, tmp_path: Path) -> None:
    prepare(make_download(5), str(tmp_path / "out"), num_samples_per_shard=2)

    with pytest.raises(InputError, match="num_samples_per_shard was 2, now 3"):
        prepare(make_download(5), str(tmp_path / "out"), num_samples_per_shard=3)


@pytest.mark.parametrize("finished", [True, False])
def test_prepare_other_download_with_the_same_ids_is_refused(
    make_download: MakeDownload, tmp_path: Path, unfinish: Unfinish, finished: bool
) -> None:
    split = make_download(5)
    prepare(split, str(tmp_path / "out"), num_samples_per_shard=2)
    if not finished:
        unfinish(split, tmp_path / "out")

    with pytest.raises(InputError, match="sample 000000 was packed from another source"):
        prepare(make_download(5, folder="other", seed=1), str(tmp_path / "out"), num_samples_per_shard=2)


def test_prepare_into_a_folder_of_somebody_else_is_refused(make_download: MakeDownload, tmp_path: Path) -> None:
    (tmp_path / "out" / "photos").mkdir(parents=True)
    (tmp_path / "out" / "photos" / "holiday.jpg").write_bytes(b"")

    with pytest.raises(InputError, match="not empty, and not a preparation"):
        prepare(make_download(2), str(tmp_path / "out"))


def test_prepare_label_outside_the_classes_is_refused_even_if_the_reader_lets_it_pass(
    make_download: MakeDownload, tmp_path: Path
) -> None:
    split = make_download(3)
    table = split.table.copy()
    table[:5] = [0, 1, 2, 3, 9]

    with pytest.raises(InputError, match=r"label values \[9\] are no classes; allowed are 0..4"):
        prepare(replaced(split, table=table), str(tmp_path / "out"))


@pytest.mark.parametrize("sample_ids", [(), ("000001", "000000"), ("000000", "000000")])
def test_prepare_ids_empty_unsorted_or_repeated_is_refused(
    make_download: MakeDownload, tmp_path: Path, sample_ids: tuple[str, ...]
) -> None:
    with pytest.raises(InputError, match="synthetic val: "):
        prepare(replaced(make_download(3), sample_ids=sample_ids), str(tmp_path / "out"))
