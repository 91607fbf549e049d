"""The site in a real browser, opened from disk: it works by mouse and by keyboard, and asks no network for anything."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from browser import ARGUMENTS, CHROMIUM, NO_CHROMIUM
from ovlab.report.assembly import table_views
from ovlab.report.cells import read_records
from ovlab.report.run_page import anchor, page_name
from ovlab.report.site import write_site
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import Claim, Column, Note, Table, Variation
from ovlab.specs.table_file import load_table
from ovlab.store.pictures import Pictures
from ovlab.store.record import EvaluationRecord, pack_record

DESK, LAPTOP, PHONE = ({"width": 1440, "height": 900}, {"width": 1280, "height": 800}, {"width": 360, "height": 740})

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=NO_CHROMIUM)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What no page may do: errors, messages on the console, requests to anything but files."""
    return []


@pytest.fixture
def open_page(browser: Browser, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    contexts: list[BrowserContext] = []

    def complain_of_network(url: str) -> None:
        if not url.startswith(("file:", "data:")):
            complaints.append(f"request to {url}")

    def open_(path: Path, size: dict[str, int] = LAPTOP, scheme: str = "light") -> Page:
        context = browser.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"not loaded: {request.url}"))
        page.on("request", lambda request: complain_of_network(request.url))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()


def first_column(page: Page, table: str) -> list[str]:
    return page.locator(f"{table} tbody tr:not(.group) th").evaluate_all(
        "cells => cells.map(cell => cell.firstChild.textContent.trim())"
    )


@pytest.mark.usefixtures("pictures")
def test_every_page_opens_from_disk_without_an_error_or_a_network(
    open_page: Callable[..., Page], complaints: list[str], make_site: Callable[[], Path]
) -> None:
    index = make_site()

    for path in (index, *sorted((index.parent / "runs").iterdir())):
        page = open_page(path)
        for image in page.locator("img").all():
            image.scroll_into_view_if_needed()
            assert image.evaluate("async image => { await image.decode(); return image.naturalWidth }") > 0

    assert complaints == []


def test_click_on_a_cell_reaches_its_place_on_the_page_of_the_run(
    open_page: Callable[..., Page], make_site: Callable[[], Path], records: list[EvaluationRecord]
) -> None:
    page = open_page(make_site())

    page.get_by_role("link", name="Half, shapes PAS-20: ").click()

    page.wait_for_url(f"**/runs/{page_name(records[3].evaluation.subject)}#{anchor(records[3])}")
    assert page.locator("h1").inner_text() == "mine: Half, seed 0"
    # The page scrolls there smoothly.
    page.wait_for_function(
        "id => document.getElementById(id).querySelector('h2').getBoundingClientRect().top < 800",
        arg=anchor(records[3]),
    )
    page.get_by_role("link", name="Seed 2").click()
    assert page.locator("h1").inner_text() == "mine: Half, seed 2"
    page.get_by_role("link", name="All tables").click()
    page.wait_for_url("**/index.html")


@pytest.mark.usefixtures("records")
def test_click_on_a_heading_sorts_rows_and_leaves_missing_ones_last(
    open_page: Callable[..., Page], make_site: Callable[[], Path]
) -> None:
    page = open_page(make_site())
    table = "#mine-part-2"
    heading = page.locator(f"{table} thead th", has_text="PAS-20")
    assert first_column(page, table) == ["Full", "Half", "None"]

    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert first_column(page, table) == ["Full", "Half", "None"]

    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert first_column(page, table) == ["Half", "Full", "None"]  # nothing was measured in the last row


@pytest.mark.usefixtures("records")
def test_keyboard_alone_sorts_a_table_and_opens_a_run(
    open_page: Callable[..., Page], make_site: Callable[[], Path]
) -> None:
    page = open_page(make_site())

    def focused(question: str) -> object:
        return page.evaluate(f"(() => {{ const element = document.activeElement; return {question} }})()")

    def press_tab_until(condition: str) -> None:
        for _ in range(100):
            page.keyboard.press("Tab")
            if focused(condition):
                return
        raise AssertionError(f"no element with {condition} is reached by the keyboard")

    page.keyboard.press("Tab")
    assert focused("element.textContent") == "To the content"
    press_tab_until("element.closest('#mine-part-2 thead') && element.textContent === 'Model'")
    assert focused("getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    assert focused("element.closest('th').getAttribute('aria-sort')") == "descending"
    assert first_column(page, "#mine-part-2") == ["None", "Half", "Full"]
    press_tab_until("element.matches('#mine-part-2 a.cell')")
    assert focused("getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/*")


def luminance(page: Page, selector: str, what: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    colour = page.locator(selector).first.evaluate(f"element => getComputedStyle(element).{what}")
    values = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.usefixtures("records")
def test_dark_is_dark_and_light_is_light_and_words_stand_out_in_both(
    open_page: Callable[..., Page], make_site: Callable[[], Path]
) -> None:
    index = make_site()

    for scheme in ("light", "dark"):
        page = open_page(index, scheme=scheme)
        paper = luminance(page, "body", "backgroundColor")
        assert paper > 0.8 if scheme == "light" else paper < 0.05
        for selector in ("p.remark", "td.quoted", "h1", "nav a", "small"):
            ink = luminance(page, selector, "color")
            contrast = (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05)
            assert contrast >= 4.5, f"{scheme}: {selector} has a contrast of {contrast:.1f}"


@pytest.mark.usefixtures("pictures")
def test_nothing_is_wider_than_a_phone_but_what_scrolls_by_itself(
    open_page: Callable[..., Page], make_site: Callable[[], Path], records: list[EvaluationRecord]
) -> None:
    index = make_site()

    for path in (index, index.parent / "runs" / page_name(records[0].evaluation.subject)):
        page = open_page(path, size=PHONE)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width == PHONE["width"], f"{path.name} is {width} wide"
        too_wide = page.locator("main *:not(.scroll *)").evaluate_all(
            "(found, width) => found.filter(e => e.getBoundingClientRect().right > width + 1).map(e => e.outerHTML)",
            PHONE["width"],
        )
        assert too_wide == []


@pytest.mark.usefixtures("pictures")
def test_click_on_a_picture_enlarges_it_and_lays_it_over_the_photograph_as_strong_as_asked(
    open_page: Callable[..., Page],
    complaints: list[str],
    make_site: Callable[[], Path],
    records: list[EvaluationRecord],
) -> None:
    page = open_page(make_site().parent / "runs" / page_name(records[0].evaluation.subject))
    small = page.get_by_role("img", name="prediction of 001")
    width = small.bounding_box()["width"]

    small.click()

    dialog = page.get_by_role("dialog")
    large = dialog.get_by_role("img", name="prediction of 001")
    assert large.bounding_box()["width"] > 2 * width
    dialog.get_by_role("slider").fill("40")
    assert large.evaluate("image => image.style.opacity") == "0.4"
    dialog.get_by_role("combobox").select_option("ground truth of 001")
    assert dialog.get_by_role("img", name="ground truth of 001").count() == 1
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert complaints == []


def test_link_opens_what_is_folded_where_it_leads(
    open_page: Callable[..., Page], make_site: Callable[[], Path], filled
) -> None:
    first, second = (filled.measure(Variation(), [0.5], benchmark=name) for name in ("pas-20", "a-150"))
    page = open_page(make_site().parent / "runs" / page_name(first.evaluation.subject))
    folded = page.locator(f"[id='{anchor(second)}'] table.classes").first
    assert not folded.is_visible()

    page.locator("nav.page").get_by_role("link", name="shapes-a-150").click()

    folded.wait_for(state="visible")


def test_tables_of_the_paper_fit_a_desk_and_a_phone_keeps_their_first_column_and_says_that_more_follows(
    open_page: Callable[..., Page], filled, tmp_path: Path
) -> None:
    records = read_records(filled.store)
    tables = [load_table(f"table{number}") for number in range(1, 6)]
    index = write_site(table_views(tables, SHAPES, records, filled.store), records, filled.store, tmp_path / "site")

    page = open_page(index, size=DESK)
    assert page.evaluate("document.documentElement.scrollHeight") < 10_000
    page.locator("details").evaluate_all("folds => folds.forEach(fold => (fold.open = true))")
    widths = page.locator(".scroll:has(table.scores)").evaluate_all(
        "all => all.map(e => [e.scrollWidth, e.clientWidth])"
    )
    assert all(inner <= outer for inner, outer in widths), widths
    assert page.locator("main .origin.measured").count() == 0
    page.evaluate("scrollTo(0, 3000)")
    assert page.locator("nav.page").evaluate("nav => nav.getBoundingClientRect().top") == 0

    page = open_page(index, size=PHONE)
    box = page.locator(".scroll:has(#table1-part-1)")
    first = box.locator("tbody tr:not(.group) th").first
    expect(box).to_have_class(re.compile(r"\bmore\b"))
    left = first.bounding_box()["x"]
    box.evaluate("box => box.scrollTo(9999, 0)")
    expect(box).not_to_have_class(re.compile(r"\bmore\b"))
    assert first.bounding_box()["x"] == left


def marked(place: str) -> str:
    """A name with every character that means something to HTML, to an attribute, to a script or to a template."""
    return f"""{place}"'><mark onclick="marked=1">&lt;<script>marked=1<!--{{{{ 1 }}}}`"""


@pytest.fixture
def marked_table(table: Table) -> Table:
    full = replace(table.rows[1], label=marked("full"), details={"of": marked("detail")}, group=marked("group"))
    claim = Claim(
        text=marked("claim"), where=marked("where"), better="full", worse=("half",), columns=(marked("column"),)
    )
    return replace(
        table,
        title=marked("title"),
        columns=(Column(title=marked("column"), benchmark="pas-20"),),
        rows=(replace(table.rows[0], label=marked("theirs")), full, *table.rows[2:]),
        details={"of": marked("details")},
        claims=(claim,),
        notes=(Note(text=marked("note"), rows=("full",), columns=(marked("column"),)),),
    )


def test_names_from_a_store_and_a_table_are_words_on_every_page_and_nothing_else(
    open_page: Callable[..., Page],
    complaints: list[str],
    filled,
    put_pictures_of: Callable[..., Pictures],
    records: list[EvaluationRecord],
    marked_table: Table,
    tmp_path: Path,
) -> None:
    put_pictures_of(records[0].fingerprint, marked("image"), marked("word"))
    training = filled.store.training(records[0].evaluation.subject)
    attempt = replace(training.cost.attempts[0], device=marked("attempt"), cause=marked("cause"))
    cost = replace(training.cost, device=marked("device"), attempts=(attempt, attempt))
    spec = replace(training.training.spec, dataset=marked("dataset"))
    training = replace(
        training,
        training=replace(training.training, spec=spec),
        cost=cost,
        finished=marked("finished"),
        provenance={marked("provenance"): {"command": marked("command")}},
    )
    classes = (replace(records[0].classes[0], name=marked("class")), *records[0].classes[1:])
    evaluation = replace(records[0], classes=classes)
    other = replace(
        records[0], fingerprint="f" * 64, evaluation=replace(evaluation.evaluation, benchmark=marked("set"))
    )
    for folder, record in (("trainings", training), ("evaluations", evaluation), ("evaluations", other)):
        filled.store.folder.write(f"{folder}/{record.fingerprint}/record.json", pack_record(record))
    stored = read_records(filled.store)
    views = table_views([marked_table], SHAPES, stored, filled.store)
    index = write_site(views, stored, filled.store, tmp_path / "site")

    runs = index.parent / "runs"
    of_run = ("image", "word", "attempt", "cause", "device", "dataset", "provenance", "command", "class", "set")
    on_pages = {
        index: ("title", "column", "theirs", "full", "group", "details", "detail", "claim", "note", "where", "dataset"),
        runs / page_name(training.fingerprint): of_run,
        runs / page_name(records[1].evaluation.subject): ("full",),
    }
    for path, places in on_pages.items():
        page = open_page(path)
        assert page.locator("mark").count() == 0
        assert page.locator("script").count() == 1
        written = page.evaluate(
            "[...document.querySelectorAll('*')].flatMap(e => "
            "[...[...e.childNodes].filter(n => n.nodeType == 3), ...e.attributes].map(node => node.nodeValue))"
        )
        for place in places:
            assert any(marked(place) in text for text in written), f"{path.name}: {place}"
        assert page.evaluate("typeof marked") == "undefined"
    assert complaints == []


def test_page_runs_no_script_and_loads_no_style_but_its_own(
    open_page: Callable[..., Page], complaints: list[str], make_site: Callable[[], Path]
) -> None:
    index = make_site()
    own = index.read_text()
    index.write_text(
        own.replace(
            "</main>", "<p id='marker' style='color: red' onclick='marked=1'>x</p><script>marked=1</script></main>"
        )
    )

    page = open_page(index)
    page.locator("#marker").click()

    assert page.evaluate("typeof marked") == "undefined"
    assert page.locator("#marker").evaluate("element => getComputedStyle(element).color") != "rgb(255, 0, 0)"
    assert len([text for text in complaints if "Content Security Policy" in text]) == 3
