"""ovlab.store.count_shards: every image in one shard, every shard whole, whoever counts it and in whatever order."""

import logging
import random

import numpy as np
import pytest

from image_tables import whole_numbers
from ovlab.metrics.counting import SparseCounts
from ovlab.metrics.evaluation_counts import ImageCounts, sum_counts
from ovlab.specs.errors import InputError, WorkError
from ovlab.store.count_shards import IMAGES_PER_SHARD, columns_of, commit_shard, committed_shards, plan_shards
from ovlab.store.store import Store

RUN = "f" * 64
IDS = [f"{number:03d}" for number in range(2 * IMAGES_PER_SHARD + 2)]


def counted(name: str) -> ImageCounts:
    value = np.uint16(int(name) % 3)
    return ImageCounts(name, SparseCounts(np.array([value]), np.array([2], np.uint16), np.array([int(name) + 1])))


def test_plan_shards_does_not_depend_on_the_order_of_the_data_set() -> None:
    shuffled = random.Random(1).sample(IDS, len(IDS))

    plan, other = plan_shards(IDS), plan_shards(shuffled)

    assert [(shard.file, len(shard.ids)) for shard in plan] == [
        ("00000.parquet", 64),
        ("00001.parquet", 64),
        ("00002.parquet", 2),
    ]
    assert [shard.ids for shard in plan] == [shard.ids for shard in other]
    assert sorted(sum((shard.ids for shard in plan), ())) == IDS
    for shard in other:
        assert tuple(shuffled[index] for index in shard.indices) == shard.ids


def test_plan_shards_image_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InputError, match="image 'b' is there twice"):
        plan_shards(["b", "a", "b"])


def test_shards_committed_in_any_order_add_up_to_all_images(store: Store) -> None:
    shards = plan_shards(IDS)
    for shard in (shards[2], shards[0]):
        commit_shard(store, RUN, shard, [counted(name) for name in reversed(shard.ids)])

    assert set(committed_shards(store, RUN, shards)) == {shards[0], shards[2]}
    commit_shard(store, RUN, shards[1], [counted(name) for name in shards[1].ids])

    images = columns_of(store, RUN).images()
    assert [image.id for image in images] == IDS
    found = sum_counts((image.counts for image in images), 3)
    expected = sum_counts((counted(name).counts for name in IDS), 3)
    assert whole_numbers(found) == whole_numbers(expected)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (IDS[:62], "64 images in, 62 out; missing: 062, 063; not asked for: none"),
        (IDS[:65], "64 images in, 65 out; missing: none; not asked for: 064"),
        ([*IDS[:63], "000"], "64 images in, 64 out; missing: 063"),
        ([*IDS[:64], "000"], "64 images in, 65 out"),
        ([], "missing: 000, 001, 002 and 61 more"),
    ],
)
def test_shard_with_other_images_than_its_own_is_not_committed(store: Store, ids: list[str], words: str) -> None:
    shard = plan_shards(IDS)[0]

    with pytest.raises(WorkError, match=words):
        commit_shard(store, RUN, shard, [counted(name) for name in ids])

    assert committed_shards(store, RUN, [shard]) == {}


def test_shard_committed_twice_keeps_the_first(store: Store) -> None:
    (shard,) = plan_shards(["1"])
    commit_shard(store, RUN, shard, [counted("1")])
    commit_shard(store, RUN, shard, [ImageCounts("1", counted("5").counts)])

    assert columns_of(store, RUN).images()[0].counts.count.tolist() == [2]


def test_shard_that_is_damaged_or_of_other_images_is_named_and_counted_again(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    shards = plan_shards(IDS)
    for shard in shards:
        commit_shard(store, RUN, shard, [counted(name) for name in shard.ids])
    place = f"evaluations/{RUN}/counts"
    store.folder.write(f"{place}/00000.parquet", store.folder.read(f"{place}/00000.parquet")[:-9])
    store.folder.write(f"{place}/00001.parquet", store.folder.read(f"{place}/00002.parquet"))

    with caplog.at_level(logging.WARNING):
        assert set(committed_shards(store, RUN, shards)) == {shards[2]}

    assert "00000.parquet: damaged" in caplog.text
    assert "00001.parquet: holds other images" in caplog.text
    commit_shard(store, RUN, shards[0], [counted(name) for name in shards[0].ids])
    assert set(committed_shards(store, RUN, shards)) == {shards[0], shards[2]}


def test_shards_exchanged_by_two_unfinished_evaluations_of_the_same_images_are_counted_again(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    (shard,), other = plan_shards(IDS[:3]), "e" * 64
    for run, name in ((RUN, "7"), (other, "8")):
        commit_shard(store, run, shard, [ImageCounts(id, counted(name).counts) for id in shard.ids])
    one, two = (f"evaluations/{run}/counts/{shard.file}" for run in (RUN, other))
    contents = store.folder.read(one), store.folder.read(two)
    store.folder.write(one, contents[1])
    store.folder.write(two, contents[0])

    assert not committed_shards(store, RUN, [shard])
    assert not committed_shards(store, other, [shard])
    assert caplog.text.count("holds the counts of another evaluation. It is counted again.") == 2
