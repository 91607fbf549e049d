"""Counting against scikit-learn, whatever the maps hold, however they lie in memory and however they are sharded."""

import threading

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

import ovlab.datasets.sample
from image_tables import whole_numbers
from ovlab.metrics.counting import IGNORE_INDEX, SparseCounts, collapse, count_into, sparse_counts
from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.specs.errors import InputError


def maps(generator: np.random.Generator, shape: tuple[int, int], num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a label of blocks and noise, with ignored pixels."""
    height, width = shape
    blocks = generator.integers(0, num_classes, (2, -(-height // 5), -(-width // 7)))
    prediction, label = blocks.repeat(5, axis=1).repeat(7, axis=2)[:, :height, :width].astype(np.uint16)
    noisy = generator.random(shape) < 0.2
    prediction = np.where(noisy, generator.integers(0, num_classes, shape), prediction).astype(np.uint16)
    label[generator.random(shape) < 0.1] = IGNORE_INDEX
    label[height // 2] = IGNORE_INDEX
    return prediction, label


def by_scikit_learn(prediction: np.ndarray, label: np.ndarray, num_classes: int, ignored: int) -> np.ndarray:
    counted = label != ignored
    if not counted.any():
        return np.zeros((num_classes, num_classes), np.int64)
    return confusion_matrix(label[counted], prediction[counted], labels=range(num_classes))


def dense(counts: SparseCounts, num_classes: int) -> np.ndarray:
    matrix = np.zeros((num_classes, num_classes), np.int64)
    for gt, pred, count in zip(*(array.tolist() for array in counts[:3]), strict=True):
        matrix[gt, pred] += count
    return matrix


def count_once(prediction: np.ndarray, label: np.ndarray, num_classes: int, ignored: int = IGNORE_INDEX) -> np.ndarray:
    matrix = np.zeros((num_classes, num_classes), np.int64)
    count_into(matrix, prediction, label, ignored)
    return matrix


@pytest.mark.filterwarnings("ignore:A single label")  # scikit-learn, for one class
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 2), (3, 7), (40, 61), (64, 64)])
@pytest.mark.parametrize("num_classes", [1, 2, 21, 150, 847])
def test_counts_agree_with_scikit_learn(shape: tuple[int, int], num_classes: int) -> None:
    prediction, label = maps(np.random.default_rng(0), shape, num_classes)
    expected = by_scikit_learn(prediction, label, num_classes, IGNORE_INDEX)

    np.testing.assert_array_equal(count_once(prediction, label, num_classes), expected)
    np.testing.assert_array_equal(dense(sparse_counts(prediction, label, num_classes), num_classes), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.int64, np.uint64])
def test_counts_of_any_integer_type_are_equal(dtype: type) -> None:
    prediction, label = maps(np.random.default_rng(1), (30, 33), 90)
    expected = by_scikit_learn(prediction, label, 90, IGNORE_INDEX)
    label = np.where(label == IGNORE_INDEX, 100, label)

    np.testing.assert_array_equal(count_once(prediction.astype(dtype), label.astype(dtype), 90, 100), expected)


def large_maps(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Maps of several blocks of the compiled loops: of stripes, of noise, or of noise below stripes; 40 classes."""
    generator = np.random.default_rng(10)
    stripes = generator.integers(0, 40, (2, 150, 4)).astype(np.uint16).repeat(25, axis=2)
    noise = generator.integers(0, 40, (2, 150, 100)).astype(np.uint16)
    noise[1][generator.random((150, 100)) < 0.1] = IGNORE_INDEX
    prediction, label = {
        "stripes": stripes,
        "noise": noise,
        "both": np.where(np.arange(150)[:, None] < 75, stripes, noise),
    }[kind]
    label[:3] = IGNORE_INDEX
    return prediction, label


@pytest.mark.parametrize("kind", ["stripes", "noise", "both"])
def test_counts_of_large_maps_agree_with_scikit_learn(kind: str) -> None:
    prediction, label = large_maps(kind)
    expected = by_scikit_learn(prediction, label, 40, IGNORE_INDEX)

    np.testing.assert_array_equal(count_once(prediction, label, 40), expected)
    np.testing.assert_array_equal(dense(sparse_counts(prediction, label, 40), 40), expected)


@pytest.mark.parametrize("kind", ["stripes", "noise", "both"])
@pytest.mark.parametrize("what", ["prediction", "label"])
@pytest.mark.parametrize("row", [3, 149])
def test_matrix_is_as_it_was_after_a_large_map_is_refused(kind: str, what: str, row: int) -> None:
    prediction, label = large_maps(kind)
    label[row, 99] = 0
    (prediction if what == "prediction" else label)[row, 99] = 40
    total = np.random.default_rng(11).integers(0, 9, (40, 40))
    before = total.copy()

    with pytest.raises(InputError, match=f"{what} 40 at row {row}, column 99"):
        count_into(total, prediction, label)

    np.testing.assert_array_equal(total, before)


def test_counts_of_views_equal_those_of_copies() -> None:
    prediction, label = maps(np.random.default_rng(2), (50, 53), 9)
    for rows, columns in ((slice(1, None), slice(1, -1)), (slice(None, None, -1), slice(None, None, 2))):
        seen = prediction[rows, columns], label[rows, columns]
        copies = [view.copy() for view in seen]

        np.testing.assert_array_equal(count_once(*seen, 9), count_once(*copies, 9))
    np.testing.assert_array_equal(count_once(prediction.T, label.T, 9), count_once(prediction, label, 9))


def test_counts_of_a_row_that_starts_between_words_are_right() -> None:
    prediction, label = maps(np.random.default_rng(2), (1, 60), 9)
    for start in range(8):
        shifted = prediction[:, start:], label[:, start:]

        np.testing.assert_array_equal(count_once(*shifted, 9), by_scikit_learn(*shifted, 9, IGNORE_INDEX))


def test_counts_of_maps_that_cannot_be_written_are_right() -> None:
    prediction, label = maps(np.random.default_rng(3), (20, 20), 9)
    prediction.flags.writeable = label.flags.writeable = False

    assert count_once(prediction, label, 9).sum() == np.count_nonzero(label != IGNORE_INDEX)


def test_counting_leaves_the_maps_writeable() -> None:
    prediction, label = maps(np.random.default_rng(3), (20, 20), 9)
    sparse_counts(prediction, label, 9)

    assert prediction.flags.writeable
    assert label.flags.writeable


def test_sparse_counts_are_sorted_and_hold_each_pair_once() -> None:
    counts = sparse_counts(*maps(np.random.default_rng(4), (40, 40), 30), 30)
    keys = counts.gt.astype(int) * 30 + counts.pred

    assert (np.diff(keys) > 0).all()
    assert (counts.count > 0).all()
    assert (counts.gt.dtype, counts.pred.dtype, counts.count.dtype) == (np.uint16, np.uint16, np.int64)


def test_counts_of_an_image_that_is_all_ignored_are_empty() -> None:
    prediction, label = maps(np.random.default_rng(5), (12, 13), 9)
    label[:] = IGNORE_INDEX

    assert [len(array) for array in sparse_counts(prediction, label, 9)[:3]] == [0, 0, 0]
    assert not count_once(prediction, label, 9).any()


def test_counts_of_a_map_without_pixels_are_empty() -> None:
    nothing = np.zeros((0, 5), np.uint16)

    assert not count_once(nothing, nothing, 3).any()


def test_prediction_on_ignored_pixels_is_not_looked_at() -> None:
    label = np.array([[0, IGNORE_INDEX, 1, IGNORE_INDEX, 0]], np.uint16)
    prediction = np.array([[0, 70000, 1, -3, 1]])

    np.testing.assert_array_equal(count_once(prediction, label, 2), [[1, 1], [0, 1]])


def test_counts_of_images_in_any_order_and_sharding_are_the_same_bits() -> None:
    generator = np.random.default_rng(6)
    images = [sparse_counts(*maps(generator, (25, 31), 60), 60) for _ in range(12)]
    whole = sum_counts(images, 60)

    for _ in range(5):
        order = generator.permutation(12)
        shards = np.split(order, sorted(generator.integers(0, 13, 3)))
        merged = sum_counts([], 60)
        for shard in shards:
            merged = sum_counts([images[index] for index in shard], 60) + merged

        assert whole_numbers(merged) == whole_numbers(whole)
        assert merged.num_images == 12


def test_counts_do_not_remember_the_images_before() -> None:
    generator = np.random.default_rng(7)
    first, second = maps(generator, (25, 31), 40), maps(generator, (25, 31), 40)
    alone = count_once(*second, 40)

    sparse_counts(*first, 40)
    np.testing.assert_array_equal(dense(sparse_counts(*second, 40), 40), alone)
    count_once(*first, 40)
    np.testing.assert_array_equal(count_once(*second, 40), alone)
    sparse_counts(first[0] % 7, np.where(first[1] == IGNORE_INDEX, IGNORE_INDEX, first[1] % 7), 7)
    np.testing.assert_array_equal(count_once(*second, 40), alone)


def test_counts_after_a_refused_image_are_clean() -> None:
    prediction, label = maps(np.random.default_rng(8), (25, 31), 40)
    wrong = prediction.copy()
    wrong[-1, -1], label[-1, -1] = 40, 0
    total = np.full((40, 40), 5)

    with pytest.raises(InputError):
        count_into(total, wrong, label)

    assert (total == 5).all()
    np.testing.assert_array_equal(
        count_once(prediction, label, 40), by_scikit_learn(prediction, label, 40, IGNORE_INDEX)
    )


def test_counts_in_several_threads_do_not_mix() -> None:
    generator = np.random.default_rng(9)
    images = [maps(generator, (64, 64), 50) for _ in range(8)]
    expected = [count_once(*image, 50) for image in images]
    found: dict[int, list[np.ndarray]] = {}

    def count(place: int) -> None:
        found[place] = [count_once(*images[place], 50) for _ in range(20)]

    threads = [threading.Thread(target=count, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for place in range(8):
        assert all(np.array_equal(matrix, expected[place]) for matrix in found[place])


@pytest.mark.parametrize(
    ("what", "value", "place"),
    [("prediction", 3, (0, 0)), ("prediction", -1, (2, 4)), ("prediction", 65535, (1, 1)), ("label", 7, (2, 3))],
)
def test_value_out_of_range_is_named_with_its_place(what: str, value: int, place: tuple[int, int]) -> None:
    pixels = {"prediction": np.zeros((3, 5), np.int64), "label": np.zeros((3, 5), np.int64)}
    pixels[what][place] = value

    with pytest.raises(InputError, match=f"{what} {value} at row {place[0]}, column {place[1]} is outside 0 .. 2"):
        sparse_counts(pixels["prediction"], pixels["label"], 3)


@pytest.mark.parametrize(("num_classes", "ignored"), [(0, 255), (70000, 65535), (300, 255), (3, -1), (3, 70000)])
def test_impossible_number_of_classes_or_ignore_index_is_refused(num_classes: int, ignored: int) -> None:
    pixels = np.zeros((3, 5), np.int64)

    with pytest.raises(InputError, match="must be in"):
        sparse_counts(pixels, pixels, num_classes, ignored)


@pytest.mark.parametrize(
    "matrix", [np.zeros((3, 3), np.int32), np.zeros((3, 3), np.float64), np.zeros((3, 6), np.int64)[:, ::2]]
)
def test_matrix_of_another_type_or_layout_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises((ValueError, TypeError)):
        count_into(matrix, np.zeros((2, 2), np.uint16), np.zeros((2, 2), np.uint16))


def test_collapse_makes_every_later_name_background() -> None:
    names = np.array([[0, 19, 20], [21, 58, 5]])

    collapsed = collapse(names, np.minimum(np.arange(59), 20))

    np.testing.assert_array_equal(collapsed, [[0, 19, 20], [20, 20, 5]])
    assert collapsed.dtype == np.uint16


@pytest.mark.parametrize("value", [59, -1])
def test_collapse_prediction_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(InputError, match=f"prediction {value} is outside 0 .. 58"):
        collapse(np.array([[0, value]]), np.minimum(np.arange(59), 20))


def test_ignore_index_is_the_one_of_the_datasets() -> None:
    assert ovlab.datasets.sample.IGNORE_INDEX == IGNORE_INDEX
