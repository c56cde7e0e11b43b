"""Bulk exports: what was asked, how far each has come, and which process is at work on it.

http://hl7.org/fhir/uv/bulkdata/export.html. The work itself is in `hub.exports`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, delete, func, select, update

from hub.store.backend import Reader, Tx
from hub.store.flow import export
from hub.store.statements import insert_into, statement
from hub.store.tables import version

WAITING, RUNNING, DONE, FAILED = range(4)
"""`export.state`. A cancelled one has no row any more."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One export; see hub.store.flow.export. Times in microseconds."""

    id: str
    organisation: str
    request: str
    asked: bytes
    state: int = WAITING
    moment: int = 0
    sequence: int = 0
    created: int = 0
    ended: int = 0
    owner: str = ""
    until: int = 0
    fence: int = 0
    progress: bytes = b""
    error: str = ""


_ALL = list(export.columns)
_ID = export.c.id == bindparam("which")
_OURS = and_(_ID, export.c.owner == bindparam("mine"), export.c.fence == bindparam("held"))
_OPEN = export.c.state.in_([WAITING, RUNNING])
_LAST = statement(select(func.coalesce(func.max(version.c.sequence), 0)))
_AGE = statement(
    select(version.c.sequence),
    postgres="SELECT (extract(epoch FROM max(clock_timestamp() - xact_start)) * 1000000)::bigint "
    "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'",
)
"""Microseconds since the oldest open transaction of others began; only on PostgreSQL."""
_ADD = insert_into(export)
_LOAD = statement(select(*_ALL).where(_ID), ["which"])
_NEXT = select(*_ALL).where(_OPEN, export.c.until <= bindparam("now")).order_by(export.c.created, export.c.id)
_FREE = statement(_NEXT.limit(1).with_for_update(skip_locked=True), ["now"])
_CLAIM = statement(
    update(export)
    .where(_ID)
    .values(state=RUNNING, owner=bindparam("mine"), until=bindparam("ends"), fence=export.c.fence + 1),
    ["mine", "ends", "which"],
)
_KEEP = statement(
    update(export).where(_OURS).values(progress=bindparam("reached"), until=bindparam("ends")),
    ["reached", "ends", "which", "mine", "held"],
)
_END = statement(
    update(export)
    .where(_OURS)
    .values(
        state=bindparam("outcome"),
        progress=bindparam("reached"),
        error=bindparam("why"),
        ended=bindparam("now"),
        until=0,
        owner="",
    ),
    ["outcome", "reached", "why", "now", "which", "mine", "held"],
)
_RELEASE = statement(update(export).where(_OURS).values(until=0), ["which", "mine", "held"])
_LEAVE = statement(update(export).where(_OPEN, export.c.owner == bindparam("mine")).values(until=0), ["mine"])
_FORGET = statement(update(export).where(_OPEN).values(until=0))
_REMOVE = statement(delete(export).where(_ID), ["which"])
_NAMES = statement(select(export.c.id))
_OLD = statement(
    select(export.c.id).where(
        export.c.state.in_([DONE, FAILED]), export.c.ended > 0, export.c.ended <= bindparam("before")
    ),
    ["before"],
)
_BUSY = statement(
    select(func.count()).select_from(export).where(_OPEN, export.c.organisation == bindparam("whose")),
    ["whose"],
)


async def add(tx: Tx, row: Row) -> Row:
    """Put an export in the queue; it gets its transaction time, and how far the commit order has got.

    On PostgreSQL other transactions may be about to commit what they stored before now: the transaction time
    is the start of the oldest one, so that a later export `_since` then has what this one cannot see.
    """
    moment = tx.now
    if tx.postgres:
        moment -= max((await tx.rows(_AGE))[0][0] or 0, 0)
    sequence = (await tx.rows(_LAST))[0][0]
    made = msgspec.structs.replace(row, moment=moment, sequence=sequence, created=tx.now)
    await tx.run(_ADD, *msgspec.structs.astuple(made))
    return made


async def load(reader: Reader, which: str) -> Row | None:
    """One of them."""
    rows = await reader.rows(_LOAD, which)
    return _row(rows[0]) if rows else None


async def claim(tx: Tx, owner: str, seconds: float) -> Row | None:
    """The oldest one that nobody is at work on, now this owner's; None when there is none."""
    rows = await tx.rows(_FREE, tx.now)
    if not rows:
        return None
    found = _row(rows[0])
    await tx.run(_CLAIM, owner, tx.now + round(seconds * 1_000_000), found.id)
    return await load(tx, found.id)


async def keep(tx: Tx, row: Row, progress: bytes, seconds: float) -> bool:
    """Say how far a claimed one has come; False when it was cancelled or another process has it now."""
    until = tx.now + round(seconds * 1_000_000)
    return bool(await tx.run(_KEEP, progress, until, row.id, row.owner, row.fence))


async def end(tx: Tx, row: Row, state: int, progress: bytes, error: str = "") -> bool:
    """It is DONE or FAILED; False as in `keep`."""
    return bool(await tx.run(_END, state, progress, error, tx.now, row.id, row.owner, row.fence))


async def release(tx: Tx, row: Row) -> None:
    """Let anybody go on with it."""
    await tx.run(_RELEASE, row.id, row.owner, row.fence)


async def leave(tx: Tx, owner: str) -> None:
    """Let others go on at once with what this owner was at work on."""
    await tx.run(_LEAVE, owner)


async def forget_owners(tx: Tx) -> None:
    """Where one process owns the database, whoever was at work before it is gone."""
    await tx.run(_FORGET)


async def remove(tx: Tx, which: str) -> bool:
    """Cancel it, or forget it; False when it was not there."""
    return bool(await tx.run(_REMOVE, which))


async def names(reader: Reader) -> frozenset[str]:
    """The ids of all of them."""
    return frozenset(row[0] for row in await reader.rows(_NAMES))


async def old(reader: Reader, before: int) -> list[str]:
    """The ids of those that ended until then."""
    return [row[0] for row in await reader.rows(_OLD, before)]


async def busy(reader: Reader, organisation: str) -> int:
    """How many of an organisation's exports wait or run."""
    return int((await reader.rows(_BUSY, organisation))[0][0])


def _row(row: Sequence[Any]) -> Row:
    values = dict(zip([column.name for column in _ALL], row, strict=True))
    return Row(**(values | {name: bytes(values[name]) for name in ("asked", "progress")}))
