"""What a unit of work can rely on: it is durable when it is answered, and alone when it fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import bindparam, func, select

from hub.store import Store, Tx, insert_into, statement
from hub.store.flow import counter

_ADD = insert_into(counter)
_ALL = statement(select(counter.c.scope).order_by(counter.c.scope))
_COUNT = statement(select(func.count()).select_from(counter))
_ONE = statement(select(counter.c.value).where(counter.c.scope == bindparam("scope")))


def _adding(name: str) -> Any:
    async def work(tx: Tx) -> str:
        await tx.run(_ADD, name, 1)
        return name

    return work


async def test_a_unit_is_committed_when_it_is_answered(store: Store) -> None:
    assert await store.write(_adding("a")) == "a"
    assert await store.rows(_ALL) == [("a",)]


async def test_units_that_wait_together_share_a_commit(store: Store) -> None:
    answers = await asyncio.gather(*(store.write(_adding(f"n{i:03}")) for i in range(60)))
    assert answers == [f"n{i:03}" for i in range(60)]
    assert await store.rows(_COUNT) == [(60,)]
    assert store.writes == 60
    assert store.commits < 30


async def test_a_unit_that_fails_undoes_only_itself(store: Store) -> None:
    async def failing(tx: Tx) -> None:
        await tx.run(_ADD, "lost", 1)
        raise LookupError("no")

    results = await asyncio.gather(
        store.write(_adding("before")),
        store.write(failing),
        store.write(_adding("after")),
        return_exceptions=True,
    )
    assert isinstance(results[1], LookupError)
    assert await store.rows(_ALL) == [("after",), ("before",)]


async def test_a_unit_sees_what_it_wrote(store: Store) -> None:
    async def work(tx: Tx) -> list[Any]:
        await tx.run(_ADD, "mine", 7)
        return await tx.rows(_ONE, "mine")

    assert await store.write(work) == [(7,)]


async def test_time_never_goes_backwards(store: Store, ticking: Any) -> None:
    async def work(tx: Tx) -> int:
        return tx.now

    first = await store.write(work)
    ticking.advance(-60)
    assert await store.write(work) >= first


async def test_close_finishes_what_was_accepted(store: Store) -> None:
    waiting = asyncio.gather(*(store.write(_adding(str(i))) for i in range(5)))
    await asyncio.sleep(0)
    await store.close()
    assert len(await waiting) == 5
    with pytest.raises(Exception, match="closed"):
        await store.write(_adding("late"))
