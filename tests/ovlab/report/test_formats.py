"""The formats of a table: Markdown, LaTeX, HTML, CSV. Each says the same of a view that is written by hand."""

import csv
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest

from ovlab.metrics.intervals import Interval
from ovlab.report.claims import ClaimView, ColumnVerdict
from ovlab.report.csv import csv_text
from ovlab.report.formats import FORMATS, write_tables
from ovlab.report.html import html
from ovlab.report.latex import escape, latex, latex_document
from ovlab.report.markdown import markdown
from ovlab.report.table_view import CellView, ColumnView, NoteView, Part, RowView, RunView, TableView
from ovlab.report.text import beside, percent, points, span

NASTY = r"50% & <b>_x_|{#1}$~^\ λ×Δ"

QUOTED = CellView(origin="quoted", value=0.126, published=0.126, mark="second", footnotes=(1,))
MEASURED = CellView(
    origin="measured",
    value=0.312,
    published=0.3,
    delta=0.012,
    mark="best",
    image_interval=Interval(0.298, 0.326),
    seed_interval=Interval(0.3, 0.324),
    seed_sd=0.005,
    runs=(
        RunView(0, 0.31, "t" * 64, "e" * 64),
        RunView(1, None, "u" * 64, "f" * 64),
        RunView(2, 0.314, "v" * 64, "g" * 64),
    ),
    missing_seeds=(3,),
)
MISSING = CellView(origin="missing", value=None, published=0.5)


def column(key: str) -> ColumnView:
    return ColumnView(key=key, title=key, benchmark=key.lower(), score="miou")


def row(key: str, *cells: CellView, label: str = "row", group: str = "first group") -> RowView:
    return RowView(key=key, label=label, group=group, origin="measured", details=(NASTY,), cells=cells)


VIEW = TableView(
    name="mine",
    title=f"Mine {NASTY}",
    suite="paper",
    is_measured=True,
    parts=(
        Part(
            title="",
            details=("Detail",),
            columns=(column("A-150"), column("PC_59")),
            rows=(row("a", QUOTED, MEASURED, label=NASTY), row("b", MISSING, QUOTED, group="second group")),
        ),
    ),
    notes=(NoteView(1, f"A note: {NASTY}"),),
    remarks=("A remark.",),
    claims=(
        ClaimView(
            text=f"a is best {NASTY}",
            where="Section 1",
            better="a",
            worse=("b",),
            verdict="not measured",
            comparisons=(),
            columns=(
                ColumnVerdict(column="A-150", verdict="not measured", comparisons=()),
                ColumnVerdict(column="PC_59", verdict="yes", comparisons=()),
            ),
            published_holds=False,
            margin=0.005,
            need=None,
        ),
    ),
)


def test_figures_are_percent_with_one_decimal_and_nothing_is_a_dash() -> None:
    assert (percent(0.1234), percent(1.0), percent(None)) == ("12.3", "100.0", "—")
    assert (points(0.0125), points(-0.02), span(Interval(0.1, 0.25))) == ("+1.2", "−2.0", "10.0–25.0")


def test_beside_a_measured_figure_stand_its_two_kinds_of_noise_and_the_number_of_few_runs() -> None:
    assert beside(MEASURED) == "±1.4 (2 runs, s 0.5) Δ+1.2"
    assert beside(QUOTED) == beside(MISSING) == ""


def test_markdown_has_a_line_a_row_with_as_many_cells_as_its_head() -> None:
    text = markdown(VIEW)

    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines] == [5] * 6 + [8] * 3
    assert r"| <u>12.6</u><sup>1</sup> | **31.2** ±1.4 (2 runs, s 0.5) Δ+1.2 |" in text
    assert "| — | <u>12.6</u><sup>1</sup> |" in text
    assert r"50% \& \<b\>\_x\_\|{#1}$\~^\\ λ×Δ" in text
    assert "not measured: A-150; yes: PC_59" in text


class Tags(HTMLParser):
    """The tags that are open, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str | None] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.links += [value for name, value in attributes if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_escapes_every_word_and_links_the_runs_that_have_a_page() -> None:
    tags = Tags()

    tags.feed(html(VIEW, {"e" * 64: "runs/t.html#e"}))

    assert tags.open == []
    assert tags.text.count(NASTY) == VIEW_WORDS
    assert "runs/t.html#e" in tags.links
    assert not any("fff" in (link or "") for link in tags.links)
    assert {"31.2", "—"} <= set(re.split(r"\s+", tags.text))
    assert "50.0" not in tags.text  # the published figure beside a missing one


# Details of two rows, a label, a note and a claim; the title is an attribute.
VIEW_WORDS = 5


def test_csv_has_a_line_a_cell_and_nothing_rounded() -> None:
    lines = list(csv.DictReader(StringIO(csv_text([VIEW]))))

    assert [(line["row"], line["column"], line["origin"], line["value"]) for line in lines] == [
        ("a", "A-150", "quoted", "0.126"),
        ("a", "PC_59", "measured", "0.312"),
        ("b", "A-150", "missing", ""),
        ("b", "PC_59", "quoted", "0.126"),
    ]
    measured = lines[1]
    assert (measured["label"], measured["seeds"], measured["values"]) == (NASTY, "0 1 2", "0.31 nan 0.314")
    assert (measured["image_low"], measured["seed_sd"], measured["missing_seeds"]) == ("0.298", "0.005", "3")
    assert measured["evaluations"].split() == ["e" * 64, "f" * 64, "g" * 64]


def tabulars(text: str) -> list[tuple[str, list[str]]]:
    """The column letters of each tabular, and its lines that end in a line break of the table."""
    found = re.findall(r"\\begin\{tabular\}\{(.*?)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    return [(re.sub(r"p\{.*?\}", "p", spec), re.findall(r"^(.*) \\\\$", body, re.MULTILINE)) for spec, body in found]


def num_columns(line: str) -> int:
    spans = re.findall(r"\\multicolumn\{(\d+)\}", line)
    return 1 + len(re.findall(r"(?<!\\)&", line)) + sum(int(width) - 1 for width in spans)


def require_well_formed(text: str) -> None:
    """Raise AssertionError unless braces balance, environments close in order and rows are as wide as their table."""
    bare = re.sub(r"\\[\\{}&%$#_]", "", text)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    open_: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            open_.append(name)
        else:
            assert open_.pop() == name
    assert open_ == []
    for letters, lines in tabulars(text):
        assert lines
        assert {num_columns(line) for line in lines} == {len(re.sub(r"\{.*\}", "", letters))}


def test_latex_is_well_formed_whatever_the_words_are() -> None:
    text = latex(VIEW)

    require_well_formed(text)
    assert [letters for letters, _ in tabulars(text)] == ["llrr", "pllppp"]
    assert r"\underline{12.6}\textsuperscript{1} & \textbf{31.2} $\pm$1.4 (2 runs, s 0.5) $\Delta$+1.2 \\" in text
    assert escape(NASTY) in text
    assert not re.search("[λ×Δ±−|]|<b>", text)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Łódź – 5 €", "Łódź – 5 €"),
        ("天 🌳", "[U+5929] [U+1F333]"),
        ("a\n\tb\u00a0c", "a  b c"),
        ("ą\x00\u202e", "[U+0105][U+0000][U+202E]"),
    ],
)
def test_latex_tells_a_character_it_has_no_letter_for_by_its_number(text: str, printed: str) -> None:
    assert escape(text) == printed


@pytest.mark.parametrize(
    "broken",
    [
        lambda text: text.replace("}", "", 1),
        lambda text: text.replace(r"\end{tabular}", "", 1),
        lambda text: text.replace(" & ", " ", 1),
        lambda text: text.replace(r"\&", "&"),
    ],
    ids=["brace", "environment", "column", "escape"],
)
def test_check_of_latex_finds_what_is_broken(broken) -> None:
    with pytest.raises((AssertionError, IndexError)):
        require_well_formed(broken(latex(VIEW)))


def test_latex_counts_a_table_once_and_keeps_the_numbers_of_the_paper() -> None:
    text = latex_document([replace(VIEW, name="table4"), VIEW])

    numbers, number = [], 0
    for counter, by in re.findall(r"\\(?:(setcounter|addtocounter)\{table\}\{(-?\d+)\}|caption\b)", text):
        if counter:
            number = int(by) + (number if counter == "addtocounter" else 0)
        else:
            number += 1
            numbers.append(number)
    assert numbers == [4, 4, 5, 5]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_document_compiles(tmp_path: Path) -> None:
    """Of a table, of a limited one, and with the letters and signs that people put into their words."""
    worded = replace(VIEW, name="table4", title="Zoë’s “Übung” — 3…5 £, Łódź, 天空 🌳 крыша «ą»\t", remarks=(NASTY,))
    limited = replace(VIEW, name="less", limits=f"6 updates, {NASTY}")
    (tmp_path / "tables.tex").write_text(latex_document([VIEW, limited, worded]), encoding="utf-8")

    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )

    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "tables.pdf").stat().st_size > 0


def test_write_tables_gives_a_file_a_table_and_format(tmp_path: Path) -> None:
    files = write_tables([VIEW], tmp_path / "new" / "folder", FORMATS)

    assert {path.name for path in files} == {"mine.md", "mine.tex", "tables.tex", "mine.html", "mine.csv"}
    assert (tmp_path / "new" / "folder" / "mine.md").read_text() == markdown(VIEW)
