"""What is asked for, and what labels mean, for every kind of data set."""

import pytest

from ovlab.datasets.catalog import named_labels
from ovlab.datasets.label_space import plain_labels
from ovlab.datasets.selection import first_samples
from ovlab.shapes.dataset import open_shapes
from ovlab.specs.evaluation import Collapse

A_847 = tuple(f"class {n}" for n in range(847))


def test_label_space_unknown_name_asks_for_its_class_names() -> None:
    space = named_labels("mine", ("road", "tree, oak"), "average")

    assert space.asked == (("road",), ("tree, oak",))
    assert space.seen is None
    assert space.collapse is None


@pytest.mark.parametrize("rule", ["first", "average"])
def test_label_space_known_name_reads_synonyms_by_the_rule(rule: str) -> None:
    space = named_labels("a-847", A_847, rule)

    assert space.asked[0] == ("wall",)
    assert len(space.asked) == len(space.seen) == 847
    assert any(len(names) > 1 for names in space.asked) == (rule == "average")


def test_label_space_known_name_of_another_number_of_classes_is_no_benchmark() -> None:
    space = named_labels("a-847", ("road", "tree"), "first")

    assert space.asked == (("road",), ("tree",))
    assert space.seen is None


def test_label_space_pas_20b_asks_for_59_names_and_scores_21() -> None:
    names = (*(f"class {n}" for n in range(20)), "background")

    space = named_labels("pas-20b", names, "first")

    assert len(space.asked) == 59
    assert space.scored == names
    assert space.seen.tolist() == [True] * 20 + [False]
    assert space.collapse == Collapse(background=20)


def test_label_space_shapes_with_background_collapses_too() -> None:
    space = open_shapes("shapes-pas-20b", "val").label_space("first")

    assert len(space.asked) > len(space.scored) == len(space.seen) == 21
    assert space.collapse == Collapse(background=20)


@pytest.mark.parametrize(("name", "split"), [("shapes-pas-20b", "val"), ("shapes-a-150", "train")])
def test_first_samples_keep_the_label_space(name: str, split: str) -> None:
    dataset = open_shapes(name, split)

    whole, first = (images.label_space("first") for images in (dataset, first_samples(dataset, 2)))

    assert first.digest == whole.digest
    assert first.seen.tolist() == whole.seen.tolist()


def test_label_space_of_a_training_split_has_its_seen_names_only() -> None:
    dataset = open_shapes("shapes-a-150", "train")

    space = dataset.label_space("first")

    assert space.scored == dataset.class_names
    assert space.asked == tuple((name,) for name in dataset.class_names)
    assert space.seen.all()


def test_digest_moves_with_what_is_asked_for_and_with_nothing_else() -> None:
    base = plain_labels(("road", "tree")).digest

    assert named_labels("yours", ("road", "tree"), "first").digest == base
    assert plain_labels(("tree", "road")).digest != base
    first, average = (named_labels("a-847", A_847, rule).digest for rule in ("first", "average"))
    assert first != average


def test_digest_of_the_two_settings_of_pascal_differ() -> None:
    twenty, with_background = (open_shapes(name, "val") for name in ("shapes-pas-20", "shapes-pas-20b"))

    assert twenty.label_space("first").digest != with_background.label_space("first").digest
