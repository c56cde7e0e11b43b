"""What happens when the disk or the process fails."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select

from hub.errors import Retryable
from hub.store import Store, Tx, insert_into, open_store, statement
from hub.store.flow import counter
from hub.store.resources import Written, get, put
from tests.integration.store.samples import patient

_ADD = insert_into(counter)
_ALL = statement(select(counter.c.scope).order_by(counter.c.scope))


def _adding(name: str) -> Any:
    async def work(tx: Tx) -> None:
        await tx.run(_ADD, name, 1)

    return work


class _NoSpace:
    """A connection whose COMMIT fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, *args: Any) -> Any:
        if sql == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        return self._connection.execute(sql, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def test_a_failed_commit_fails_its_whole_batch(sqlite_url: str) -> None:
    store: Any = await open_store(sqlite_url)
    real = store._writer

    async def storing(tx: Tx) -> None:
        await put(tx, patient(tx, "lost"))

    store._writer = _NoSpace(real)
    results = await asyncio.gather(
        store.write(_adding("a")), store.write(storing), store.write(_adding("b")), return_exceptions=True
    )
    assert [type(one) for one in results] == [Retryable] * 3
    store._writer = real
    assert await store.rows(_ALL) == []
    assert await get(store, "Patient", "lost") is None
    await store.write(storing)
    assert (await get(store, "Patient", "lost")) is not None
    await store.close()


async def test_a_unit_may_await_nothing_but_its_transaction(sqlite_url: str) -> None:
    store = await open_store(sqlite_url)

    async def sleeping(tx: Tx) -> None:
        await tx.run(_ADD, "x", 1)
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="await"):
        await store.write(sleeping)
    assert await store.rows(_ALL) == []
    await store.close()


async def test_a_cancelled_caller_stops_nobody_else(store: Store) -> None:
    task = asyncio.create_task(store.write(_adding("cancelled")))
    other = asyncio.create_task(store.write(_adding("other")))
    await asyncio.sleep(0)
    task.cancel()
    await other
    assert ("other",) in await store.rows(_ALL)


async def test_synchronous_full_is_set(sqlite_url: str) -> None:
    store: Any = await open_store(sqlite_url)
    assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await store.close()


_WRITER = """
import asyncio, sys
from hub.store import open_store, insert_into
from hub.store.flow import counter
ADD = insert_into(counter)
async def main():
    store = await open_store(sys.argv[1])
    async def one(start):
        for number in range(start, 10**9, 8):
            async def work(tx):
                await tx.run(ADD, f"{number:09}", 1)
            await store.write(work)
            print(number, flush=True)
    await asyncio.gather(*(one(start) for start in range(8)))
asyncio.run(main())
"""


async def test_kill_9_loses_nothing_that_was_answered(database_url: str, tmp_path: Path) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WRITER, database_url, stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    answered: list[int] = []
    while len(answered) < 200:
        answered.append(int(await writer.stdout.readline()))
    os.kill(writer.pid, signal.SIGKILL)
    answered += [int(line) for line in (await writer.stdout.read()).splitlines() if line]
    await writer.wait()
    store = await open_store(database_url)
    kept = {int(row[0]) for row in await store.rows(_ALL)}
    assert set(answered) <= kept
    await store.close()


async def test_two_hubs_on_one_postgres_lose_no_update(postgres_url: str) -> None:
    first, second = await open_store(postgres_url), await open_store(postgres_url)

    async def write(store: Store, id: str, number: int) -> None:
        async def work(tx: Tx) -> None:
            await put(tx, patient(tx, "shared", multipleBirthInteger=number))
            await put(tx, patient(tx, id))

        await store.write(work)

    await asyncio.gather(
        *(write(store, f"{name}{n}", n * 2 + at)
          for n in range(20) for at, (name, store) in enumerate((("a", first), ("b", second))))
    )  # fmt: skip
    stored = await get(first, "Patient", "shared")
    assert stored is not None
    assert stored.version == 40
    await first.close()
    await second.close()


async def test_a_lost_postgres_connection_is_replaced(postgres_url: str) -> None:
    store = await open_store(postgres_url)
    await store.write(_adding("before"))
    killer = await asyncpg.connect(postgres_url)
    await killer.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await killer.close()
    assert await store.rows(_ALL) == [("before",)]
    for _ in range(10):
        try:
            await store.write(_adding("after"))
            break
        except Retryable:
            continue
    assert await store.rows(_ALL) == [("after",), ("before",)]
    await store.close()


async def test_a_connection_with_its_end_half_read_is_replaced(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has said that it ends, its end is still to come: asyncpg calls a question its own error."""
    store: Any = await open_store(postgres_url)
    broken: list[Any] = []
    real, execute = asyncpg.Connection.fetch, asyncpg.Connection.execute

    async def half(self: Any, sql: str, *args: Any, **named: Any) -> Any:
        if not broken or self in broken:
            broken.append(self)
            raise asyncpg.InternalClientError(
                "cannot switch to state 11; another operation (2) is in progress"
            )
        return await (real if sql.startswith(("SELECT", "WITH")) else execute)(self, sql, *args, **named)

    await store.write(_adding("before"))
    monkeypatch.setattr(asyncpg.Connection, "fetch", half)
    assert await store.rows(_ALL) == [("before",)]
    broken.clear()
    monkeypatch.setattr(asyncpg.Connection, "execute", half)
    with pytest.raises(Retryable):
        await store.write(_adding("lost"))
    await store.write(_adding("after"))
    assert await store.rows(_ALL) == [("after",), ("before",)]
    assert all(one.is_closed() for one in broken)
    await store.close()


async def test_who_is_expected_shares_the_commit(sqlite_url: str) -> None:
    store = await open_store(sqlite_url)

    async def late(name: str) -> None:
        with store.coming():
            await asyncio.sleep(0.0005)
            await store.write(_adding(name))

    await asyncio.gather(*(late(str(n)) for n in range(5)), store.write(_adding("first")))
    assert store.writes == 6
    assert store.commits <= 3
    await store.close()


async def test_what_a_hub_remembers_is_only_a_hint_on_postgres(postgres_url: str) -> None:
    first, second = await open_store(postgres_url), await open_store(postgres_url)

    async def write(store: Store, gender: str) -> Written:
        made = patient(store, "shared", gender=gender)

        async def work(tx: Tx) -> Written:
            return await put(tx, made)

        return await store.write(work)

    assert (await write(first, "female")).version == 1
    assert (await write(second, "male")).version == 2
    again = await write(first, "female")
    assert (again.change, again.version) == ("updated", 3)
    assert (await write(second, "female")).change == "unchanged"
    await first.close()
    await second.close()
