"""Every walk goes straight into its index, on the first page and on later ones."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hub.store import Store
from hub.store.search.conditions import Equal, Keyed, Present, Range, Span, Text, Updated, Wanted
from hub.store.search.drivers import driven
from hub.store.search.walks import Walk, walks_of
from hub.store.statements import Statement

MOMENT = 1.6e15
WALKS: list[Walk] = [
    *walks_of(Equal(5, (1,)), "Patient"),
    *walks_of(Equal(5, (1, 2, 3)), "Patient"),
    *walks_of(Text(5, (Wanted("starts", "a"),)), "Patient"),
    *walks_of(Range(5, (Span("ge", MOMENT, MOMENT),)), "Patient"),
    *walks_of(Range(5, (Span("lt", MOMENT, MOMENT),)), "Patient"),
    *walks_of(Keyed(5, ((7, Span("gt", 3.0, 3.0)),)), "Patient"),
    *walks_of(Updated((Span("ge", MOMENT, MOMENT),)), "Patient"),
    *walks_of(Present(5), "Patient"),
    *walks_of(None, "Patient"),
    Walk("range", (5,), descending=True),
    Walk("text", (5,), descending=True),
]


class _Explained(Statement):
    """EXPLAIN of another statement."""

    bodies = ()

    def __init__(self, other: Statement) -> None:
        self._other = other

    @property
    def sqlite(self) -> str:
        return "EXPLAIN QUERY PLAN " + self._other.sqlite

    @property
    def postgres(self) -> str:
        return "EXPLAIN " + self._other.postgres


def _key(walk: Walk) -> tuple[Any, ...]:
    first: Any = "a" if walk.kind in ("text", "name") else MOMENT if "range" in walk.kind else 3
    return (first, *([MOMENT if walk.kind.startswith("range") else 3] * (walk.width - 2)), 3)[-walk.width :]


@pytest.mark.parametrize("paged", [False, True])
@pytest.mark.parametrize("number", range(len(WALKS)))
async def test_a_walk_seeks_its_place(store: Store, number: int, paged: bool) -> None:
    walk = WALKS[number]
    after = None
    if paged:
        after = ("a",) if walk.kind == "name" else _key(walk)
    made, args = driven(walk, after=after, full=False)
    if store.postgres:
        await _on_postgres(store, walk, made, [*args, 20], paged)
        return
    plan = [row[3] for row in await store.rows(_Explained(made), *args, 20)]
    seeks = [line for line in plan if re.match(r"SEARCH (index_|head|type_history)", line)]
    assert seeks and not any(re.match(r"SCAN (index_|head|type_history|resource)", line) for line in plan)
    if paged and walk.width > 1:
        assert all(re.search(r"\(\w+(,\w+)+\)[<>]\(", line) for line in seeks), plan


async def _on_postgres(store: Store, walk: Walk, made: Statement, args: list[Any], paged: bool) -> None:
    plan = [row[0] for row in await store.rows(_Explained(made), *args)]
    conditions = [line for line in plan if "Index Cond" in line and "pid = " not in line]
    assert conditions, plan
    if paged and walk.width > 1:
        assert any("ROW(" in line for line in conditions), plan
