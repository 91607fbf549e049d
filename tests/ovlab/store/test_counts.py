"""ovlab.store.counts: what is read back is what was written, to the bit, or it is refused."""

import io
import subprocess
import sys
from itertools import chain
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from image_tables import whole_numbers
from ovlab.metrics.counting import ClassCounts, SparseCounts
from ovlab.metrics.evaluation_counts import ImageCounts, sum_counts
from ovlab.specs.scores import Kind
from ovlab.store.counts import concatenated, counts_digest, pack_counts, unpack_columns, unpack_counts
from ovlab.store.record import DamagedError

NUM_CLASSES = 847


def counted(seed: int, num_pairs: int) -> ImageCounts:
    """An image with `num_pairs` random pairs, sorted as counting gives them, some of them beyond 32 bits."""
    generator = np.random.default_rng(seed)
    pairs = np.sort(generator.choice(NUM_CLASSES**2, num_pairs, replace=False))
    gt, pred = (part.astype(np.uint16) for part in np.divmod(pairs, NUM_CLASSES))
    return ImageCounts(f"image-{seed}-é", SparseCounts(gt, pred, generator.integers(1, 2**40, num_pairs)))


def with_boundary(image: ImageCounts, num_classes: int) -> ImageCounts:
    generator = np.random.default_rng(num_classes)
    label = np.sort(generator.choice(NUM_CLASSES, num_classes, replace=False)).astype(np.uint16)
    boundary = ClassCounts(label, *generator.integers(0, 2**40, (3, num_classes)))
    return image._replace(counts=image.counts._replace(beside={"boundary": boundary}))


IMAGES = [counted(0, 5), counted(1, 0), counted(2, 3000), counted(3, 1)]
WITH_BOUNDARY = [with_boundary(image, num) for image, num in zip(IMAGES, (4, 0, 300, 1), strict=True)]


WITH_ORACLES = [
    image._replace(counts=image.counts._replace(beside=dict.fromkeys(get_args(Kind), image.counts.beside["boundary"])))
    for image in WITH_BOUNDARY
]


def assert_equal(found: list[ImageCounts], expected: list[ImageCounts]) -> None:
    assert [image.id for image in found] == [image.id for image in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.counts.beside.keys() == theirs.counts.beside.keys()
        pairs = [(ours.counts[:3], theirs.counts[:3])]
        pairs += [(ours.counts.beside[kind], theirs.counts.beside[kind]) for kind in ours.counts.beside]
        for mine, other in chain.from_iterable(zip(*pair, strict=True) for pair in pairs):
            assert mine.dtype == other.dtype
            np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize(
    "images",
    [IMAGES, IMAGES[1:2], [], WITH_BOUNDARY, WITH_BOUNDARY[1:2], WITH_ORACLES],
    ids=["many", "nothing counted", "none", "with boundaries", "without a contour", "with oracles"],
)
def test_counts_read_back_are_those_that_were_written(images: list[ImageCounts]) -> None:
    assert_equal(unpack_counts(pack_counts(images), place="x"), images)


def test_counts_read_back_add_up_to_the_same_figures_to_the_bit() -> None:
    found = sum_counts((image.counts for image in unpack_counts(pack_counts(IMAGES), place="x")), NUM_CLASSES)
    expected = sum_counts((image.counts for image in IMAGES), NUM_CLASSES)

    assert whole_numbers(found) == whole_numbers(expected)


def test_counts_without_boundaries_have_the_columns_that_they_always_had() -> None:
    plain, near = (pq.read_schema(pa.BufferReader(pack_counts(images))).names for images in (IMAGES, WITH_BOUNDARY))

    assert plain == ["id", "gt", "pred", "count"]
    assert near == [*plain, "boundary_label", "boundary_hits", "boundary_gt", "boundary_pred"]


def test_concatenated_counts_keep_boundaries_where_all_parts_have_them() -> None:
    halves = [unpack_columns(pack_counts(part), place="x") for part in (WITH_BOUNDARY[:2], WITH_BOUNDARY[2:])]
    plain = unpack_columns(pack_counts([counted(9, 2)]), place="x")

    assert_equal(concatenated(halves).images(), WITH_BOUNDARY)
    assert not concatenated([*halves, plain]).beside


@pytest.mark.parametrize("bit", [0x01, 0x10, 0x80])
def test_counts_with_a_changed_byte_are_refused_or_unchanged(bit: int) -> None:
    images = [IMAGES[0], IMAGES[1], counted(5, 40)]
    content = pack_counts(images)
    num_refused = 0
    for position in range(0, len(content), 7):
        changed = bytearray(content)
        changed[position] ^= bit
        try:
            found = unpack_counts(bytes(changed), place="shard 3")
        except DamagedError:
            num_refused += 1
        else:
            assert_equal(found, images)  # a byte that means nothing, such as the writer's name
    assert num_refused > 0


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a file", pack_counts(IMAGES)[:-40]])
def test_counts_of_something_else_are_refused_with_the_place(content: bytes) -> None:
    with pytest.raises(DamagedError, match=r"there/0\.parquet"):
        unpack_counts(content, place="there/0.parquet")


def test_reading_counts_imports_neither_pandas_nor_torch() -> None:
    program = (
        "import sys\n"
        "import numpy as np\n"
        "from ovlab.store.count_shards import *\n"
        "from ovlab.store.counts import unpack_counts\n"
        "from ovlab.metrics.counting import SparseCounts\n"
        "one = np.ones(1, np.uint16)\n"
        "content = pack_counts([ImageCounts('a', SparseCounts(one, one, np.ones(1, np.int64)))])\n"
        "print(unpack_counts(content, place='x')[0].id, sorted({'pandas', 'torch'} & set(sys.modules)))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert found.strip() == "a []"


def test_digest_is_of_the_numbers_and_not_of_their_packing() -> None:
    halves = [unpack_columns(pack_counts(part), place="x") for part in (WITH_BOUNDARY[:2], WITH_BOUNDARY[2:])]
    whole = unpack_columns(pack_counts(WITH_BOUNDARY), place="x")

    assert counts_digest(concatenated(halves)) == counts_digest(whole)
    others = [
        whole._replace(ids=("other", *whole.ids[1:])),
        whole._replace(lengths=whole.lengths[::-1]),
        whole._replace(count=whole.count + (np.arange(len(whole.count)) == 7)),
        whole._replace(gt=whole.pred, pred=whole.gt),
        whole._replace(beside={}),
        *(whole._replace(beside={kind: whole.beside["boundary"]}) for kind in get_args(Kind) if kind != "boundary"),
    ]
    assert len({counts_digest(one) for one in (whole, *others)}) == 9


def test_digest_of_counts_with_boundaries_is_that_of_before_there_were_oracles() -> None:
    label, numbers = np.array([1, 4], np.uint16), np.array([[1, 0], [2, 3], [4, 5]])
    image = counted(0, 5)._replace(id="a")
    image = image._replace(counts=image.counts._replace(beside={"boundary": ClassCounts(label, *numbers)}))

    assert (
        counts_digest(unpack_columns(pack_counts([image]), place="x"))
        == "f4e365015428dba1ad14f87a9abfee66bae9c721250ca7a17a41ea64d012e482"
    )


def test_file_of_another_packing_whose_numbers_were_changed_is_refused() -> None:
    table = pq.read_table(pa.BufferReader(pack_counts(IMAGES)))
    changed = table.set_column(0, "id", pa.array(["other", *table["id"].to_pylist()[1:]]))
    buffer = io.BytesIO()
    pq.write_table(changed, buffer)

    with pytest.raises(DamagedError, match=r"^x: damaged \(its sha256 is not that of its counts\)"):
        unpack_counts(buffer.getvalue(), place="x")


def test_file_of_before_there_were_digests_is_read() -> None:
    table = pq.read_table(pa.BufferReader(pack_counts(IMAGES))).replace_schema_metadata(None)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, store_schema=False)

    assert_equal(unpack_counts(buffer.getvalue(), place="x"), IMAGES)
