"""Where a page ends, and how the next one stays right while data changes.

A cursor carries the place of the last match and how far the store had got when the search began. What changed
since then stands where it stood at that moment, so that nothing which goes on matching is skipped or shown
twice; what is new since may be missing.
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
from hub.store.candidates import Found, Plan, held, matches
from hub.store.extracting import extracted
from hub.store.keys import unpack
from hub.store.names import CHANGE_NUMBER, type_number
from hub.store.parameters import Parameters
from hub.store.query import InvalidSearch, Query
from hub.store.statements import statement
from hub.store.tables import history, resource, type_history, version

MAX_MOVED = 500
"""Changes since a search began that later pages take into account; beyond it they show what is there now."""
SLACK = 60_000_000
"""Microseconds by which the clocks of several hubs may differ."""
_SHAPING = frozenset({"_count", "_total", "_summary", "_elements", "_include", "_revinclude", "_cursor"})

_LAST = statement(select(version.c.sequence, version.c.updated).order_by(version.c.sequence.desc()).limit(1))
_MOVED = statement(
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
    .limit(bindparam("limit")),
    ["type", "since", "sequence", "limit"],
)
_THEN = statement(
    select(version.c.sequence, version.c.updated, version.c.change, version.c.body)
    .select_from(history)
    .join(version, version.c.sequence == history.c.sequence)
    .where(
        history.c.pid == bindparam("pid"),
        history.c.version > 0,
        history.c.sequence <= bindparam("sequence"),
    )
    .order_by(history.c.version.desc())
    .limit(1),
    ["pid", "sequence"],
)


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """`search` stands for the criteria; `driver` is the number of the condition that drives; `place` is
    where the last match stood; `sequence` and `updated` (microseconds) say how far the store was then."""

    search: bytes
    driver: int
    place: tuple[Any, ...]
    sequence: int = 0
    updated: int = 0


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


async def now(reader: Reader) -> tuple[int, int]:
    """How far the store has got: the last place in commit order, and its time."""
    rows = await reader.rows(_LAST)
    return (rows[0][0], rows[0][1]) if rows else (0, 0)


async def moved(
    reader: Reader, plan: Plan, cursor: Cursor, known: Parameters
) -> list[tuple[Found, Row]] | None:
    """What changed since the start, matched then and matches now: as it is, and as it stood then (a Found
    whose body is the old one). None when too much changed."""
    since = cursor.updated - SLACK
    rows = await reader.rows(_MOVED, type_number(plan.type), since, cursor.sequence, MAX_MOVED + 1)
    if len(rows) > MAX_MOVED:
        return None
    found: list[tuple[Found, Row]] = []
    for row in rows:
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
