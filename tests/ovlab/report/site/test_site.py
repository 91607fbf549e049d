"""The folder of pages: every link leads somewhere, every run has its page, and nothing comes from a network."""

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

from ovlab.report.assembly import table_views
from ovlab.report.cells import read_records
from ovlab.report.run_page import anchor, page_name
from ovlab.report.site import write_site
from ovlab.specs.events import Begun, Ended, Places, RunHeader
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import Alone, Column, Row, Table
from ovlab.store.journal import open_journal
from ovlab.store.pictures import Pictures
from ovlab.store.record import EvaluationRecord
from ovlab.store.store import evaluation_folder, open_store, training_folder
from ovlab.tracking.tags import Child, children_tag


class Page(HTMLParser):
    """links: of what kind they are, and where they lead. ids: the places in the page. text: what one reads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("href", "src"):
                self.links.append((tag, value or ""))
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def pages_of(index: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in index.parent.rglob("*.html")}


@pytest.mark.usefixtures("pictures")
def test_every_link_of_the_site_leads_to_a_file_and_a_place_in_it(make_site: Callable[[], Path]) -> None:
    index = make_site()
    pages = pages_of(index)

    assert len(pages) == 7  # the index and six runs
    for path, page in pages.items():
        assert len(page.ids) == len(set(page.ids))
        for _, link in page.links:
            file, fragment = urldefrag(link)
            if link == "data:,":
                continue
            target = (path.parent / file).resolve() if file else path
            assert target.is_file(), f"{path.name}: {link}"
            assert target.is_relative_to(index.parent)
            if fragment and target in pages:
                assert unquote(fragment) in pages[target].ids or fragment == "content", f"{path.name}: {link}"


def test_measured_cell_leads_to_the_run_of_each_seed(
    make_site: Callable[[], Path], records: list[EvaluationRecord]
) -> None:
    index = Page(make_site())

    links = [link for _, link in index.links if link.startswith("runs/") and "#" in link]
    expected = [f"runs/{page_name(record.evaluation.subject)}#{anchor(record)}" for record in records]
    # The figure of a cell opens the first seed; every seed has a link of its own below it.
    assert sorted(links) == sorted([expected[0], expected[3], *expected])


def test_page_of_a_run_has_its_figures_and_its_other_seeds(
    make_site: Callable[[], Path], records: list[EvaluationRecord]
) -> None:
    index = make_site()

    page = Page(index.parent / "runs" / page_name(records[1].evaluation.subject))

    assert "mine: Full, seed 1" in page.text
    assert f"mIoU {100 * records[1].figures['miou']:.1f}" in page.text
    for other in (records[0], records[2]):
        assert page_name(other.evaluation.subject) in [link for _, link in page.links]
    assert page_name(records[3].evaluation.subject) not in [link for _, link in page.links]
    # Of 1000 pixels an image, all of class 0, 280, 200 and 400 are taken for class 1.
    assert "0 1 880 29.3 %" in page.text
    assert "18 classes that are neither in the ground truth nor predicted are left out." in page.text


def test_rows_of_one_label_are_no_seeds_of_one_another(
    filled, table: Table, records: list[EvaluationRecord], tmp_path: Path
) -> None:
    alike = replace(table, rows=tuple(replace(row, label="Ours") for row in table.rows))
    stored = read_records(filled.store)

    index = write_site(table_views([alike], SHAPES, stored, filled.store), stored, filled.store, tmp_path / "site")

    page = Page(index.parent / "runs" / page_name(records[0].evaluation.subject))
    others = [page_name(record.evaluation.subject) for record in records[1:]]
    assert [link for _, link in page.links if link in others] == others[:2]


def test_pictures_are_copied_and_named_with_their_words(
    make_site: Callable[[], Path], records: list[EvaluationRecord], pictures: Pictures
) -> None:
    index = make_site()

    page = Page(index.parent / "runs" / page_name(records[0].evaluation.subject))

    images = [link for tag, link in page.links if tag == "img"]
    assert images == [f"../pictures/{name}" for name in pictures.pictures[0].files.values()]
    assert "red star" in page.text
    assert "(moon <3>)" in page.text  # the parser has resolved what the page had to escape
    assert "3 more words" in page.text
    assert {path.name for path in (index.parent / "pictures").iterdir()} == set(pictures.files)


def test_loss_is_drawn_where_there_is_a_log(
    make_site: Callable[[], Path], filled, records: list[EvaluationRecord]
) -> None:
    training = records[0].evaluation.subject
    page = make_site().parent / "runs" / page_name(training)
    assert "No log of its updates" in page.read_text()

    # As SIGKILL may leave it, the last line is without its end.
    log = f"{training_folder(training)}/steps.jsonl"
    rates = '"learning_rate": 0.1, "grad_norm": 1.0, "images_per_second": 9.0'
    lines = [f'{{"step": {step}, "loss": {loss}, {rates}}}\n' for step, loss in ((1, 3.0), (2, 1.0))]
    filled.store.folder.write(log, "".join([*lines, '{"st']).encode())
    make_site()

    assert "Training loss over update: from 3 to 1" in page.read_text()


def test_damaged_files_are_named_and_their_run_keeps_its_page(
    make_site: Callable[[], Path],
    filled,
    records: list[EvaluationRecord],
    caplog: pytest.LogCaptureFixture,
) -> None:
    evaluation, training = records[0].fingerprint, records[0].evaluation.subject
    filled.store.folder.write(f"{evaluation_folder(evaluation)}/counts/00000.parquet", b"no counts")
    filled.store.folder.write(f"{evaluation_folder(evaluation)}/pictures/index.json", b"{}")
    filled.store.folder.write(f"{training_folder(training)}/steps.jsonl", b"no log\n")

    with caplog.at_level(logging.WARNING):
        index = make_site()

    page = Page(index.parent / "runs" / page_name(training))
    assert "00000.parquet: damaged" in page.text
    assert "index.json: damaged" in page.text
    assert f"mIoU {100 * records[0].figures['miou']:.1f}" in page.text
    assert "steps.jsonl: line 1 is no update; left out" in caplog.text


def test_missing_counts_are_said(make_site: Callable[[], Path], filled, records: list[EvaluationRecord]) -> None:
    filled.store.folder.remove_folder(f"{evaluation_folder(records[0].fingerprint)}/counts")

    page = Page(make_site().parent / "runs" / page_name(records[0].evaluation.subject))

    assert "counts of 0 images are stored, not of 3" in page.text
    assert "Worst images" not in page.text


def test_damaged_record_is_left_out_and_named(
    make_site: Callable[[], Path], filled, records: list[EvaluationRecord], caplog: pytest.LogCaptureFixture
) -> None:
    filled.store.folder.write(f"{training_folder(records[0].evaluation.subject)}/record.json", b"{")

    index = make_site()

    assert not (index.parent / "runs" / page_name(records[0].evaluation.subject)).exists()
    assert len(pages_of(index)) == 6
    assert records[0].evaluation.subject in caplog.text


def test_empty_store_gives_quoted_figures_only(table: Table, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "empty"))

    records = read_records(store)

    index = write_site(table_views([table], SHAPES, records, store), records, store, tmp_path / "site")

    page = Page(index)
    assert "90.0" in page.text
    assert "every figure above is quoted" in page.text
    assert not [link for _, link in page.links if link.startswith("runs/")]


def test_site_is_the_same_when_written_again(
    make_site: Callable[[], Path], records: list[EvaluationRecord], pictures: Pictures
) -> None:
    index = make_site()
    first = {path: path.read_bytes() for path in index.parent.rglob("*") if path.is_file()}

    make_site()

    assert {path: path.read_bytes() for path in index.parent.rglob("*") if path.is_file()} == first


def test_what_is_not_trained_has_a_page_without_a_training_and_the_index_leads_there(
    filled: Any, tmp_path: Path
) -> None:
    record = filled.measure_alone(Alone(), [0.5, 0.6])
    table = Table(
        name="alone",
        title="Alone",
        columns=(Column(title="PAS-20", benchmark="pas-20"),),
        rows=(Row(key="clip", label="CLIP alone", run=Alone()),),
    )
    views = table_views([table], SHAPES, read_records(filled.store), filled.store)

    index = write_site(views, read_records(filled.store), filled.store, tmp_path / "site").read_text()
    subject = record.evaluation.subject
    page = (tmp_path / "site" / "runs" / f"{subject[:12]}.html").read_text()

    assert f'href="runs/{subject[:12]}.html"' in index
    assert "shapes-vit-s alone, not trained" in index
    assert "0 trainings, 1 evaluations" in index
    assert "shapes-vit-s alone, not trained." in page
    assert "seed" not in page.split("<h1>")[1].split("</h1>")[0]
    assert 'id="training"' not in page
    assert "clip.image_size" in page


def test_sweep_that_was_made_has_its_timeline_with_the_idle_share(
    make_site: Callable[[], Path], filled: Any, records: list[EvaluationRecord]
) -> None:
    run = records[0].evaluation.subject
    child = Child(name="mine full, seed 0", training=run, evaluations={})
    sweep = RunHeader(run="b" * 64, name="mine (shapes)", experiment="e", params={}, tags=children_tag([child]))
    with open_journal(filled.store, sweep) as told:
        told.write(Places(num_places=2, num_processes=4))
        with open_journal(filled.store, replace(sweep, run=run, name=child.name, tags={})) as made:
            made.write(Begun(work="evaluation", fingerprint="f", device="cpu", num_gpus=0, total=1))
        told.write(Ended(status="FINISHED"))

    page = Page(make_site())

    assert ("a", "#sweeps") in page.links
    assert re.search(r"room for 2 runs at a time, of 4 processes each. Idle: \d+\.\d % of the room", page.text)
    assert re.search(rf"{child.name}: \d+\.\d s, from \d+\.\d s on; training \d+\.\d s", page.text)
