"""The resources of a type as they were at a place in commit order, by id: what an export reads.

What changed since then is looked up among the versions that are no longer current, so that everything
belongs to one moment however long the reading takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import lru_cache

import msgspec
from sqlalchemy import bindparam, func, select

from hub import r4
from hub.store.backend import Reader
from hub.store.extracting import extracted
from hub.store.keys import pack
from hub.store.names import CHANGE_NUMBER, type_number
from hub.store.parameters import Parameters
from hub.store.search.candidates import Found
from hub.store.search.drivers import padded
from hub.store.statements import Statement, statement
from hub.store.tables import head, history, resource, version

_DELETED = CHANGE_NUMBER["deleted"]

_PAGE = statement(
    select(
        head.c.id, head.c.pid, head.c.sequence, head.c.updated, head.c.deleted, resource.c["keys"]
    )
    .select_from(head.outerjoin(resource, resource.c.pid == head.c.pid))
    .where(head.c.type == bindparam("type"), head.c.id > bindparam("after"))
    .order_by(head.c.id)
    .limit(bindparam("count")),
    ["type", "after", "count"],
)  # fmt: skip
_THEN = statement(
    select(version.c.sequence, version.c.updated, version.c.change)
    .select_from(history.join(version, version.c.sequence == history.c.sequence))
    .where(
        history.c.pid == bindparam("pid"),
        history.c.version > 0,
        history.c.sequence <= bindparam("sequence"),
        version.c.change != bindparam("but"),
    )
    .order_by(history.c.version.desc())
    .limit(1),
    ["pid", "sequence", "but"],
)
_NO_CHANGE = -1


class Then(msgspec.Struct):
    """A resource as it was (where it was `deleted`, as it was before) and when it became so.

    The keys of `found` are empty where they are not those of now; `keyed` makes them of the body.
    """

    found: Found
    updated: int
    deleted: bool = False


async def page(
    reader: Reader, type_name: str, after: str, sequence: int, count: int
) -> tuple[list[Then], str]:
    """Of the next `count` names of a type those that were there or deleted at a place in commit order,
    and the last name (empty: there are no more). Bodies are not fetched."""
    rows = await reader.rows(_PAGE, type_number(type_name), after, count)
    found: list[Then] = []
    for id, pid, at, updated, deleted, keys in rows:
        change: int | None = _DELETED if deleted else _NO_CHANGE
        if at > sequence:
            then = await reader.rows(_THEN, pid, sequence, _NO_CHANGE)
            at, updated, change = then[0] if then else (0, 0, None)
            keys = b""
        if change == _DELETED:
            before = await reader.rows(_THEN, pid, at, _DELETED)
            if before:
                found.append(Then(Found((), pid, id, b"", before[0][1], before[0][0]), updated, True))
        elif change is not None:
            found.append(Then(Found((), pid, id, bytes(keys), updated, at), updated))
    return found, rows[-1][0] if len(rows) == count else ""


@lru_cache(16)
def _lengths(count: int) -> Statement:
    names = [f"s{number}" for number in range(count)]
    wanted = version.c.sequence.in_([bindparam(name) for name in names])
    return statement(select(version.c.sequence, func.length(version.c.body)).where(wanted), names)


async def parts(reader: Reader, some: Sequence[Then], *, count: int, size: int) -> AsyncIterator[list[Then]]:
    """At most `count` at a time, whose bodies have `size` bytes together as they lie (or one longer one)."""
    for start in range(0, len(some), count):
        these = some[start : start + count]
        sequences = padded([one.found.sequence for one in these])
        lengths: dict[int, int] = dict(await reader.rows(_lengths(len(sequences)), *sequences))
        part: list[Then] = []
        room = size
        for one in these:
            room -= lengths[one.found.sequence]
            if part and room < 0:
                yield part
                part, room = [], size - lengths[one.found.sequence]
            part.append(one)
        yield part


def keyed(found: Sequence[Found], type_name: str, known: Parameters, reader: Reader) -> None:
    """Give those without keys the ones their bodies call for; the bodies must be there."""
    for one in found:
        if not one.keys:
            rows = extracted(r4.load(one.body, type_name), one.body, known.indexed(type_name), reader)
            one.keys = pack(rows)
