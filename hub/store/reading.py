"""Reading resources by name, by version and by time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, select, tuple_

from hub.store.backend import Reader, Row
from hub.store.names import ASSIGNED, CHANGES, TYPE_NAME, Change, type_number
from hub.store.statements import Statement, statement
from hub.store.tables import head, resource, type_history
from hub.store.tables import history as past
from hub.store.tables import version as versions

MAX = 2**62


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One stored version. `body` is empty where it is a deletion; times are microseconds.

    `sequence` is its place in commit order; `version` 0 is a superseded one. `assigned` marks what was
    created under an id of the server's.
    """

    type: str
    id: str
    pid: int
    version: int
    updated: int
    change: Change
    message: int
    event_time: int
    sequence: int
    body: bytes
    assigned: bool = False

    @property
    def deleted(self) -> bool:
        """Whether this version is a deletion."""
        return self.change == "deleted"


FIELDS = [
    versions.c.type, versions.c.pid, versions.c.version, versions.c.updated, versions.c.change,
    versions.c.message, versions.c.event_time, versions.c.sequence, versions.c.body,
]  # fmt: skip


def stored_of(row: Row) -> Stored:
    """A row of a name and FIELDS."""
    id, number, pid, version_, updated, change, message, event_time, sequence, body = row
    return Stored(
        type=TYPE_NAME[number],
        id=id,
        pid=pid,
        version=version_,
        updated=updated,
        change="created" if change == ASSIGNED else CHANGES[change],
        assigned=change == ASSIGNED,
        message=message,
        event_time=event_time,
        sequence=sequence,
        body=bytes(body),
    )


_NAMED = (head.c.type == bindparam("type")) & (head.c.id == bindparam("id"))
_GET = statement(
    select(head.c.id, *FIELDS).join(versions, versions.c.sequence == head.c.sequence).where(_NAMED),
    ["type", "id"],
)
_PAST = (
    select(head.c.id, *FIELDS)
    .join(past, past.c.pid == head.c.pid)
    .join(versions, versions.c.sequence == past.c.sequence)
    .where(_NAMED)
)
_VERSION = statement(_PAST.where(past.c.version == bindparam("version")), ["type", "id", "version"])
_SUPERSEDED = statement(_PAST.where(past.c.version == 0).order_by(past.c.sequence), ["type", "id"])
_WITHIN = (versions.c.updated >= bindparam("since")) & (versions.c.sequence < bindparam("before"))
_INSTANCE = statement(
    _PAST.where(past.c.version > 0, _WITHIN).order_by(past.c.version.desc()).limit(bindparam("count")),
    ["type", "id", "since", "before", "count"],
)


_OF_TYPE = statement(
    select(resource.c.id, *FIELDS)
    .select_from(type_history)
    .join(versions, versions.c.sequence == type_history.c.sequence)
    .join(resource, resource.c.pid == type_history.c.pid)
    .where(
        type_history.c.type == bindparam("type"),
        type_history.c.updated >= bindparam("since"),
        tuple_(type_history.c.updated, type_history.c.sequence)
        < tuple_(bindparam("until"), bindparam("before")),
    )
    .order_by(type_history.c.updated.desc(), type_history.c.sequence.desc())
    .limit(bindparam("count")),
    ["type", "since", "until", "before", "count"],
)
_WHEN = statement(select(versions.c.updated).where(versions.c.sequence == bindparam("sequence")))
_OF_ALL = statement(
    select(resource.c.id, *FIELDS)
    .join(resource, resource.c.pid == versions.c.pid)
    .where(versions.c.version > 0, _WITHIN)
    .order_by(versions.c.sequence.desc())
    .limit(bindparam("count")),
    ["since", "before", "count"],
)


async def get(reader: Reader, type: str, id: str) -> Stored | None:
    """The current version, which may be a deletion (`deleted`); None when the name was never used."""
    return await _first(reader, _GET, type_number(type), id)


_OWNER = statement(select(head.c.owner).where(_NAMED), ["type", "id"])


async def owner(reader: Reader, type: str, id: str) -> str:
    """Who wrote a resource first (the deleted ones too); empty where there is none."""
    rows = await reader.rows(_OWNER, type_number(type), id)
    return rows[0][0] if rows else ""


_GET_MANY = statement(
    select(head.c.id, *FIELDS),
    postgres=_GET.postgres.partition("WHERE")[0]
    + "JOIN unnest($1::smallint[], $2::text[]) u(type, id) ON u.type = head.type AND u.id = head.id",
)


async def get_many(reader: Reader, names: Sequence[tuple[str, str]]) -> list[Stored]:
    """The current versions of those (type, id) that exist, deletions among them; in no order."""
    if not names:
        return []
    if reader.postgres:
        types, ids = [type_number(name[0]) for name in names], [name[1] for name in names]
        return [stored_of(row) for row in await reader.rows(_GET_MANY, types, ids)]
    found = [await get(reader, *name) for name in names]
    return [one for one in found if one is not None]


async def version(reader: Reader, type: str, id: str, number: int) -> Stored | None:
    """One version by its number, or None."""
    current = await get(reader, type, id)
    if current is None or current.version == number:
        return current
    if number < 1 or number > current.version:
        return None
    return await _first(reader, _VERSION, type_number(type), id, number)


async def superseded(reader: Reader, type: str, id: str) -> list[Stored]:
    """What was kept of older events that came late, in the order they came."""
    return [stored_of(row) for row in await reader.rows(_SUPERSEDED, type_number(type), id)]


async def history(
    reader: Reader,
    type: str | None = None,
    id: str | None = None,
    *,
    since: int = 0,
    before: int = MAX,
    count: int = 100,
) -> list[Stored]:
    """Versions of one resource, of a type, or of everything, the newest first.

    since   not older than this (microseconds)
    before  only those with a smaller `sequence`: the last one of the page before
    """
    if type is None:
        rows: Sequence[Row] = await reader.rows(_OF_ALL, since, before, count)
    elif id is None:
        until = await moment(reader, before)
        rows = await reader.rows(_OF_TYPE, type_number(type), since, until, before, count)
    else:
        return await _of_instance(reader, type, id, since, before, count)
    return [stored_of(row) for row in rows]


async def moment(reader: Reader, sequence: int) -> int:
    """When the version with this `sequence` was stored; MAX where there is none."""
    last = await reader.rows(_WHEN, sequence) if sequence != MAX else []
    return int(last[0][0]) if last else MAX


async def _of_instance(
    reader: Reader, type: str, id: str, since: int, before: int, count: int
) -> list[Stored]:
    current = await get(reader, type, id)
    if current is None:
        return []
    found = [current] if current.updated >= since and current.sequence < before else []
    left = count - len(found)
    if left > 0:
        found += [
            stored_of(row) for row in await reader.rows(_INSTANCE, type_number(type), id, since, before, left)
        ]
    return found[:count]


async def _first(reader: Reader, asked: Statement, *args: object) -> Stored | None:
    rows = await reader.rows(asked, *args)
    return stored_of(rows[0]) if rows else None
