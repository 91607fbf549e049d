import re
import subprocess
import sys
from pathlib import Path

import pytest

from ovlab.datasets.catalog import DATASETS, KnownDataset, lookup, seen_classes
from ovlab.datasets.published_file import PublishedFile
from ovlab.datasets.vocabulary import load_seen
from ovlab.specs.errors import InputError
from ovlab.specs.suite import EVALUATION_SPLIT, PAPER

KNOWN = pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)


def test_catalog_holds_the_training_set_the_six_benchmarks_and_the_photographs() -> None:
    assert set(DATASETS) == {"coco-stuff", *PAPER.benchmarks.values(), "msrc", "camvid"}
    assert list(PAPER.benchmarks) == ["a-847", "pc-459", "a-150", "pc-59", "pas-20", "pas-20b"]


@KNOWN
def test_dataset_label_space_is_its_vocabulary_or_that_collapsed(dataset: KnownDataset) -> None:
    if dataset.background is None:
        assert dataset.num_label_classes == len(dataset.prompt_entries)
    else:
        assert dataset.num_label_classes == dataset.background + 1 < len(dataset.prompt_entries)
    assert len(dataset.seen) == dataset.num_label_classes
    assert len(load_seen(dataset.vocabulary)) == len(dataset.prompt_entries)


def test_dataset_pas_20b_alone_has_a_background() -> None:
    assert {name: dataset.background for name, dataset in DATASETS.items() if dataset.background} == {"pas-20b": 20}


def test_seen_classes_are_known_by_name() -> None:
    assert seen_classes("my-folder") is None
    assert len(seen_classes("pas-20b")) == 21
    assert not seen_classes("pas-20b")[20]
    assert len(seen_classes("a-150")) == 150
    assert seen_classes("shapes-a-150").any()
    assert seen_classes("msrc").sum() == 15
    assert not seen_classes("camvid").any()


@pytest.mark.parametrize("name", PAPER.benchmarks.values())
def test_dataset_of_a_benchmark_has_the_split_that_is_scored(name: str) -> None:
    assert EVALUATION_SPLIT in lookup(name).num_images


@KNOWN
def test_dataset_says_how_it_is_obtained(dataset: KnownDataset) -> None:
    steps = [str(step) for step in dataset.obtain]
    assert any("http" in step for step in steps)
    assert all("\n" not in step for step in steps)


@KNOWN
def test_what_anyone_may_fetch_has_a_licence_and_a_checksum_of_a_kind_that_is_known(dataset: KnownDataset) -> None:
    for file in dataset.obtain:
        if isinstance(file, PublishedFile):
            assert file.licence
            assert file.checksum is None or re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", file.checksum)


@KNOWN
def test_open_of_an_empty_folder_says_what_was_expected(dataset: KnownDataset, tmp_path: Path) -> None:
    for split in dataset.num_images:
        with pytest.raises(InputError, match=r"expected .* found an empty folder") as error:
            dataset.open(tmp_path, split)
        assert str(tmp_path) in str(error.value)
        assert "\n" not in str(error.value)


@KNOWN
def test_open_of_a_split_that_is_not_published_is_refused(dataset: KnownDataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{dataset.name} has the split\(s\) .*; got 'dev'"):
        dataset.open(tmp_path, "dev")


def test_lookup_of_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no data set 'a-847x'\. Did you mean 'a-847'\? Known: coco-stuff, "):
        lookup("a-847x")


def test_catalog_imports_nothing_heavy() -> None:
    code = (
        "import sys, ovlab.datasets.catalog; sys.exit(str({'torch', 'scipy', 'pycocotools', 'ray'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert result.stderr.strip() == "set()"
