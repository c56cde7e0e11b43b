"""The benchmark runs and counts what it sent. How fast it went is for people to judge, not for a test."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests.benchmarks import content
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
