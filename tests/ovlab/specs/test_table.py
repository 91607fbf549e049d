"""ovlab.specs.table: a row becomes a training of any suite, and a table refuses what it cannot mean."""

from dataclasses import replace

import pytest

from ovlab.specs.errors import InputError
from ovlab.specs.fields import differences
from ovlab.specs.suite import PAPER, SHAPES, Suite
from ovlab.specs.table import SIX_BENCHMARKS, Claim, Column, Note, Published, Row, Table, Variation, places_of

OURS = Row(key="ours", label="Ours", run=Variation())
QUOTED = Row(key="theirs", label="Theirs", published=Published(source="a paper", values={"A-847": 4.3}))


def table(**changes: object) -> Table:
    return Table(**{"name": "mine", "title": "Mine", "rows": (OURS, QUOTED), **changes})


@pytest.mark.parametrize("suite", [PAPER, SHAPES], ids=["paper", "shapes"])
def test_variation_changes_what_it_says_and_nothing_else(suite: Suite) -> None:
    variation = Variation(model={"prior_weight": 0.5, "clip.residual": "none"}, schedule={"batch_size": 2})

    changed = differences(suite.training(seed=3), variation.training(suite, 3))

    assert {(name, after) for name, _, after in changed} == {
        ("model.prior_weight", 0.5),
        ("model.clip.residual", "none"),
        ("schedule.batch_size", 2),
    }


def test_variation_region_grid_is_what_stands_for_the_papers() -> None:
    variation = Variation(region_grid=8)

    assert variation.training(PAPER, 0).model.region_grid == 8
    assert variation.training(SHAPES, 0).model.region_grid == 4


def test_variation_that_changes_nothing_is_the_training_of_the_suite() -> None:
    assert Variation(region_grid=6, model={"fusion_depth": 2}).training(SHAPES, 1) == SHAPES.training(seed=1)


def test_variation_protocol_asks_with_the_prompts_that_the_model_learned() -> None:
    variation = Variation(backbone="convnext-b", model={"prompt_templates": ["a {}"]})

    protocol = variation.protocol(SHAPES, variation.training(SHAPES, 0).model)

    assert protocol == replace(SHAPES.protocol("convnext-b"), prompt_templates=("a {}",))


@pytest.mark.parametrize(
    ("variation", "words"),
    [
        (Variation(model={"prior_wieght": 0.5}), "prior_wieght.*nearest name is model.prior_weight"),
        (Variation(model={"fusion_depth": 0}), "fusion_depth must be at least 1"),
        (Variation(model={"fusion_depth": "deep"}), "a whole number"),
        (Variation(backbone="vit-x"), "backbone 'vit-x'"),
        (Variation(region_grid=5), "region grid 5"),
    ],
)
def test_variation_that_cannot_be_is_refused(variation: Variation, words: str) -> None:
    with pytest.raises(InputError, match=words):
        variation.training(SHAPES, 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": (OURS, OURS)}, "rows: 'ours' is there twice"),
        ({"rows": (Row(key="empty", label=""),)}, "row 'empty': has neither published values nor a run"),
        ({"columns": (SIX_BENCHMARKS[0], replace(SIX_BENCHMARKS[1], title="A-847"))}, "columns: 'A-847' is there"),
        (
            {"columns": (replace(SIX_BENCHMARKS[0], score="mIoU"),)},
            "column 'A-847': no such score 'mIoU'. Scores are miou",
        ),
        ({"seeds": ()}, "seeds are empty"),
        ({"seeds": (1, 1)}, "seeds: 1 is there twice"),
        (
            {"claims": (Claim(text="t", where="w", better="ours", worse=("their",)),)},
            "no such row 'their'. Rows are ours, theirs",
        ),
        (
            {"claims": (Claim(text="t", where="w", better="ours", worse=("theirs",), columns=("ade",)),)},
            "no such column 'ade'. Columns are A-847",
        ),
        ({"claims": (Claim(text="t", where="w", better="ours", worse=()),)}, "names no row"),
        ({"notes": (Note(text="n", rows=("ade",)),)}, "note 'n': no such row 'ade'"),
    ],
)
def test_table_that_contradicts_itself_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        table(**changes)


def test_table_benchmarks_name_each_once() -> None:
    columns = (*SIX_BENCHMARKS[:2], Column(title="A-847 unseen", benchmark="a-847", score="unseen_miou"))

    assert table(columns=columns).benchmarks == ("a-847", "pc-459")


def test_places_of_tables_are_those_of_their_own_data_sets() -> None:
    street, sets = Column(title="S", benchmark="a/street"), Column(title="T", benchmark="test=s3://b/one")
    tables = [table(columns=(SIX_BENCHMARKS[0], street)), table(columns=(replace(street, split="test"), sets))]

    assert places_of(tables) == {"street": "a/street", "test": "s3://b/one"}


def test_places_of_two_data_sets_of_one_name_are_refused() -> None:
    columns = (Column(title="S", benchmark="a/street"), Column(title="T", benchmark="b/street"))

    with pytest.raises(InputError, match="mine, column 'T': street lies at b/street here and at a/street elsewhere"):
        places_of([table(columns=columns)])


def test_table_notes_of_a_cell_name_its_row_and_its_column() -> None:
    both, row_only = Note(text="both", rows=("ours",), columns=("A-150",)), Note(text="row", rows=("ours",))

    noted = table(notes=(both, row_only))

    assert noted.notes_of("ours", "A-150") == (both,)
    assert noted.notes_of("ours", "A-847") == noted.notes_of("theirs", "A-150") == ()


def test_row_detail_of_its_own_goes_before_the_published_one() -> None:
    published = Published(source="s", values={}, details={"vlm": "ViT-B/14", "training_set": "COCO"})
    row = Row(key="r", label="R", published=published, details={"vlm": "ViT-B/16"})

    assert [row.detail(name) for name in ("vlm", "training_set", "other")] == ["ViT-B/16", "COCO", None]


@pytest.mark.parametrize("name", ["../marker", "a/b", "..", "", "-rf", 'x" onload="', "two words"])
def test_table_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"Table\.name must be"):
        table(name=name)
