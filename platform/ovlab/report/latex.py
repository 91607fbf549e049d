"""A table in LaTeX: booktabs, best bold, second underlined, footnotes and verdicts below.

`latex` gives a fragment for a document that loads booktabs and graphicx, `latex_document` such a document.
"""

import re
from collections.abc import Iterable, Sequence

from ovlab.report.table_view import CellView, Part, RowView, TableView
from ovlab.report.text import (
    LIMITED,
    about_looks,
    beside,
    over_all_columns,
    percent,
    published_verdict,
    to_decide,
    verdict_by_column,
)

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_"},
    # Which pdfLaTeX does not know in text.
    "λ": r"$\lambda$",
    "Δ": r"$\Delta$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": r"$-$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
# Beside ASCII, the signs and the letters with accents that pdfLaTeX prints in any document.
_PRINTED = (
    "¡£§©®°·¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿĀāĂăĆćĈĉĊċČčĎďĒēĔĕĖėĚěĜĝĞğĠġĢģĤĥĨĩĪīĬĭİıĴĵĶķĹĺĻļĽľ"
    "ŁłŃńŅņŇňŌōŎŏŐőŒœŔŕŖŗŘřŚśŜŝŞşŠšŢţŤťŨũŪūŬŭŮůŰűŴŵŶŷŸŹźŻżŽž–—‘’“”†‡•…€"
)
_SPECIAL = re.compile(rf"[{re.escape(''.join(_ESCAPES))}]|[^ -~{_PRINTED}]")

_PREAMBLE = r"""\documentclass{article}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
"""

# Shrinks what is wider than the page, and leaves the rest as it is.
_SHRUNK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"

# LaTeX counts captions, and a table of several parts has several.
_SAME_NUMBER = r"\addtocounter{table}{-1}"

_CLAIM_COLUMNS = ("Claim", "As published", "Here", "All columns, in points", "By column", "To decide it")
_CLAIM_FORMAT = r"p{.24\linewidth}llp{.15\linewidth}p{.26\linewidth}p{.12\linewidth}"


def latex(view: TableView) -> str:
    """A table environment a part, with the notes below the last, then one with the claims; all under one number."""
    blocks: list[str] = []
    for position, part in enumerate(view.parts):
        caption = f"{view.title}. {part.title}" if part.title else view.title
        below = _below(view) if position == len(view.parts) - 1 else []
        label = f"tab:{view.name}" + (f"-{position + 1}" if position else "")
        blocks.append(_environment(caption, label, _SHRUNK + "\n" + _part(part) + "}", below))
    if view.claims:
        blocks.append(_environment(f"{view.title}. Claims", f"tab:{view.name}-claims", _claims(view), []))
    return (_SAME_NUMBER + "\n").join(blocks)


def latex_document(views: Iterable[TableView]) -> str:
    """A document of its own, one table a page. table4 is Table 4 in it, whichever others are there."""
    return _PREAMBLE + "\\clearpage\n".join(_number(view) + latex(view) for view in views) + "\\end{document}\n"


def escape(text: str) -> str:
    """`text` as LaTeX prints it, character by character: one that pdfLaTeX does not know by its number, [U+5929], and
    white space as a space."""
    return _SPECIAL.sub(lambda match: _ESCAPES.get(match.group()) or _by_number(match.group()), text)


def _by_number(character: str) -> str:
    return " " if character.isspace() else f"[U+{ord(character):04X}]"


def _number(view: TableView) -> str:
    published = re.fullmatch(r"table(\d+)", view.name)
    return rf"\setcounter{{table}}{{{int(published[1]) - 1}}}" + "\n" if published else ""


def _environment(caption: str, label: str, body: str, below: Sequence[str]) -> str:
    lines = [
        r"\begin{table}[htbp]",
        r"\centering\small",
        rf"\caption{{{escape(caption)}}}",
        rf"\label{{{label}}}",
        body,
        *(rf"\par\raggedright\footnotesize {line}" for line in below),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _below(view: TableView) -> list[str]:
    return [
        *([rf"\emph{{{escape(LIMITED)}}}"] if view.limits else []),
        *(f"{_marks([note.number])} {escape(note.text)}" for note in view.notes),
        *map(escape, view.remarks),
        *([escape(about_looks(view))] if view.planned_looks else []),
    ]


def _part(part: Part) -> str:
    num_names = 1 + len(part.details)
    scores = [escape(column.title) + _marks(column.footnotes) for column in part.columns]
    lines = [_line(["", *map(escape, part.details), *scores])]
    for group, rows in part.grouped():
        lines.append(r"\midrule")
        if group:
            lines.append(_line([rf"\multicolumn{{{num_names + len(scores)}}}{{l}}{{\emph{{{escape(group)}}}}}"]))
        lines += [_line(_row(row)) for row in rows]
    return _tabular("l" * num_names + "r" * len(scores), lines)


def _row(row: RowView) -> list[str]:
    return [escape(row.label) + _marks(row.footnotes), *map(escape, row.details), *map(_cell, row.cells)]


def _cell(cell: CellView) -> str:
    command = {"best": r"\textbf{%s}", "second": r"\underline{%s}", None: "%s"}[cell.mark]
    return f"{command % escape(percent(cell.value))}{_marks(cell.footnotes)} {escape(beside(cell))}".rstrip()


def _claims(view: TableView) -> str:
    lines = [_line(_CLAIM_COLUMNS), r"\midrule"]
    for claim in view.claims:
        cells = (
            claim.text,
            published_verdict(claim),
            claim.verdict,
            over_all_columns(claim),
            verdict_by_column(claim),
            to_decide(claim),
        )
        lines.append(_line([*map(escape, cells)]))
    return _tabular(_CLAIM_FORMAT, lines)


def _tabular(columns: str, lines: Sequence[str]) -> str:
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *lines, r"\bottomrule", r"\end{tabular}"])


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _marks(footnotes: Sequence[int]) -> str:
    return rf"\textsuperscript{{{','.join(map(str, footnotes))}}}" if footnotes else ""
