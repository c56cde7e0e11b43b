"""The hot writes: everything a unit changes about resources, in as few statements as each database allows.

SQLite takes one `executemany` per table; PostgreSQL one statement for all tables, fed by arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Table, and_, bindparam, delete, func, update
from sqlalchemy.dialects.sqlite import insert as upsert

from hub.store.backend import Tx
from hub.store.keys import Rows
from hub.store.shrinking import shrunk
from hub.store.statements import Statement, insert_into, statement
from hub.store.tables import (
    head,
    history,
    index_composite,
    index_equal,
    index_range,
    index_text,
    resource,
    type_history,
    version,
)

_INDEXES = (index_equal, index_text, index_range, index_composite)
Line = tuple[Any, ...]


class Batch(msgspec.Struct):
    """Rows to write, each in the order of its table's columns; `events` are (event time, type, id)."""

    heads: list[Line] = msgspec.field(default_factory=list)
    resources: list[Line] = msgspec.field(default_factory=list)
    versions: list[Line] = msgspec.field(default_factory=list)
    histories: list[Line] = msgspec.field(default_factory=list)
    types: list[Line] = msgspec.field(default_factory=list)
    added: Rows = msgspec.field(default_factory=Rows)
    removed: Rows = msgspec.field(default_factory=Rows)
    events: list[Line] = msgspec.field(default_factory=list)


def _replace(table: Table) -> Statement:
    """INSERT, or overwrite the row of the same primary key."""
    names = [column.name for column in table.columns]
    keys = {column.name for column in table.primary_key}
    made = upsert(table).values({name: bindparam(name) for name in names})
    return statement(
        made.on_conflict_do_update(
            index_elements=sorted(keys), set_={n: made.excluded[n] for n in names if n not in keys}
        ),
        names,
    )


def _remove(table: Table) -> Statement:
    names = [column.name for column in table.columns]
    return statement(delete(table).where(and_(*(table.c[n] == bindparam(n) for n in names))), names)


_HEAD = _replace(head)
_RESOURCE = _replace(resource)
_VERSION = insert_into(version)
_HISTORY = insert_into(history)
_TYPE = insert_into(type_history)
_ADD = [insert_into(table) for table in _INDEXES]
_DROP = [_remove(table) for table in _INDEXES]
_EVENT = statement(
    update(head)
    .where(head.c.type == bindparam("t"), head.c.id == bindparam("i"), head.c.event_time < bindparam("e"))
    .values(event_time=bindparam("e")),
    ["e", "t", "i"],
)


async def apply(tx: Tx, batch: Batch) -> None:
    """Write it all."""
    if tx.postgres:
        await _apply_postgres(tx, batch)
    else:
        await _apply_sqlite(tx, batch)


async def apply_index(tx: Tx, batch: Batch) -> None:
    """Remove and add index rows only."""
    for statement_, rows in zip(_DROP, _lists(batch.removed), strict=True):
        await tx.run_many(statement_, rows)
    for statement_, rows in zip(_ADD, _lists(batch.added), strict=True):
        await tx.run_many(statement_, sorted(rows))


async def _apply_sqlite(tx: Tx, batch: Batch) -> None:
    await tx.run_many(_EVENT, batch.events)
    if not batch.versions:
        return
    await tx.run_many(_VERSION, batch.versions)
    await tx.run_many(_HEAD, batch.heads)
    await tx.run_many(_RESOURCE, batch.resources)
    await tx.run_many(_HISTORY, batch.histories)
    await tx.run_many(_TYPE, batch.types)
    await apply_index(tx, batch)


def _lists(rows: Rows) -> tuple[list[Any], ...]:
    return (rows.equal, rows.text, rows.ranges, rows.composites)


_PG_TYPE = {"SMALLINT": "smallint", "TEXT": "text", "BLOB": "bytea", "BOOLEAN": "boolean"}


def _arrays(table: Table, first: int) -> tuple[str, int]:
    """`unnest($4::bigint[], ...)` for a table's columns, and the next free number."""
    casts = []
    for number, column in enumerate(table.columns, first):
        kind = str(column.type.compile()).upper()
        casts.append(f"${number}::{_postgres_type(kind)}[]")
    return f"unnest({', '.join(casts)})", first + len(table.columns)


def _postgres_type(kind: str) -> str:
    if kind in ("DOUBLE", "DOUBLE PRECISION", "FLOAT"):
        return "double precision"
    return _PG_TYPE.get(kind, "bigint")


def _insert_text(table: Table, source: str, conflict: str = "") -> str:
    names = ", ".join(column.name for column in table.columns)
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM {source}{conflict}"


def _overwrite(table: Table) -> str:
    keys = [column.name for column in table.primary_key]
    sets = [
        "event_time = greatest(head.event_time, excluded.event_time)"
        if column.name == "event_time"
        else f"{column.name} = excluded.{column.name}"
        for column in table.columns
        if column.name not in keys
    ]
    return f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(sets)}"


def _delete_text(table: Table, source: str) -> str:
    names = [column.name for column in table.columns]
    same = " AND ".join(f"{table.name}.{name} = u.{name}" for name in names)
    return f"DELETE FROM {table.name} USING {source} u({', '.join(names)}) WHERE {same}"


@lru_cache(256)
def _writing(removed: tuple[Table, ...], added: tuple[Table, ...]) -> Statement:
    """One statement that takes rows from these index tables and fills these tables, all from arrays.

    The two never speak of the same row. Tables without rows are left out: each costs the server some 20 µs.
    """
    number, parts = 1, []
    for table in removed:
        source, number = _arrays(table, number)
        parts.append(f"d_{table.name} AS ({_delete_text(table, source)})")
    for table in added:
        source, number = _arrays(table, number)
        conflict = _overwrite(table) if table in (head, resource) else ""
        parts.append(f"w_{table.name} AS ({_insert_text(table, source, conflict)})")
    source, number = _arrays(version, number)
    return statement(func.now(), postgres=f"WITH {', '.join(parts)} {_insert_text(version, source)}")


_EVENTS = """UPDATE head SET event_time = u.event_time
FROM unnest($1::bigint[], $2::smallint[], $3::text[]) u(event_time, type, id)
WHERE (head.type, head.id) IN (
  SELECT h.type, h.id FROM head h JOIN unnest($2::smallint[], $3::text[]) n(type, id) USING (type, id)
  FOR UPDATE OF h SKIP LOCKED)
AND head.type = u.type AND head.id = u.id AND head.event_time < u.event_time"""
"""The newest event of an unchanged resource; whoever holds the row is writing a newer state anyway."""

_PG_EVENTS = statement(func.now(), postgres=_EVENTS)


async def _apply_postgres(tx: Tx, batch: Batch) -> None:
    if batch.versions:
        removed = _filled(_INDEXES, _lists(batch.removed))
        rows = (batch.heads, batch.resources, batch.histories, batch.types, *_lists(batch.added))
        added = _filled((head, resource, history, type_history, *_INDEXES), rows)
        made = _writing(tuple(table for table, _ in removed), tuple(table for table, _ in added))
        bodies = [(*line[:-1], shrunk(line[-1])) for line in batch.versions]
        await tx.run(made, *_columns([*removed, *added, (version, bodies)]))
    if batch.events:
        await tx.run(_PG_EVENTS, *map(list, zip(*batch.events, strict=True)))


def _filled(tables: Sequence[Table], rows: Iterable[Sequence[Line]]) -> list[tuple[Table, Sequence[Line]]]:
    """The tables that have rows."""
    return [(table, lines) for table, lines in zip(tables, rows, strict=True) if lines]


def _columns(filled: Iterable[tuple[Table, Sequence[Line]]]) -> list[list[Any]]:
    """Rows turned into one array per column."""
    return [list(column) for _, lines in filled for column in zip(*lines, strict=True)]
