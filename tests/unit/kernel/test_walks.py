"""Walks hold exactly what a search value matches, and begin where it begins."""

from __future__ import annotations

import random
from typing import get_args

import pytest

from hub.store.keys import Packed
from hub.store.search.conditions import Keyed, Prefix, Range, Span
from hub.store.search.walks import Subject, place, walks_of
from hub.store.tables import NARROW, POINT

PREFIXES = get_args(Prefix)
DAY = 86_400_000_000


def _ends(chance: random.Random) -> tuple[float, float]:
    scale = chance.choice([10, 1000, POINT, 40 * DAY, 20_000 * DAY])
    low = float(chance.randint(-3, 12)) * scale / 3
    width = chance.choice([0, 0, 1, 500, DAY - 1, DAY, DAY + 1, 30 * DAY, scale])
    if chance.random() < 0.05:
        return float("-inf"), low
    if chance.random() < 0.05:
        return low, float("inf")
    return low, low + width


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_range_is_on_a_walk_when_it_matches_and_only_then(prefix: Prefix) -> None:
    chance = random.Random(f"walks {prefix}")
    for _ in range(4000):
        low, high = _ends(chance)
        span = Span(
            prefix, *((low, high) if abs(low) != float("inf") and abs(high) != float("inf") else (0, 5))
        )
        row = _ends(chance)
        condition = Range(1, (span,))
        walks = walks_of(condition, "Patient")
        held = [walk for walk in walks if walk.holds(*row)]
        assert bool(held) is span.match(*row), (span, row)
        found = place(condition, walks, Subject(7, "x", 0, 0, Packed(ranges=frozenset({(1, *row)}))))
        assert (found is not None) is span.match(*row)
        keyed = Keyed(1, ((5, span),))
        held = [walk for walk in walks_of(keyed, "Patient") if walk.holds(*row)]
        assert bool(held) is span.match(*row), (span, row)


@pytest.mark.parametrize("prefix", ["ge", "gt", "ap", "sa"])
def test_a_range_open_at_the_top_begins_at_its_value(prefix: Prefix) -> None:
    moment = 20_000.0 * DAY
    walks = walks_of(Range(1, (Span(prefix, moment, moment),)), "Patient")
    assert walks[0].kind == "range" and walks[0].low is not None and walks[0].low.value == moment
    for walk in walks:
        assert walk.low is not None and walk.low.value >= moment - NARROW


def test_a_resource_stands_at_the_first_of_its_rows() -> None:
    rows = Packed(ranges=frozenset({(1, 5.0, 5.0), (1, 9.0, 9.0), (2, 0.0, 0.0), (1, 1.0, 50.0)}))
    condition = Range(1, (Span("ge", 4.0, 4.0),))
    assert place(condition, walks_of(condition, "Patient"), Subject(7, "x", 0, 0, rows)) == (0, 5.0, 5.0, 7)
    late = Range(1, (Span("ge", 20.0, 20.0),))
    walks = walks_of(late, "Patient")
    found = place(late, walks, Subject(7, "x", 0, 0, rows))
    assert found is not None and walks[found[0]].kind == "range_wide" and found[1:] == (50.0, 1.0, 7)
