"""The store on SQLite: one writer, whose units share commits.

Units are coroutines driven inline on the event loop's thread, each in a savepoint; they never suspend.
Only the COMMIT, which waits for the disk, runs in a thread of its own, and meanwhile the loop prepares
what comes next. WAL with synchronous=FULL: what was answered survives a power loss.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from hub.errors import Retryable, TooCostly
from hub.store import lock
from hub.store.backend import Changed, Row
from hub.store.memory import Head, Memory, Name
from hub.store.shrinking import offer
from hub.store.statements import Statement
from hub.store.store import Store, Work

T = TypeVar("T")

GATHER = 0.002
MAX_UNITS = 128
MAX_SECONDS = 0.025
STEPS = 10_000
"""Steps of SQLite's virtual machine between two looks at the clock: about a millisecond."""
SHORT = 0.02
"""Seconds that a read may hold up everyone else before it is begun again in a thread."""
LONG = 30.0
LONG_READS = 2
"""Seconds that it may take there, and how many at once."""
_CLOSED = "The store is closed"


def connect(path: Path) -> sqlite3.Connection:
    """A connection with our settings; a new file is readable by its owner only.

    A file that is there is not opened here: closing any descriptor of a file drops every POSIX lock this
    process holds on it, SQLite's too (https://sqlite.org/howtocorrupt.html section 2.2).
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=1024)
    for pragma in (
        "busy_timeout = 5000",
        "journal_mode = WAL",
        "synchronous = FULL",
        "temp_store = MEMORY",
        "cache_size = -32768",
        "wal_autocheckpoint = 2000",
    ):
        connection.execute(f"PRAGMA {pragma}")
    offer(connection)
    return connection


class _Memory(Memory):
    """Remembers, and can undo what one unit remembered."""

    def __init__(self, memory: Memory) -> None:
        self._shared = memory
        self.touched: list[Name] = []

    def get(self, name: Name) -> Head | None:
        return self._shared.get(name)

    def keep(self, name: Name, head: Head) -> None:
        self.touched.append(name)
        self._shared.keep(name, head)

    def drop(self, name: Name) -> None:
        self._shared.drop(name)

    def undo(self) -> None:
        """Forget whatever this unit touched: the database knows what is true."""
        for name in self.touched:
            self._shared.drop(name)


class SqliteTx:
    """The transaction of one unit; see `hub.store.backend.Tx`."""

    postgres = False
    __slots__ = (
        "_execute",
        "_execute_many",
        "base_url",
        "changed",
        "known",
        "memory",
        "now",
        "terms",
        "until_commit",
        "zone",
    )

    def __init__(self, store: Store, connection: sqlite3.Connection, now: int, memory: Memory) -> None:
        self._execute = connection.execute
        self._execute_many = connection.executemany
        self.zone = store.zone
        self.base_url = store.base_url
        self.changed: Sequence[Changed] = store.changed
        self.known = store.known
        self.terms = store.terms
        self.now = now
        self.memory = memory
        self.until_commit: dict[str, int] = {}

    async def rows(self, statement: Statement, *args: Any) -> list[Row]:
        return self._execute(statement.sqlite, args).fetchall()

    async def run(self, statement: Statement, *args: Any) -> int:
        return self._execute(statement.sqlite, args).rowcount

    async def run_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._execute_many(statement.sqlite, rows)

    append = run_many

    async def insert(self, statement: Statement, *args: Any) -> int:
        return cast(int, self._execute(statement.sqlite, args).fetchall()[0][0])

    async def lock(self, keys: Iterable[int]) -> None:
        return None

    async def locked_rows(self, statement: Statement, keys: Iterable[int], *args: Any) -> list[Row]:
        return await self.rows(statement, *args)


class _Unit:
    """A unit of work on its way, with whoever waits for it."""

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Work[Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def answer(self, error: BaseException | None = None) -> None:
        """Give the result, or the error, to whoever waits."""
        if self.future.done():
            return
        error = error or self.error
        if error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(error)


class _Patient:
    """Reads that take long, each in a thread and with a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = ThreadPoolExecutor(LONG_READS, "long reads")
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def rows(self, text: str, args: Sequence[Any]) -> list[Row]:
        """TooCostly after LONG seconds."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, text, args)

    def _read(self, text: str, args: Sequence[Any]) -> list[Row]:
        connection = getattr(self._own, "connection", None) or self._connect()
        until = time.perf_counter() + LONG
        connection.set_progress_handler(lambda: time.perf_counter() > until, STEPS * 100)
        try:
            return connection.execute(text, args).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            raise TooCostly(f"the search took more than {LONG:.0f} s; ask for less") from None

    def _connect(self) -> sqlite3.Connection:
        made = self._own.connection = connect(self._path)
        made.execute("PRAGMA query_only = ON")
        made.execute("PRAGMA cache_size = -8192")
        self._connections.append(made)
        return made

    def close(self) -> None:
        self._threads.shutdown()
        for one in self._connections:
            one.close()


class SqliteStore(Store):
    """See `hub.store.store.Store`."""

    postgres = False

    def __init__(self, path: Path, lock_file: int, **options: Any) -> None:
        super().__init__(**options)
        self.path = path
        self._lock_file = lock_file
        self._writer = connect(path)
        self._reader = connect(path)
        self._reader.execute("PRAGMA query_only = ON")
        self._reader.set_progress_handler(self._overdue, STEPS)
        self._until = 0.0
        self._patient = _Patient(path)
        self._waiting: deque[_Unit] = deque()
        self._wake = asyncio.Event()
        self._full = asyncio.Event()
        self._expected = 0
        self._recent = 0
        self._closing = False
        self._committer = ThreadPoolExecutor(1, "commit")
        self._task = asyncio.create_task(self._serve(), name="store-writer")

    def announce(self, url: str) -> None:
        """Write the hub's address into the lock file, for commands that look for it."""
        lock.sign(self._lock_file, url)

    async def write(self, work: Work[T]) -> T:
        if self._closing:
            raise Retryable(_CLOSED)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Unit(work, future))
        self._wake.set()
        if len(self._waiting) >= self._expected:
            self._full.set()
        return await future

    async def rows(self, statement: Statement, *args: Any) -> list[Row]:
        self._until = time.perf_counter() + SHORT
        try:
            return self._reader.execute(statement.sqlite, args).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
        return await self._patient.rows(statement.sqlite, args)

    def _overdue(self) -> bool:
        """Asked by SQLite from time to time: whether a statement holds up everyone else."""
        return time.perf_counter() > self._until

    async def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        await self._task
        self._committer.shutdown()
        self._patient.close()
        self._reader.close()
        self._writer.close()
        os.close(self._lock_file)

    async def _serve(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._gather()
                await self._commit(self._drive())
            if self._closing:
                return

    async def _gather(self) -> None:
        """Wait a moment for those who are about to write, so that they share the commit."""
        self._expected = min(max(self._coming, self._recent), MAX_UNITS)
        if self._closing or len(self._waiting) >= self._expected:
            return
        self._full.clear()
        timer = asyncio.get_running_loop().call_later(GATHER, self._full.set)
        await self._full.wait()
        timer.cancel()

    def _drive(self) -> list[_Unit]:
        """Run waiting units, each in a savepoint, up to a batch; the transaction is left open."""
        batch: list[_Unit] = []
        until = time.perf_counter() + MAX_SECONDS
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            now = self.now()
            while self._waiting and len(batch) < MAX_UNITS and time.perf_counter() < until:
                unit = self._waiting.popleft()
                if unit.future.cancelled():
                    continue
                batch.append(unit)
                self._run(unit, now)
        except sqlite3.Error as error:
            if not batch and self._waiting:
                batch.append(self._waiting.popleft())
            self._fail(batch, error)
            return []
        return batch

    def _run(self, unit: _Unit, now: int) -> None:
        execute = self._writer.execute
        memory = _Memory(self.memory)
        execute("SAVEPOINT unit")
        try:
            unit.result = _inline(unit.work(SqliteTx(self, self._writer, now, memory)))
        except (Exception, asyncio.CancelledError) as error:
            memory.undo()
            unit.error = error
            if not self._writer.in_transaction:
                raise sqlite3.OperationalError(f"the transaction was lost: {error}") from error
            execute("ROLLBACK TO unit")
        execute("RELEASE unit")

    async def _commit(self, batch: list[_Unit]) -> None:
        """COMMIT in the committing thread, then answer everyone of the batch."""
        if not batch:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._committer, self._writer.execute, "COMMIT")
        except sqlite3.Error as error:
            self._fail(batch, error)
            return
        self._recent = len(batch)
        for unit in batch:
            unit.answer()
        self._committed(len(batch))

    def _fail(self, batch: list[_Unit], error: sqlite3.Error) -> None:
        """Nothing of the batch is durable: undo it and tell everyone."""
        self.memory.clear()
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")
        for unit in batch:
            unit.answer(Retryable(f"The database could not commit: {error}"))


def _inline(work: Any) -> Any:
    """Run a coroutine that never suspends to its end."""
    coroutine = cast("Coroutine[Any, Any, Any]", work)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise RuntimeError("a unit of work may await only its transaction")
