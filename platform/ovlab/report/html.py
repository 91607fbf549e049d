"""A table as a fragment of HTML, by the template that the site uses, too."""

from collections.abc import Mapping

from ovlab.report.pages import render
from ovlab.report.table_view import TableView


def html(view: TableView, links: Mapping[str, str] | None = None) -> str:
    """`links`: where a score of an evaluation leads, by the evaluation's fingerprint; without, it leads nowhere."""
    return render("table.html.j2", view=view, links=links or {})
