"""The words around a table."""

from ovlab.report.cells import Grid
from ovlab.report.remarks import footnotes_of, note_views, with_shared_names
from ovlab.specs.suite import PAPER, SHAPES
from ovlab.specs.table import Row, Table, Variation

TABLE = Table(name="one", title="One", rows=(Row(key="ours", label="Ours", run=Variation(backbone="vit-b")),))


def test_column_whose_classes_share_first_names_bears_a_footnote_that_counts_them() -> None:
    noted = with_shared_names(TABLE, PAPER)

    (note,) = note_views(Grid(table=noted, suite="paper", cells={}))
    assert note.text.startswith("19 classes share 9 first names (such as 'bag'), which are one text to CLIP")
    assert footnotes_of(noted, column="A-847") == (1,)
    assert footnotes_of(noted, column="A-150") == ()


def test_miniature_has_no_such_footnote() -> None:
    assert with_shared_names(TABLE, SHAPES) == TABLE
