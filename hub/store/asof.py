"""The resources of a type as they were at a place in commit order, by id: what an export reads.

What changed since then is looked up among the versions that are no longer current, so that everything
belongs to one moment however long the reading takes.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, func, select

from hub import r4
from hub.store.backend import Reader
from hub.store.candidates import Found
from hub.store.extracting import extracted
from hub.store.keys import pack
from hub.store.names import CHANGE_NUMBER, type_number
from hub.store.parameters import Parameters
from hub.store.statements import statement
from hub.store.tables import head, history, resource, version

_DELETED = CHANGE_NUMBER["deleted"]

_PAGE = statement(
    select(
        head.c.id, head.c.pid, head.c.sequence, head.c.updated, head.c.deleted, resource.c["keys"],
        func.length(version.c.body),
    )
    .select_from(
        head.join(version, version.c.sequence == head.c.sequence).outerjoin(
            resource, resource.c.pid == head.c.pid
        )
    )
    .where(head.c.type == bindparam("type"), head.c.id > bindparam("after"))
    .order_by(head.c.id)
    .limit(bindparam("count")),
    ["type", "after", "count"],
)  # fmt: skip
_THEN = statement(
    select(version.c.sequence, version.c.updated, version.c.change, func.length(version.c.body))
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
    """A resource as it was; what it was before, where it was `deleted`. `size` is its body's as it lies.

    The keys of `found` are empty where they are not those of now; `keyed` makes them of the body.
    """

    found: Found
    size: int
    deleted: bool = False
    updated: int = 0


async def page(
    reader: Reader, type_name: str, after: str, sequence: int, count: int
) -> tuple[list[Then], str]:
    """Of the next `count` names of a type those that were there or deleted at a place in commit order,
    and the last name (empty: there are no more). Bodies are not fetched."""
    rows = await reader.rows(_PAGE, type_number(type_name), after, count)
    found: list[Then] = []
    for id, pid, at, updated, deleted, keys, size in rows:
        change: int | None = _DELETED if deleted else _NO_CHANGE
        if at > sequence:
            then = await reader.rows(_THEN, pid, sequence, _NO_CHANGE)
            at, updated, change, size = then[0] if then else (0, 0, None, 0)
            keys = b""
        if change is None:
            continue
        if change == _DELETED:
            before = await reader.rows(_THEN, pid, at, _DELETED)
            if before:
                last = Found((), pid, id, b"", before[0][1], before[0][0])
                found.append(Then(last, before[0][3], deleted=True, updated=updated))
            continue
        found.append(Then(Found((), pid, id, bytes(keys), updated, at), size, updated=updated))
    return found, rows[-1][0] if len(rows) == count else ""


def keyed(found: Sequence[Found], type_name: str, known: Parameters, reader: Reader) -> None:
    """Give those without keys the ones their bodies call for; the bodies must be there."""
    for one in found:
        if not one.keys:
            rows = extracted(r4.load(one.body, type_name), one.body, known.indexed(type_name), reader)
            one.keys = pack(rows)
