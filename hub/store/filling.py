"""Posted search parameters take effect: a background task gives every stored resource its rows for them.

It goes through a type in the order of ids, a few resources per unit of work, and keeps its place in the same
unit, so that it goes on after a crash where it was. Of several processes on one PostgreSQL the one that holds
the lease does it. Rows of parameters that are no longer wanted are removed on the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Sequence
from itertools import groupby

import msgspec
from sqlalchemy import and_, bindparam, func, select, update

from hub.store import leases, posted, posting
from hub.store.apply import Batch, apply_index
from hub.store.backend import Row, Tx
from hub.store.extracting import posted_rows
from hub.store.keys import pack, united, unpack, without
from hub.store.names import TYPE_NAME, name_key
from hub.store.parameters import Parameters
from hub.store.posted import FILLING, READY, RETIRED, Line
from hub.store.resources import Written
from hub.store.statements import statement
from hub.store.store import Store
from hub.store.tables import head, resource, version

log = logging.getLogger("hub.store.filling")

CHUNK = 50
"""Resources per unit of work: a few milliseconds for whoever waits behind it."""
POLL_SECONDS = 1.0
"""How often a process looks for what was posted at another one, and goes on with what that one left."""
LEASE_SECONDS = 15.0
LEASE = "search-parameters"

_LIVE = and_(head.c.type == bindparam("type"), head.c.deleted.is_(False))
_IDS = statement(
    select(head.c.id)
    .where(_LIVE, head.c.id > bindparam("after"))
    .order_by(head.c.id)
    .limit(bindparam("limit")),
    ["type", "after", "limit"],
)
_COUNT = statement(select(func.count()).where(_LIVE), ["type"])
_CHUNK = statement(
    select(resource.c.pid, resource.c["keys"], version.c.body)
    .select_from(
        head.join(resource, resource.c.pid == head.c.pid).join(
            version, version.c.sequence == resource.c.sequence
        )
    )
    .where(_LIVE, head.c.id > bindparam("after"), head.c.id <= bindparam("last")),
    ["type", "after", "last"],
)
_KEYS = statement(
    update(resource).where(resource.c.pid == bindparam("which")).values(keys=bindparam("rows")),
    ["rows", "which"],
)


class Filler:
    """Owns the task. `stored` and `committed` go into `store.changed` and `store.committed`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owner = secrets.token_hex(8)
        self._coming: Parameters | None = None
        self._forget = 0.0
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def stored(self, tx: Tx, written: Sequence[Written]) -> None:
        """SearchParameters among what was written take effect with it, or refuse it (RuleBroken)."""
        changes = [
            await posting.take(tx, one.id, one.body) for one in written if one.type == "SearchParameter"
        ]
        if any(changes):
            self._coming = await posted.load(tx, await posted.change(tx))
            self._forget = time.monotonic() + 2 * POLL_SECONDS

    def committed(self) -> None:
        """What this process posted is known here at once; `refresh` corrects it if that was undone."""
        if self._coming is not None:
            self._store.known = self._coming
            self._woken.set()

    async def start(self, *, fill: bool = True) -> None:
        """Learn what there is, and go on filling."""
        await self.refresh()
        self._store.changed.append(self.stored)
        self._store.committed.append(self.committed)
        if fill:
            self._task = asyncio.create_task(self._run(), name="search parameters")

    async def stop(self) -> None:
        """Leave it where it is."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def refresh(self) -> None:
        """Know the parameters as they are committed."""
        seen = await posted.generation(self._store)
        if self._coming is not None and (self._coming.generation == seen or time.monotonic() > self._forget):
            self._coming = None
        if seen != self._store.known.generation or self._store.known.open:
            self._store.known = await posted.load(self._store, seen)

    async def settled(self) -> None:
        """Fill and remove until nothing is left to do here."""
        while self._store.known.open and await self.step():
            pass

    async def step(self) -> bool:
        """Fill one chunk; False when there is nothing to do, or another process does it."""
        await self.refresh()
        more = await self._store.write(self._chunk)
        await self.refresh()
        return more

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self.refresh()
                await self.settled()
            except Exception:
                log.exception("search parameters could not be filled; again in %ss", POLL_SECONDS)
            wait = POLL_SECONDS if self._store.postgres or self._store.known.open else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), wait)

    async def _chunk(self, tx: Tx) -> bool:
        if tx.postgres and not await leases.take(tx, LEASE, self._owner, LEASE_SECONDS):
            return False
        lines = await posted.unfinished(tx)
        if not lines:
            await leases.release(tx, LEASE, self._owner)
            return False
        group, limit = _next(lines)
        number, after = group[0].type, group[0].progress
        if not after and not all(one.goal for one in group):
            goal = (await tx.rows(_COUNT, number))[0][0]
            group = [msgspec.structs.replace(one, goal=goal) for one in group]
        ids = [row[0] for row in await tx.rows(_IDS, number, after, CHUNK)]
        ids, reached = _before(ids, limit)
        # The names first: writers hold theirs while they wait for whoever is changing these rows.
        await tx.lock([name_key(TYPE_NAME[number], id) for id in ids])
        if await posted.unfinished(tx, hold=True) != lines:
            return True
        if ids:
            await _index(tx, group, await tx.rows(_CHUNK, number, after, ids[-1]))
        await posted.keep(tx, [_moved(one, reached, len(ids)) for one in group])
        if not reached:
            await posted.change(tx)
        return True


def _before(ids: list[str], limit: str) -> tuple[list[str], str]:
    """The ids of a chunk up to `limit`, where other parameters join, and how far it comes (empty: all)."""
    if limit and ids and ids[-1] > limit:
        return [id for id in ids if id <= limit], limit
    return ids, ids[-1] if len(ids) == CHUNK else ""


def _next(lines: list[Line]) -> tuple[list[Line], str]:
    """The parameters of one type that are least far, and how far the next of them are (empty: none are)."""
    _, first = next(groupby(lines, lambda one: one.type))
    same = list(first)
    group = [one for one in same if one.progress == same[0].progress]
    return group, next((one.progress for one in same if one.progress != same[0].progress), "")


def _moved(line: Line, reached: str, count: int) -> Line:
    done = line.done + count
    if reached:
        return msgspec.structs.replace(line, progress=reached, done=done)
    return msgspec.structs.replace(line, state=READY if line.state == FILLING else RETIRED, done=done)


async def _index(tx: Tx, group: list[Line], rows: list[Row]) -> None:
    """Give these resources the rows that the parameters call for, and no others of theirs."""
    numbers = frozenset(one.number for one in group)
    wanted = tuple(one.parameter() for one in group if one.live)
    batch = Batch()
    updates = []
    for pid, keys, body in rows:
        before = unpack(keys)
        after = united(without(before, numbers), posted_rows(bytes(body), wanted, tx))
        if after != before:
            batch.removed.add(pid, before, after)
            batch.added.add(pid, after, before)
            updates.append((pack(after), pid))
    await apply_index(tx, batch)
    await tx.run_many(_KEYS, updates)
