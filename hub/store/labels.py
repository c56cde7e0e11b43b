"""Which labels are in use: one resource for each profile, tag and security label of a type.

The index holds hashes only, so each distinct one is looked up by hops through its clustered order, and the
label itself is read from a body (http://hl7.org/fhir/R4/resource-operation-meta.html).
"""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, select

from hub.store.backend import Reader
from hub.store.parameters import Parameters
from hub.store.statements import statement
from hub.store.tables import index_equal, resource, version

CODES = ("_profile", "_tag", "_security")
MOST = 10_000
"""Distinct hashes looked at for one parameter of a type."""

_LOWEST = -(2**63)
_NEXT = statement(
    select(index_equal.c.hash, index_equal.c.pid)
    .where(index_equal.c.param == bindparam("param"), index_equal.c.hash > bindparam("after"))
    .order_by(index_equal.c.hash, index_equal.c.date, index_equal.c.pid)
    .limit(1),
    ["param", "after"],
)
_BODY = statement(
    select(version.c.body)
    .join(resource, resource.c.sequence == version.c.sequence)
    .where(resource.c.pid == bindparam("pid"))
)


class _Labelled(msgspec.Struct):
    meta: msgspec.Raw = msgspec.Raw(b"{}")


_labelled = msgspec.json.Decoder(_Labelled).decode


async def metas(reader: Reader, known: Parameters, type_name: str) -> list[bytes]:
    """The raw `meta` of resources that together have every label of the type."""
    pids: set[int] = set()
    for code in CODES:
        parameter = known.find(type_name, code)
        if parameter is not None:
            pids |= await _one_each(reader, parameter.number)
    bodies = [await reader.rows(_BODY, pid) for pid in sorted(pids)]
    return [bytes(_labelled(bytes(rows[0][0])).meta) for rows in bodies if rows]


async def _one_each(reader: Reader, param: int) -> set[int]:
    found: set[int] = set()
    after = _LOWEST
    for _ in range(MOST):
        rows = await reader.rows(_NEXT, param, after)
        if not rows:
            break
        after, pid = rows[0]
        if after != 0:
            found.add(pid)
    return found
