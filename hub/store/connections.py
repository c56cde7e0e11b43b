"""The connections to PostgreSQL: taken from a pool, kept, and ended once one of them was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

READERS = 6
LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    OSError,
)


class Connection(asyncpg.Connection):
    """Nothing of ours outlives a transaction, so that giving a connection back needs no round trip."""

    def get_reset_query(self) -> str:
        return ""


class Connections:
    """Connections that are kept out of the pool once they were taken: taking one and giving it back costs the
    pool as much as a query. One that failed goes back; one that was lost is ended there and then."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool
        self._free: list[Any] = []
        self._reading = asyncio.Semaphore(READERS)

    async def fetch(self, text: str, args: Sequence[Any]) -> list[Any]:
        """The rows of a SELECT, which waits while READERS others are under way."""
        async with self._reading, self.one() as connection:
            found: list[Any] = await connection.fetch(text, *args)
            return found

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Any]:
        """A connection of one's own."""
        connection = self._free.pop() if self._free else None
        while connection is not None and _is_closed(connection):
            await self._pool.release(connection)
            connection = self._free.pop() if self._free else None
        if connection is None:
            connection = await self._pool.acquire()
        try:
            yield connection
        except BaseException as error:
            if is_lost(error):
                _terminate(connection)
            await self._pool.release(connection)
            raise
        self._free.append(connection)

    async def expire(self) -> None:
        """Trust none that is open now."""
        while self._free:
            connection = self._free.pop()
            _terminate(connection)
            await self._pool.release(connection)
        await self._pool.expire_connections()

    async def close(self) -> None:
        """Give all back and end them."""
        while self._free:
            await self._pool.release(self._free.pop())
        await self._pool.close()


def _is_closed(connection: Any) -> bool:
    """Also where the pool itself took it back, because the server went away."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


def _terminate(connection: Any) -> None:
    """End it there and then, unless the pool already did."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone; asyncpg reports a wrong argument as an InterfaceError, too, and what is
    asked of a connection whose end it has half read as an InternalClientError."""
    return isinstance(error, LOST) and not isinstance(error, ValueError)
