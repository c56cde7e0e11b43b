"""The store on PostgreSQL: several committers, each running a batch of units in one transaction.

READ COMMITTED. A unit's first locks may wait and are taken in order; later ones in the same transaction are
only tried, and if one is taken elsewhere the unit starts again with all of them first, so that two hubs
never wait for each other in a circle. A batch that fails is tried again one unit at a time.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, cast

import asyncpg

from hub.errors import Conflict, Retryable
from hub.store.backend import Changed, Row
from hub.store.connections import LOST, READERS, Connection, Connections, is_lost
from hub.store.shrinking import grown
from hub.store.statements import Statement
from hub.store.store import Store, Work

T = TypeVar("T")

COMMITTERS = 4
MAX_UNITS = 16
ATTEMPTS = 10
_AGAIN = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UniqueViolationError,
    asyncpg.LockNotAvailableError,
)
_PLANS = {
    "jit": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Every statement goes along an index and stops early. Without statistics (a fresh import) the server takes a
long walk for a short one and sorts all of it."""

_LOCK = "SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) k"
_TRY = "SELECT bool_and(pg_try_advisory_xact_lock(k)) FROM unnest($1::bigint[]) k"


_NO_WAITING = 0
"""Among the held keys: something was written, so that further locks are only tried."""


class _Contended(Exception):
    """Somebody holds a lock that this unit may not wait for now."""

    def __init__(self, keys: set[int]) -> None:
        self.keys = keys


def _grown(statement: Statement, found: Sequence[Any]) -> list[Row]:
    """Rows as tuples, the bodies in them as they came."""
    if not statement.bodies:
        return [tuple(row) for row in found]
    rows = []
    for row in found:
        values = list(row)
        for place in statement.bodies:
            values[place] = grown(values[place])
        rows.append(tuple(values))
    return rows


class _Shared:
    """What the units of one transaction share: the locks they hold, rows to be written at its end, and what
    they have read under a lock."""

    __slots__ = ("held", "known", "later")

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.later: dict[Statement, list[Sequence[Any]]] = {}
        self.known: dict[str, int] = {}


class PostgresTx:
    """The transaction of one unit; see `hub.store.backend.Tx`."""

    postgres = True
    __slots__ = (
        "_connection",
        "_wrote",
        "base_url",
        "changed",
        "held",
        "known",
        "later",
        "memory",
        "now",
        "terms",
        "until_commit",
        "zone",
    )

    def __init__(self, store: Store, connection: asyncpg.Connection[Any], shared: _Shared) -> None:
        self._connection = connection
        self._wrote = False
        self.zone = store.zone
        self.base_url = store.base_url
        self.changed: Sequence[Changed] = store.changed
        self.known = store.known
        self.terms = store.terms
        self.memory = store.memory
        self.now = store.now()
        self.held = shared.held
        self.later = shared.later
        self.until_commit = shared.known

    async def rows(self, statement: Statement, *args: Any) -> list[Row]:
        return _grown(statement, await self._connection.fetch(statement.postgres, *args))

    async def run(self, statement: Statement, *args: Any) -> int:
        self._wrote = True
        status = await self._connection.execute(statement.postgres, *args)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def run_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._wrote = True
            await self._connection.executemany(statement.postgres, rows)

    async def append(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> None:
        self.later.setdefault(statement, []).extend(rows)

    async def insert(self, statement: Statement, *args: Any) -> int:
        self._wrote = True
        return cast(int, await self._connection.fetchval(statement.postgres, *args))

    async def lock(self, keys: Iterable[int]) -> None:
        new = sorted(set(keys) - self.held)
        if not new:
            return
        if not self.held and not self._wrote:
            await self._connection.fetch(_LOCK, new)
        elif not await self._connection.fetchval(_TRY, new):
            raise _Contended(self.held.union(new))
        self.held.update(new)

    async def locked_rows(self, statement: Statement, keys: Iterable[int], *args: Any) -> list[Row]:
        new = sorted(set(keys) - self.held)
        found = await self.rows(statement, new, not self.held and not self._wrote, *args)
        if not found:
            raise _Contended(self.held.union(new))
        self.held.update(new)
        return found


class _Unit:
    """A unit of work on its way, with whoever waits for it."""

    __slots__ = ("future", "work")

    def __init__(self, work: Work[Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future

    def answer(self, result: Any) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class PostgresStore(Store):
    """See `hub.store.store.Store`."""

    postgres = True

    def __init__(self, pool: asyncpg.Pool[Any], **options: Any) -> None:
        super().__init__(**options)
        self._connections = Connections(pool)
        self._waiting: deque[_Unit] = deque()
        self._committers: set[asyncio.Task[None]] = set()
        self._busy = 0
        self._closing = False

    @classmethod
    async def connect(cls, url: str, **options: Any) -> PostgresStore:
        """Open the pool; raises OSError or asyncpg.PostgresError."""
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=COMMITTERS + READERS,
            connection_class=Connection,
            statement_cache_size=1000,
            server_settings={"application_name": "sanyi-hub", "lock_timeout": "10s", **_PLANS},
        )
        return cls(pool, **options)

    async def write(self, work: Work[T]) -> T:
        if self._closing:
            raise Retryable("The store is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Unit(work, future))
        if self._busy < COMMITTERS:
            self._busy += 1
            task = asyncio.create_task(self._serve(), name="store-committer")
            self._committers.add(task)
            task.add_done_callback(self._committers.discard)
        return await future

    async def rows(self, statement: Statement, *args: Any) -> list[Row]:
        for last in (False, True):
            try:
                return _grown(statement, await self._connections.fetch(statement.postgres, args))
            except LOST as error:
                if not is_lost(error):
                    raise
                if last:
                    raise _unreachable(error) from error
                await self._connections.expire()
        raise AssertionError("unreachable")

    async def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._committers:
            await asyncio.wait(self._committers)
        await self._connections.close()

    async def _serve(self) -> None:
        """Take batches until nobody waits any more."""
        try:
            while self._waiting:
                share = -(-len(self._waiting) // (COMMITTERS - self._busy + 1))
                units = [self._waiting.popleft() for _ in range(min(share, MAX_UNITS))]
                batch = [unit for unit in units if not unit.future.cancelled()]
                try:
                    await self._run(batch)
                except Exception as error:
                    for unit in batch:
                        unit.fail(_unreachable(error) if is_lost(error) else error)
        finally:
            self._busy -= 1

    async def _run(self, batch: list[_Unit]) -> None:
        async with self._connections.one() as connection:
            if len(batch) > 1 and await self._together(connection, batch):
                return
            for unit in batch:
                await self._alone(connection, unit)

    async def _together(self, connection: Any, batch: list[_Unit]) -> bool:
        """The whole batch in one transaction; False when any of it failed and nothing is stored."""
        shared = _Shared()
        await connection.execute("BEGIN")
        try:
            results = []
            for unit in batch:
                results.append(await unit.work(PostgresTx(self, connection, shared)))
                shared.held.add(_NO_WAITING)
            await _commit(connection, shared)
        except Exception as error:
            await _rollback(connection, error)
            return False
        for unit, result in zip(batch, results, strict=True):
            unit.answer(result)
        self._committed(len(batch))
        return True

    async def _alone(self, connection: Any, unit: _Unit) -> None:
        """One unit in its own transaction, again while others are in the way."""
        first: set[int] = set()
        last: Exception | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(random.uniform(0.001, 0.01 * attempt))
            await connection.execute("BEGIN")
            try:
                shared = _Shared()
                tx = PostgresTx(self, connection, shared)
                await tx.lock(first)
                result = await unit.work(tx)
                await _commit(connection, shared)
            except _Contended as contended:
                first |= contended.keys - {_NO_WAITING}
                await _rollback(connection, contended)
            except _AGAIN as error:
                last = error
                await _rollback(connection, error)
            except Exception as error:
                await _rollback(connection, error)
                unit.fail(error)
                return
            else:
                unit.answer(result)
                self._committed(1)
                return
        conflict = Conflict("Others kept changing the same resources; try again")
        conflict.__cause__ = last
        unit.fail(conflict)


async def _commit(connection: Any, shared: _Shared) -> None:
    """Write what was left for the end, and commit."""
    for statement, rows in shared.later.items():
        await connection.executemany(statement.postgres, rows)
    await connection.execute("COMMIT")


async def _rollback(connection: Any, error: Exception) -> None:
    """Undo the transaction; a connection that is gone raises its own error."""
    if is_lost(error):
        raise error
    await connection.execute("ROLLBACK")


def _unreachable(error: Exception) -> Retryable:
    return Retryable(f"The database cannot be reached: {error or type(error).__name__}")
