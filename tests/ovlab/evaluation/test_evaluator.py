"""The evaluation loop against counting by hand, with a network that knows the answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from names_alone import NamesAlone
from ovlab.datasets.sample import IGNORE_INDEX, Sample
from ovlab.evaluation.evaluator import Question, evaluate, images_together, predict_labels, read_ahead
from ovlab.metrics.class_totals import ClassTotals
from ovlab.metrics.evaluation_counts import ImageCounts, sum_counts
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import (
    ORACLES,
    Collapse,
    Oracle,
    Protocol,
    Scoring,
    san,
    sliding_window,
    whole,
    whole_768,
    with_boundary,
    with_oracles,
)
from ovlab.specs.suite import SHAPES

COLOURS = torch.eye(3)  # class n is pure red, green or blue


class ByColour(nn.Module):
    """Class n wherever channel n is brightest; names beyond the third never win."""

    def forward(self, images: torch.Tensor, text: torch.Tensor, *, class_cap: int | None = None) -> torch.Tensor:
        missing = torch.full((len(images), len(text) - 3, *images.shape[2:]), -9.0)
        return torch.cat([10 * images, missing], dim=1)


class Stripes(NamesAlone):
    """Images of 32 x 64 whose left part is the label's class; sample i has i ignored columns on the right."""

    name, class_names = "stripes", ("red", "green", "blue")
    sample_ids = ("0", "1", "2")

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Sample:
        label = np.zeros((32, 64), np.uint16)
        label[:, 32:] = index
        image = (255 * COLOURS[torch.from_numpy(label.astype(np.int64))]).byte().numpy()
        label[:, 64 - index :] = IGNORE_INDEX
        return Sample(str(index), image, label)


TEXT = torch.zeros(3, 1, 4)
PROTOCOL = whole(32)
CPU = torch.device("cpu")


COLOURS_ASKED = Question(TEXT, PROTOCOL, 3)


def counts_of(dataset: Stripes, question: Question = COLOURS_ASKED) -> list[ImageCounts]:
    return [image for (image,) in evaluate(ByColour(), [question], [dataset], device=CPU)]


def test_evaluate_network_that_knows_scores_one_and_ignores_the_ignored() -> None:
    images = counts_of(Stripes())

    counts = sum_counts((image.counts for image in images), 3)
    assert [image.id for image in images] == ["0", "1", "2"]
    assert counts["miou"] == 1.0
    assert counts.num_pixels == 3 * 32 * 64 - 32 * (1 + 2)


def test_evaluate_wrong_pixels_are_counted_where_they_are() -> None:
    class Wrong(Stripes):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            return replace(sample, label=np.where(sample.label == 2, np.uint16(1), sample.label))

    images = counts_of(Wrong())

    pairs = {
        (gt, pred): n
        for image in images
        for gt, pred, n in zip(*map(list, image.counts[:3]), strict=True)
        if gt != pred
    }
    assert pairs == {(1, 2): 32 * 30}  # the third image: blue is called green, two columns ignored


def test_images_go_together_where_their_views_are_small() -> None:
    assert [images_together(whole(side).inference) for side in (32, 96, 97, 192, 384)] == [8, 8, 7, 2, 1]
    assert [images_together(protocol.inference) for protocol in (san(), whole_768(), sliding_window())] == [1, 1, 1]
    # Four windows and a global view of 96 pixels a side.
    assert images_together(SHAPES.protocol(own="cat-seg").inference) == 1
    assert images_together(SHAPES.protocol(own="san").inference) == 8


def test_evaluate_shows_the_network_neighbours_of_one_size_and_no_more_pixels_than_it_may() -> None:
    shown: list[tuple[int, ...]] = []

    class Watched(ByColour):
        def forward(self, images: torch.Tensor, text: torch.Tensor, **others: int | None) -> torch.Tensor:
            shown.append(tuple(images.shape))
            return super().forward(images, text, **others)

    class Sizes(Stripes):
        """Six squares, two wide ones, and four of which two have as many pixels as may be shown at once."""

        widths = (64,) * 6 + (128,) * 2 + (576,) * 4
        sample_ids = tuple(map(str, range(12)))

        def __len__(self) -> int:
            return 12

        def __getitem__(self, index: int) -> Sample:
            shape = (64, self.widths[index])
            return Sample(str(index), np.full((*shape, 3), 9, np.uint8), np.zeros(shape, np.uint16))

    question = Question(TEXT, whole(64), 3)
    counted = [image for (image,) in evaluate(Watched(), [question], [Sizes()], device=CPU)]

    assert [(size[0], size[3]) for size in shown] == [(6, 64), (2, 128), (2, 576), (2, 576)]
    assert [image.id for image in counted] == list(Sizes.sample_ids)
    assert [int(image.counts.count.sum()) for image in counted] == [64 * width for width in Sizes.widths]


def test_evaluate_names_beyond_the_background_collapse() -> None:
    protocol = replace(PROTOCOL, scoring=Scoring(collapse=Collapse(background=1)))

    class Binary(Stripes):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            label = np.where(sample.label == IGNORE_INDEX, IGNORE_INDEX, np.minimum(sample.label, 1))
            return replace(sample, label=label.astype(np.uint16))

    images = counts_of(Binary(), Question(torch.zeros(5, 1, 4), protocol, 2))

    assert sum_counts((image.counts for image in images), 2)["pixel_accuracy"] == 1.0


def test_evaluate_counts_boundaries_where_the_protocol_has_a_trim_width() -> None:
    def totals(protocol: Protocol) -> ClassTotals:
        return sum_counts((image.counts for image in counts_of(Stripes(), Question(TEXT, protocol, 3))), 3)

    near, plain = totals(with_boundary(PROTOCOL)), totals(PROTOCOL)

    assert not plain.beside
    assert near["boundary_iou"] == 1.0
    assert near["miou"] == plain["miou"]
    # One pixel along the frame, and of the two images that are cut in the middle, both sides of the cut; less what is
    # ignored: two columns of a frame in one image, one in another.
    frame, cut = 2 * (32 + 62), 2 * 30
    assert near.beside["boundary"].gt.sum() == 3 * frame + 2 * cut - (2 * 1 + 30) - (2 * 2 + 30)


def oracle_totals(dataset: Stripes, question: Question, *oracles: Oracle) -> ClassTotals:
    asked = question._replace(protocol=with_oracles(question.protocol, oracles))
    counts = (image.counts for image in counts_of(dataset, asked))
    return sum_counts(counts, question.num_label_classes)


class Torn(Stripes):
    """Labels of 0 on the left and 1 on the right; of the right side a quarter looks like 2, which is in no image."""

    def __getitem__(self, index: int) -> Sample:
        label = np.zeros((32, 64), np.uint16)
        label[:, 32:] = 1
        seen = label.copy()
        seen[:8, 32:] = 2
        # A little green in all that is red or blue: it is the second guess.
        image = 200 * COLOURS[torch.from_numpy(seen.astype(np.int64))] + torch.tensor([0, 20, 0])
        return Sample(str(index), image.byte().numpy(), label)


def test_evaluate_oracles_are_counted_beside_what_is_predicted_without_them() -> None:
    totals = oracle_totals(Torn(), COLOURS_ASKED, "classes", "regions")

    assert totals["miou"] == sum_counts((image.counts for image in counts_of(Torn())), 3)["miou"] == (1 + 3 / 4) / 2
    for kind in ("classes_oracle", "regions_oracle", "both_oracles"):
        assert totals[f"{kind}_miou"] == 1.0
    gaps = [totals[f"{part}_gap"][0] for part in ("hallucination", "boundary", "confusion")]
    assert gaps == [1 / 16, 1 / 16, 0]


@pytest.mark.parametrize("oracle", ["classes", "regions"])
def test_evaluate_one_oracle_alone_counts_what_it_counts_beside_the_other(oracle: Oracle) -> None:
    alone, both = (oracle_totals(Torn(), COLOURS_ASKED, *names) for names in ((oracle,), ORACLES))

    assert list(alone.beside) == [f"{oracle}_oracle"]
    for name in ("hits", "gt", "pred"):
        one, other = (getattr(totals.beside[f"{oracle}_oracle"], name) for totals in (alone, both))
        np.testing.assert_array_equal(one, other)


def test_evaluate_class_oracle_keeps_all_names_of_a_background_that_is_in_the_image() -> None:
    class Backgrounds(Stripes):
        def __getitem__(self, index: int) -> Sample:
            # 0 is nowhere, and looks as if it were on the left. Of the others, which are one class, 1 comes next.
            image = torch.tensor([200, 100, 0]).expand(32, 64, 3).clone()
            image[:, 32:] = torch.tensor([0, 100, 200])
            return Sample(str(index), image.byte().numpy(), np.ones((32, 64), np.uint16))

    protocol = replace(PROTOCOL, scoring=Scoring(collapse=Collapse(background=1)))

    totals = oracle_totals(Backgrounds(), Question(torch.zeros(5, 1, 4), protocol, 2), "classes")

    assert totals["pixel_accuracy"] == 0.5
    assert totals["classes_oracle_miou"] == 1.0


def test_evaluate_oracles_of_an_image_that_is_ignored_count_nothing() -> None:
    class Ignored(Stripes):
        def __getitem__(self, index: int) -> Sample:
            return replace(super().__getitem__(index), label=np.full((32, 64), IGNORE_INDEX, np.uint16))

    totals = oracle_totals(Ignored(), COLOURS_ASKED, "classes", "regions")

    assert totals.num_images == 3
    assert not any(counted.union.any() for counted in totals.beside.values())


def test_predict_labels_has_the_size_of_the_photograph() -> None:
    image = np.zeros((50, 33, 3), np.uint8)
    image[..., 1] = 200

    labels = predict_labels(ByColour(), TEXT, image, PROTOCOL, CPU)

    assert labels.shape == (50, 33)
    assert (labels == 1).all()


@pytest.mark.parametrize(("background", "expected"), [(None, 2), (1, 1), (2, 2)])
def test_predict_labels_names_from_the_background_on_are_one_class(background: int | None, expected: int) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 2] = 200
    collapse = None if background is None else Collapse(background=background)

    labels = predict_labels(ByColour(), TEXT, image, replace(PROTOCOL, scoring=Scoring(collapse=collapse)), CPU)

    assert (labels == expected).all()


def test_read_ahead_gives_all_samples_in_order() -> None:
    class Many(Stripes):
        def __len__(self) -> int:
            return 23

        def __getitem__(self, index: int) -> Sample:
            return replace(super().__getitem__(index % 3), id=str(index))

    assert [sample.id for sample in read_ahead(Many())] == [str(index) for index in range(23)]


def test_read_ahead_broken_sample_raises_its_own_error() -> None:
    class Broken(Stripes):
        def __getitem__(self, index: int) -> Sample:
            raise InputError(f"sample {index} is broken")

    with pytest.raises(InputError, match="sample 0 is broken"):
        list(read_ahead(Broken()))


@pytest.mark.parametrize("numbers", [None, (4, 2)])
def test_evaluate_head_hears_of_rejection_where_the_protocol_asks_for_it(numbers: tuple[int, int] | None) -> None:
    asked = []

    class Listening(ByColour):
        def forward(
            self, images: torch.Tensor, text: torch.Tensor, *, class_cap: int | None = None, **more: object
        ) -> torch.Tensor:
            asked.append(more)
            return super().forward(images, text, class_cap=class_cap)

    image = Stripes()[0].image

    predict_labels(Listening(), TEXT, image, replace(PROTOCOL, early_rejection=numbers), CPU)

    assert asked == [{} if numbers is None else {"early_rejection": (4, 2)}]
