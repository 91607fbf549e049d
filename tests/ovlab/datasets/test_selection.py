"""ovlab.datasets.selection: the chosen samples in the chosen order, and nothing else of the data set changed."""

import numpy as np
import pytest

from ovlab.datasets.sample import SegmentationDataset
from ovlab.datasets.selection import Selection, first_samples
from ovlab.shapes.dataset import open_shapes


def test_selection_gives_the_samples_in_its_own_order() -> None:
    dataset = open_shapes("shapes-pas-20", "val", num_samples=5)

    chosen = Selection(dataset, (4, 1))

    assert isinstance(chosen, SegmentationDataset)
    assert (len(chosen), chosen.sample_ids) == (2, ("000004", "000001"))
    assert (chosen.name, chosen.class_names) == (dataset.name, dataset.class_names)
    for position, index in enumerate((4, 1)):
        assert chosen[position].id == dataset[index].id
        np.testing.assert_array_equal(chosen[position].label, dataset[index].label)


@pytest.mark.parametrize("index", [-1, 2])
def test_selection_has_no_other_samples(index: int) -> None:
    chosen = Selection(open_shapes("shapes-pas-20", "val", num_samples=5), (4, 1))

    with pytest.raises(IndexError, match="there are 2"):
        chosen[index]


def test_first_samples_are_the_first() -> None:
    first = first_samples(open_shapes("shapes-pas-20", "val", num_samples=5), 2)

    assert [first[index].id for index in range(len(first))] == ["000000", "000001"]
    with pytest.raises(IndexError):
        first[2]


def test_first_samples_of_a_smaller_set_are_all() -> None:
    assert len(first_samples(open_shapes("shapes-pas-20", "val", num_samples=5), 100)) == 5


def test_digest_of_a_selection_is_over_ids_and_class_names() -> None:
    def digest(name: str, indices: tuple[int, ...]) -> str:
        return Selection(open_shapes(name, "val", num_samples=5), indices).digest

    base = digest("shapes-pas-20", (0, 1))
    assert digest("shapes-pas-20", (0, 1)) == base
    assert (
        len({base, digest("shapes-pas-20", (1, 0)), digest("shapes-pas-20", (0,)), digest("shapes-a-150", (0, 1))}) == 4
    )
