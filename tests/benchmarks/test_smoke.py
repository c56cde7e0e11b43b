"""The benchmark runs and counts what it sent. How fast it went is for people to judge, not for a test."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests.benchmarks import api, content, population
from tests.benchmarks.__main__ import record, table
from tests.benchmarks.flow import Scenario, Size, measure

TINY = Size(persons=4, warm_up=4, seconds=0.3, rounds=1)
SCENARIOS = (Scenario(acknowledge="stored", triggers=True), Scenario(acknowledge="received", rate=200))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.acknowledge)
def test_a_tiny_benchmark_runs(scenario: Scenario, tmp_path: Path) -> None:
    figures = measure(scenario, TINY, tmp_path / "hub", None)
    assert figures.rate > 0
    assert figures.cpu_all >= figures.cpu > 0
    assert figures.rss_peak >= figures.rss_start > 0
    found = {scenario.name: [figures, figures]}
    assert scenario.name in table(found)
    assert record(tmp_path / "recorded", TINY, found).is_file()


def test_every_order_is_another_one() -> None:
    orders = list(islice(content.orders(3), 20))
    assert len(set(orders)) == 20
    assert all(one.startswith(b"\x0bMSH|") and one.endswith(b"\r\x1c\r") for one in orders)
    assert set(islice(content.orders(3, first=10), 10)) == set(orders[10:])


def test_a_tiny_benchmark_of_the_api_runs(tmp_path: Path) -> None:
    only = ("read", "crud9", "tx100", "search6")
    plan = api.Plan(seconds=0.3, shape_seconds=0.2, rounds=1, volumes=(1,), only=only)
    found = api.measure(plan, "sqlite", tmp_path)
    for name in ("read", "crud9", "tx100", *(f"{shape} 1x" for shape in api.SEARCH6)):
        assert found[name][0].per_cpu > 0, name
        assert name in api.table(found)
    assert api.record(tmp_path / "recorded", plan, {"sqlite": found}).is_file()


def test_the_population_is_the_same_every_time_and_its_persons_are_distinct() -> None:
    once = list(islice(population.everything(1), 26))
    assert once == list(islice(population.everything(1), 26))
    cards = {population.id_card(number) for number in range(population.patients(16))}
    assert len(cards) == population.patients(16)
    assert all(len(card) == 18 for card in cards)
