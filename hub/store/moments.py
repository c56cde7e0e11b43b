"""Versions that were current at some time of a period (http://hl7.org/fhir/R4/http.html#history, `_at`).

A version is current from its `updated` until that of the next one. A deletion counts only where it happened
inside the period.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, case, func, or_, select, tuple_

from hub.store import reading
from hub.store.backend import Reader
from hub.store.names import CHANGE_NUMBER, type_number
from hub.store.reading import FIELDS, MAX, Stored, stored_of
from hub.store.statements import Statement, statement
from hub.store.tables import history, resource, type_history, version

_PAGE = 500


class Period(msgspec.Struct, frozen=True):
    """The first and the last microsecond, both included."""

    low: int
    high: int


_next = history.alias("following")
_after = version.alias("successor")
_replaced = func.coalesce(
    _after.c.updated, case((resource.c.sequence > version.c.sequence, resource.c.updated))
)
_during = and_(
    version.c.version > 0,
    version.c.updated >= bindparam("since"),
    version.c.updated <= bindparam("high"),
    or_(_replaced.is_(None), _replaced > bindparam("low")),
    or_(version.c.change != CHANGE_NUMBER["deleted"], version.c.updated >= bindparam("low")),
)


def _joined(source: Any) -> Any:
    return (
        source.join(resource, resource.c.pid == version.c.pid)
        .outerjoin(_next, and_(_next.c.pid == version.c.pid, _next.c.version == version.c.version + 1))
        .outerjoin(_after, _after.c.sequence == _next.c.sequence)
    )


_OF_ALL: Statement = statement(
    select(resource.c.id, *FIELDS)
    .select_from(_joined(version))
    .where(_during, version.c.sequence < bindparam("before"))
    .order_by(version.c.sequence.desc())
    .limit(bindparam("count")),
    ["since", "high", "low", "before", "count"],
)
_OF_TYPE: Statement = statement(
    select(resource.c.id, *FIELDS)
    .select_from(_joined(type_history.join(version, version.c.sequence == type_history.c.sequence)))
    .where(
        type_history.c.type == bindparam("type"),
        _during,
        tuple_(type_history.c.updated, type_history.c.sequence)
        < tuple_(bindparam("until"), bindparam("before")),
    )
    .order_by(type_history.c.updated.desc(), type_history.c.sequence.desc())
    .limit(bindparam("count")),
    ["since", "high", "low", "type", "until", "before", "count"],
)


async def current_during(
    reader: Reader,
    type: str | None,
    id: str | None,
    period: Period,
    *,
    since: int = 0,
    before: int = MAX,
    count: int = 100,
) -> list[Stored]:
    """Versions of one resource, of a type, or of everything that were current in a period, newest first.

    `since` and `before` are those of `reading.history`.
    """
    if type is None:
        rows = await reader.rows(_OF_ALL, since, period.high, period.low, before, count)
    elif id is None:
        until = await reading.moment(reader, before)
        rows = await reader.rows(
            _OF_TYPE, since, period.high, period.low, type_number(type), until, before, count
        )
    else:
        return await _of_instance(reader, type, id, period, since, before, count)
    return [stored_of(row) for row in rows]


async def _of_instance(
    reader: Reader, type: str, id: str, period: Period, since: int, before: int, count: int
) -> list[Stored]:
    """Walk back from the newest version; the one before is current until then."""
    found: list[Stored] = []
    replaced, place = MAX, MAX
    while True:
        page = await reading.history(reader, type, id, before=place, count=_PAGE)
        for one in page:
            if replaced <= period.low or one.updated < since or len(found) == count:
                return found
            if one.sequence < before and _inside(one, period):
                found.append(one)
            replaced = one.updated
        if len(page) < _PAGE:
            return found
        place = page[-1].sequence


def _inside(one: Stored, period: Period) -> bool:
    return one.updated <= period.high and not (one.deleted and one.updated < period.low)
