"""Who is in a compartment: resources that one of its parameters ties to a patient or an encounter.

In the order of their numbers, which never change, so that pages stay right while data does
(http://hl7.org/fhir/R4/compartmentdefinition.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec
from sqlalchemy import bindparam, select, union_all

from hub import r4
from hub.store.backend import Reader, Row
from hub.store.keys import unpack
from hub.store.names import TYPE_NAME, type_number
from hub.store.statements import Statement, statement
from hub.store.tables import head, index_equal, resource, version


class Member(msgspec.Struct, frozen=True):
    """A resource as it is now; `updated` in microseconds, `keys` its packed index rows."""

    pid: int
    type: str
    id: str
    version: int
    updated: int
    keys: bytes
    body: bytes


_FIELDS = [
    resource.c.pid, resource.c.type, resource.c.id, version.c.version, resource.c.updated,
    resource.c["keys"], version.c.body,
]  # fmt: skip


async def members(
    reader: Reader, compartment: str, names: Sequence[str], *, after: int, count: int
) -> list[Member]:
    """At most `count` members with a number above `after`: the named resources and what belongs to them.

    names  ids of resources of the compartment's own type; at most a few hundred
    """
    size = 1 << max(len(names) - 1, 0).bit_length()
    ids = [*names, *[names[-1]] * (size - len(names))]
    keys = [r4.hash_reference(f"{compartment}/{id}") for id in ids]
    made = _statement(compartment, size)
    return [_member(row) for row in await reader.rows(made, *ids, *keys, after, count)]


async def named(reader: Reader, names: Sequence[tuple[str, str]]) -> list[Member]:
    """Those of these (type, id) that are there, by number."""
    found = []
    for type_name, id in names:
        found += [_member(row) for row in await reader.rows(_NAMED, type_number(type_name), id)]
    return sorted(found, key=lambda one: one.pid)


async def ids_of(reader: Reader, type_name: str, limit: int) -> list[str]:
    """The ids of at most `limit` resources of a type, by id."""
    rows = await reader.rows(_IDS, type_number(type_name), limit)
    return [row[0] for row in rows]


async def linked(reader: Reader, param: int, name: str) -> list[str]:
    """The ids of resources whose reference parameter leads to this name."""
    return [row[0] for row in await reader.rows(_LINKED, param, r4.hash_reference(name))]


def dates(member: Member) -> list[tuple[float, float]]:
    """First and last microsecond of the main dates; empty where the type or the resource has none."""
    found = r4.definition(member.type)
    main = r4.search_parameter(member.type, found.date) if found and found.date else None
    if main is None:
        return []
    return [(lo, hi) for param, lo, hi in unpack(member.keys).ranges if param == main.number]


@lru_cache(maxsize=64)
def _statement(compartment: str, size: int) -> Statement:
    params = [
        found.number
        for type_name, codes in r4.COMPARTMENTS[compartment].items()
        for found in (r4.search_parameter(type_name, code) for code in codes)
        if found is not None
    ]
    ids, keys = ([f"{name}{i}" for i in range(size)] for name in ("id", "key"))
    belongs = select(index_equal.c.pid).where(
        index_equal.c.param.in_(params), index_equal.c.hash.in_([bindparam(one) for one in keys])
    )
    self_ = select(head.c.pid).where(
        head.c.type == type_number(compartment),
        head.c.id.in_([bindparam(one) for one in ids]),
        head.c.deleted.is_(False),
    )
    query = (
        select(*_FIELDS)
        .join(version, version.c.sequence == resource.c.sequence)
        .where(resource.c.pid.in_(union_all(belongs, self_)), resource.c.pid > bindparam("after"))
        .order_by(resource.c.pid)
        .limit(bindparam("count"))
    )
    return statement(query, [*ids, *keys, "after", "count"])


_NAMED = statement(
    select(*_FIELDS)
    .join(version, version.c.sequence == resource.c.sequence)
    .join(head, head.c.pid == resource.c.pid)
    .where(head.c.type == bindparam("type"), head.c.id == bindparam("id"), head.c.deleted.is_(False)),
    ["type", "id"],
)
_IDS = statement(
    select(head.c.id)
    .where(head.c.type == bindparam("type"), head.c.deleted.is_(False))
    .order_by(head.c.id)
    .limit(bindparam("count")),
    ["type", "count"],
)
_LINKED = statement(
    select(resource.c.id)
    .join(index_equal, index_equal.c.pid == resource.c.pid)
    .where(index_equal.c.param == bindparam("param"), index_equal.c.hash == bindparam("hash")),
    ["param", "hash"],
)


def _member(row: Row) -> Member:
    pid, type_number_, id, number, updated, keys, body = row
    return Member(pid, TYPE_NAME[type_number_], id, number, updated, bytes(keys), bytes(body))
