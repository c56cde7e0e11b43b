"""A read that takes long holds up nobody else, and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import func, literal_column, select

from hub.errors import TooCostly
from hub.store import Store, open_store, sqlite
from hub.store.search import candidates
from hub.store.statements import Statement, statement
from tests.integration.store.asking import ids, keep, patient


def counting(most: int) -> Statement:
    """A statement that counts to a number, one step after the other."""
    one = select(literal_column("1").label("n")).cte("numbers", recursive=True)
    following = (one.c.n + literal_column("1")).label("n")
    numbers = one.union_all(select(following).where(one.c.n < literal_column(str(most))))
    return statement(select(func.count()).select_from(numbers), [])


class Others:
    """Counts the turns that others get while something is awaited."""

    def __init__(self) -> None:
        self.turns = 0

    async def take(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turns += 1


async def test_others_are_served_while_a_long_statement_runs(store: Store) -> None:
    others = Others()
    taking = asyncio.create_task(others.take())
    assert [tuple(row) for row in await store.rows(counting(2_000_000))] == [(2_000_000,)]
    taking.cancel()
    assert others.turns > 10


async def test_short_reads_go_on_beside_as_many_long_ones_as_come(store: Store) -> None:
    long = [asyncio.create_task(store.rows(counting(1_000_000))) for _ in range(3)]
    await asyncio.sleep(0)
    assert [tuple(row) for row in await store.rows(counting(10))] == [(10,)]
    found = await asyncio.gather(*long)
    assert [tuple(row) for (row,) in found] == [(1_000_000,)] * 3


async def test_a_read_without_end_is_given_up(
    new_sqlite: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LONG", 0.05)
    opened = await open_store(new_sqlite("long.db"), base_url="http://127.0.0.1:8080/fhir")
    try:
        with pytest.raises(TooCostly):
            await opened.rows(counting(10**12))
        assert await opened.rows(counting(10)) == [(10,)]
    finally:
        await opened.close()


async def test_others_are_served_while_a_search_looks_at_many(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "TURN", 0.0)
    await keep(store, *(patient(f"p{number}", name=[{"text": "Wang"}]) for number in range(50)))
    others = Others()
    taking = asyncio.create_task(others.take())
    assert await ids(store, "Patient?name:contains=nobody") == ""
    taking.cancel()
    assert others.turns >= 50
