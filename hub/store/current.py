"""What is stored now under the names a unit is about to write, looked up and held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, func, select

from hub.store.backend import Row, Tx
from hub.store.keys import NONE, Packed, unpack
from hub.store.locking import identifier_keys
from hub.store.memory import Head
from hub.store.names import name_key, type_number
from hub.store.parameters import R4, Parameters
from hub.store.posted import as_of
from hub.store.statements import statement
from hub.store.subscriptions import SUBSCRIPTIONS
from hub.store.tables import head, resource, search_generation, version

if TYPE_CHECKING:
    from hub.store.resources import Draft


class Current(msgspec.Struct):
    """The state before the write, and the numbers set aside for it.

    `rows` are the index rows that exist; `xid` is the PostgreSQL transaction (0 on SQLite); `known` are the
    search parameters it is to be indexed by.
    """

    head: Head | None
    pid: int
    sequence: int
    rows: Packed = NONE
    xid: int = 0
    known: Parameters = R4


_STATE = [
    head.c.pid, head.c.version, head.c.sequence, head.c.updated, head.c.deleted, head.c.owner,
    head.c.event_time, head.c.content,
]  # fmt: skip
_HEAD = statement(
    select(*_STATE).where(head.c.type == bindparam("type"), head.c.id == bindparam("id")), ["type", "id"]
)
_KEYS = statement(select(resource.c["keys"]).where(resource.c.pid == bindparam("pid")))
_LAST = statement(
    select(
        select(func.coalesce(func.max(resource.c.pid), 0)).scalar_subquery(),
        select(func.coalesce(func.max(version.c.sequence), 0)).scalar_subquery(),
        select(func.coalesce(func.max(search_generation.c.value), 0)).scalar_subquery(),
    )
)
_LOOK = statement(
    select(head), postgres="SELECT * FROM look($1::bigint[], $2::boolean, $3::smallint[], $4::text[])"
)
"""Locks, then looks by a snapshot of its own (migration 0007)."""


Wanted = tuple[str, str, bytes]
"""Type, id, and the content that would be no change."""


async def look(tx: Tx, drafts: Sequence[Draft]) -> list[Current]:
    """The current state for each draft, in their order; what will change is locked until the commit."""
    wanted = [(one.type, one.id, one.content) for one in drafts]
    if not tx.postgres:
        return await _look_sqlite(tx, wanted)
    spared = {one for one in wanted if _same(tx.memory.get(one[:2]), one[2])}
    keys = _keys([one for one, name in zip(drafts, wanted, strict=True) if name not in spared])
    found = await _look_postgres(tx, wanted, keys)
    changed = [i for i, name in enumerate(wanted) if name in spared and not _same(found[i].head, name[2])]
    if changed:
        again = await _look_postgres(tx, [wanted[i] for i in changed], _keys([drafts[i] for i in changed]))
        for i, current in zip(changed, again, strict=True):
            found[i] = current
    return found


async def look_locked(tx: Tx, type_name: str, id: str) -> Current:
    """The current state of one resource, locked until the commit."""
    wanted = [(type_name, id, b"")]
    if not tx.postgres:
        return (await _look_sqlite(tx, wanted))[0]
    return (await _look_postgres(tx, wanted, {name_key(type_name, id)}))[0]


def _same(known: Head | None, content: bytes) -> bool:
    return known is not None and not known.deleted and known.content == content


def _keys(drafts: Sequence[Draft]) -> set[int]:
    """The names and every identifier of these drafts, held so that conditional writers see each other."""
    keys: set[int] = set()
    for one in drafts:
        keys.add(name_key(one.type, one.id))
        keys |= identifier_keys(one.body)
    return keys


async def _look_sqlite(tx: Tx, wanted: Sequence[Wanted]) -> list[Current]:
    """Numbers follow the last ones used: this process is the only one that writes."""
    found = []
    pid = sequence = 0
    indexed = tx.known
    for type_name, id, content in wanted:
        known = tx.memory.get((type_name, id))
        if known is None:
            rows = await tx.rows(_HEAD, type_number(type_name), id)
            if rows:
                known = _head(rows[0])
                tx.memory.keep((type_name, id), known)
        if known is not None and _same(known, content):
            found.append(Current(known, known.pid, known.sequence))
            continue
        if not sequence:
            pid, sequence, seen = (await tx.rows(_LAST))[0]
            indexed = await as_of(tx, seen)
        sequence += 1
        if known is None:
            pid += 1
            found.append(Current(None, pid, sequence, known=indexed))
        else:
            keys = await tx.rows(_KEYS, known.pid)
            found.append(Current(known, known.pid, sequence, unpack(keys[0][0]), known=indexed))
    return found


async def _look_postgres(tx: Tx, wanted: Sequence[Wanted], keys: set[int]) -> list[Current]:
    if not wanted:
        return []
    types = [type_number(type_name) for type_name, _, _ in wanted]
    rows = await tx.locked_rows(_LOOK, keys, types, [id for _, id, _ in wanted])
    indexed = await as_of(tx, rows[0][12])
    tx.until_commit[SUBSCRIPTIONS] = rows[0][13]
    found = []
    for (type_name, id, _), row in zip(wanted, rows, strict=True):
        known = _head(row) if row[0] is not None else None
        if known is not None:
            tx.memory.keep((type_name, id), known)
        rows_then = unpack(row[8]) if row[8] is not None else NONE
        pid = known.pid if known else row[10]
        found.append(Current(known, pid, row[9], rows_then, row[11], indexed))
    return found


def _head(row: Row) -> Head:
    pid, number, sequence, updated, deleted, owner, event_time, content = row[:8]
    return Head(pid, number, sequence, updated, bool(deleted), owner, event_time, bytes(content))
