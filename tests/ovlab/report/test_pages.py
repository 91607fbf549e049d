"""How figures are written on a page, and that text cannot become markup."""

from dataclasses import replace

from ovlab.report.pages import cost, table_name, template_folder, total_cost
from ovlab.store.record import Attempt, Cost, cost_of

TIME = "2026-01-02T03:04:05+00:00"
ATTEMPT = Attempt(
    id="1", began=TIME, updated=TIME, status="finished", device="cpu", num_gpus=0, seconds=90.0, kept_seconds=90.0
)


def on_gpus(seconds: float, num_gpus: int) -> Cost:
    return cost_of([replace(ATTEMPT, device="H200", num_gpus=num_gpus, seconds=seconds)])


def test_cost_names_time_by_the_clock_on_gpus_and_of_processors() -> None:
    assert cost(cost_of([replace(ATTEMPT, process_seconds=150.0)])) == "1.5 min wall, 2.5 min CPU"
    assert cost(on_gpus(1800.0, 4)) == "30.0 min wall, 2.00 GPU-hours, CPU not recorded"


def test_cost_of_a_journal_without_processor_time_never_shows_another_in_its_place() -> None:
    assert cost(cost_of([ATTEMPT])) == "1.5 min wall, CPU not recorded"
    assert cost(cost_of([ATTEMPT, replace(ATTEMPT, process_seconds=9.0)])) == "3.0 min wall, CPU not recorded"


def test_total_cost_adds_up_each_kind_and_says_what_is_not_recorded() -> None:
    known = cost_of([replace(ATTEMPT, process_seconds=60.0)])

    assert total_cost([known, known]) == "3.0 min wall, 2.0 min CPU"
    assert total_cost([known, cost_of([ATTEMPT])]) == "3.0 min wall, CPU of 1 of 2 recorded"
    gpus = [on_gpus(3600.0, 2), on_gpus(1800.0, 1)]
    assert total_cost(gpus) == "1.50 h wall, 2.50 GPU-hours, CPU not recorded"
    assert total_cost([]) == "0.0 s wall, 0.0 s CPU"


def test_table_name_of_a_table_of_ones_own_stays() -> None:
    assert table_name("table3") == "Table 3"
    assert table_name("tablecloth") == "tablecloth"


def test_templates_of_the_site_hold_no_address_of_a_network() -> None:
    for path in template_folder().iterdir():
        text = path.read_text(encoding="utf-8")
        assert "http:" not in text, path
        assert "https:" not in text, path
        assert "//" not in text.replace("// ", ""), path
