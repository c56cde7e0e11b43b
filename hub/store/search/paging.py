"""Where a page ends, and how the next one stays right while data changes.

A cursor carries the place of the last match and how far the store had got when the search began. What changed
since then stands where it stood at that moment, so that nothing which goes on matching is skipped or shown
twice; what is new since may be missing. On PostgreSQL a transaction may take its places in commit order and
end after others that took later ones: the cursor knows which had not ended, and theirs counts as changed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

import msgspec
from sqlalchemy import bindparam, select

from hub import r4
from hub.store.backend import Reader, Row
from hub.store.extracting import extracted
from hub.store.keys import unpack
from hub.store.names import CHANGE_NUMBER, type_number
from hub.store.parameters import Parameters
from hub.store.search.candidates import Found, Plan, held, matches
from hub.store.search.query import InvalidSearch, Query
from hub.store.statements import statement
from hub.store.tables import history, resource, type_history, version

MAX_MOVED = 500
"""Changes since a search began that later pages take into account; beyond it they show what is there now."""
SLACK = 60_000_000
"""Microseconds by which the clocks of several hubs may differ."""
_SHAPING = frozenset({"_count", "_total", "_summary", "_elements", "_include", "_revinclude", "_cursor"})

UNSETTLED = 10_000
"""On PostgreSQL, how many places back what was still being written may lie."""
_LAST = statement(
    select(version.c.sequence, version.c.updated).order_by(version.c.sequence.desc()).limit(1),
    postgres="""
SELECT sequence, updated, pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
       ARRAY(SELECT one::text::bigint FROM pg_snapshot_xip(pg_current_snapshot()) one)
FROM version ORDER BY sequence DESC LIMIT 1""",
)
_moved = (
    select(resource.c.pid, resource.c.id, resource.c["keys"], resource.c.updated, resource.c.sequence)
    .select_from(type_history)
    .join(resource, resource.c.pid == type_history.c.pid)
    .join(version, version.c.sequence == type_history.c.sequence)
    .where(
        type_history.c.type == bindparam("type"),
        type_history.c.updated >= bindparam("since"),
        type_history.c.sequence > bindparam("sequence"),
        type_history.c.sequence == resource.c.sequence,
        version.c.version > 1,
        version.c.change != CHANGE_NUMBER["deleted"],
    )
    .limit(bindparam("limit"))
)
_MOVED = statement(_moved, ["type", "since", "sequence", "limit"])
_MOVED_UNSETTLED = statement(
    _moved,
    postgres=_MOVED.postgres.replace(
        "type_history.sequence > $3::BIGINT",
        "type_history.sequence > $3::BIGINT - $5::BIGINT AND (type_history.sequence > $3::BIGINT"
        " OR version.xid >= $6::BIGINT OR version.xid = ANY($7::bigint[]))",
    ),
)
_then = (
    select(version.c.sequence, version.c.updated, version.c.change, version.c.body)
    .select_from(history)
    .join(version, version.c.sequence == history.c.sequence)
    .where(
        history.c.pid == bindparam("pid"),
        history.c.version > 0,
        history.c.sequence <= bindparam("sequence"),
    )
    .order_by(history.c.version.desc())
    .limit(1)
)
_THEN = statement(_then, ["pid", "sequence"])
_THEN_SETTLED = statement(
    _then,
    postgres=_THEN.postgres.replace(
        " ORDER BY", " AND version.xid < $3::BIGINT AND version.xid <> ALL($4::bigint[]) ORDER BY"
    ),
)


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """`search` stands for the criteria; `driver` is the number of the condition that drives; `place` is
    where the last match stood. How far the store was at the first page: `sequence` and `updated`
    (microseconds) of the last version, and on PostgreSQL the transactions that had not ended: from
    `unsettled[0]` on, and the others in it."""

    search: bytes
    driver: int
    place: tuple[Any, ...]
    sequence: int = 0
    updated: int = 0
    unsettled: tuple[int, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Cursor)


def identity(query: Query) -> bytes:
    """What tells searches apart: type and criteria, not the shape of their result."""
    parts = [query.type, *(f"{n}={v}" for n, v in query.used if n.partition(":")[0] not in _SHAPING)]
    return hashlib.blake2b("&".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def written(cursor: Cursor) -> str:
    """A cursor as text for a link."""
    return base64.urlsafe_b64encode(_encode(cursor)).rstrip(b"=").decode()


def read(query: Query) -> Cursor | None:
    """The cursor of a query. Raises InvalidSearch for one of another search, or of none."""
    if not query.cursor:
        return None
    try:
        found = _decoder.decode(base64.urlsafe_b64decode(query.cursor + "=" * (-len(query.cursor) % 4)))
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise InvalidSearch("_cursor: it is not one this hub gave") from None
    if found.search != identity(query):
        raise InvalidSearch("_cursor: it belongs to another search")
    return msgspec.structs.replace(found, place=tuples(found.place))


def tuples(value: Any) -> Any:
    return tuple(map(tuples, value)) if isinstance(value, list | tuple) else value


Start = tuple[int, int, tuple[int, ...]]
"""The last three members of a Cursor."""


async def now(reader: Reader) -> Start:
    """How far the store has got."""
    rows = await reader.rows(_LAST)
    if not rows:
        return 0, 0, ()
    sequence, updated, *open_ = rows[0]
    return sequence, updated, (open_[0], *open_[1]) if open_ else ()


async def moved(
    reader: Reader, plan: Plan, cursor: Cursor, known: Parameters
) -> list[tuple[Found, Row]] | None:
    """What changed since the start, matched then and matches now: as it is, and as it stood then (a Found
    whose body is the old one). None when too much changed. The plan passes over all that changed."""
    first = (type_number(plan.type), cursor.updated - SLACK, cursor.sequence, MAX_MOVED + 1)
    horizon, *running = cursor.unsettled or (0,)
    if cursor.unsettled:
        rows = await reader.rows(_MOVED_UNSETTLED, *first, UNSETTLED, horizon, running)
    else:
        rows = await reader.rows(_MOVED, *first)
    if len(rows) > MAX_MOVED:
        return None
    plan.apart = frozenset(row[0] for row in rows)
    found: list[tuple[Found, Row]] = []
    for row in rows:
        if cursor.unsettled:
            then = await reader.rows(_THEN_SETTLED, row[0], cursor.sequence, horizon, running)
        else:
            then = await reader.rows(_THEN, row[0], cursor.sequence)
        if then and then[0][2] != CHANGE_NUMBER["deleted"]:
            found.append((Found((), *row), then[0]))
    return await _matching(reader, plan, found, known)


async def _matching(
    reader: Reader, plan: Plan, changed: list[tuple[Found, Row]], known: Parameters
) -> list[tuple[Found, Row]]:
    """Those that matched then and match now; the second of each becomes the old Found as a row."""
    both: list[tuple[Found, Row]] = []
    for one, (sequence, updated, _, body) in changed:
        resource = r4.load(bytes(body), plan.type)
        rows = extracted(resource, bytes(body), known.indexed(plan.type), reader)
        before = Found((), one.pid, one.id, b"", updated, sequence, 0, bytes(body))
        if matches(plan, before, rows) and matches(plan, one, unpack(one.keys)):
            both.append((one, (before, rows)))
    kept = await held(reader, plan, [(one, unpack(one.keys)) for one, _ in both])
    return [(one, pair) for one, pair in both if one in kept]
