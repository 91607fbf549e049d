"""What is asked for, and what labels mean, for every kind of data set."""

import numpy as np
import pytest

from ovlab.datasets.label_space import label_space, vocabulary_digest
from ovlab.datasets.sample import Sample, SegmentationDataset
from ovlab.datasets.selection import first_samples
from ovlab.shapes.dataset import open_shapes
from ovlab.specs.evaluation import Collapse


class Named:
    """A data set of five empty samples with a name of the catalog, or none."""

    def __init__(self, name: str, class_names: tuple[str, ...]) -> None:
        self.name, self.class_names = name, class_names
        self.sample_ids = ("a", "b", "c", "d", "e")

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.sample_ids[index], np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint16))


def test_label_space_unknown_name_asks_for_its_class_names() -> None:
    space = label_space(Named("mine", ("road", "tree, oak")), "average")

    assert space.asked == (("road",), ("tree, oak",))
    assert space.seen is None
    assert space.collapse is None


@pytest.mark.parametrize(("rule", "asked"), [("first", ("wall",)), ("average", ("wall",))])
def test_label_space_known_name_reads_synonyms_by_the_rule(rule: str, asked: tuple[str, ...]) -> None:
    names = tuple(f"class {n}" for n in range(847))

    space = label_space(Named("a-847", names), rule)

    assert space.asked[0] == asked
    assert len(space.asked) == len(space.seen) == 847
    assert any(len(names) > 1 for names in space.asked) == (rule == "average")


def test_label_space_pas_20b_asks_for_59_names_and_scores_21() -> None:
    names = (*(f"class {n}" for n in range(20)), "background")

    space = label_space(Named("pas-20b", names), "first")

    assert len(space.asked) == 59
    assert space.scored == names
    assert space.seen.tolist() == [True] * 20 + [False]
    assert space.collapse == Collapse(background=20)


def test_label_space_shapes_with_background_collapses_too() -> None:
    space = label_space(open_shapes("shapes-pas-20b", "val"), "first")

    assert len(space.asked) > len(space.scored) == len(space.seen) == 21
    assert space.collapse == Collapse(background=20)


@pytest.mark.parametrize(
    "dataset",
    [
        Named("pas-20", tuple("abcdefghijklmnopqrst")),
        open_shapes("shapes-pas-20b", "val"),
        open_shapes("shapes-a-150", "train"),
    ],
    ids=lambda dataset: dataset.name,
)
def test_first_samples_keep_the_label_space(dataset: SegmentationDataset) -> None:
    whole, first = (label_space(images, "first") for images in (dataset, first_samples(dataset, 2)))

    assert (first.asked, first.scored, first.collapse) == (whole.asked, whole.scored, whole.collapse)
    assert first.seen.tolist() == whole.seen.tolist()


def test_label_space_of_a_training_split_has_its_seen_names_only() -> None:
    dataset = open_shapes("shapes-a-150", "train")

    space = label_space(dataset, "first")

    assert space.scored == dataset.class_names
    assert space.asked == tuple((name,) for name in dataset.class_names)
    assert space.seen.all()


def test_vocabulary_digest_moves_with_what_is_asked_for_and_with_nothing_else() -> None:
    base = vocabulary_digest(label_space(Named("mine", ("road", "tree")), "first"))

    assert vocabulary_digest(label_space(Named("yours", ("road", "tree")), "first")) == base
    assert vocabulary_digest(label_space(Named("mine", ("tree", "road")), "first")) != base
    names = tuple(f"class {n}" for n in range(847))
    first, average = (vocabulary_digest(label_space(Named("a-847", names), rule)) for rule in ("first", "average"))
    assert first != average


def test_vocabulary_digest_of_the_two_settings_of_pascal_differ() -> None:
    twenty, with_background = (open_shapes(name, "val") for name in ("shapes-pas-20", "shapes-pas-20b"))

    assert vocabulary_digest(label_space(twenty, "first")) != vocabulary_digest(label_space(with_background, "first"))
