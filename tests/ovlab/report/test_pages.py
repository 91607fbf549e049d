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


def test_cost_is_in_gpu_hours_where_gpus_were_held() -> None:
    assert cost(on_gpus(1800.0, 4)) == "2.00 GPU-hours"
    assert cost(cost_of([ATTEMPT])) == "1.5 min CPU"


def test_total_cost_keeps_gpus_and_processors_apart() -> None:
    assert total_cost([cost_of([ATTEMPT]), on_gpus(3600.0, 2), on_gpus(1800.0, 1)]) == "2.50 GPU-hours + 1.5 min CPU"
    assert total_cost([]) == "0.0 s CPU"


def test_table_name_of_a_table_of_ones_own_stays() -> None:
    assert table_name("table3") == "Table 3"
    assert table_name("tablecloth") == "tablecloth"


def test_templates_of_the_site_hold_no_address_of_a_network() -> None:
    for path in template_folder().iterdir():
        text = path.read_text(encoding="utf-8")
        assert "http:" not in text, path
        assert "https:" not in text, path
        assert "//" not in text.replace("// ", ""), path
