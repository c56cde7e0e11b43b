"""`_contained`: resources inside others, found by what contains them, each asked like a stored one.

http://hl7.org/fhir/R4/search.html#contained. The result is the container, or with `_containedType=contained`
the contained resource itself. The newest main date of the container comes first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from hub import r4
from hub.store.backend import Reader, Row
from hub.store.extracting import extracted
from hub.store.keys import pack
from hub.store.search.conditions import Condition
from hub.store.search.drivers import driven
from hub.store.search.including import Node
from hub.store.search.linked import Inner, meets
from hub.store.search.query import Query
from hub.store.search.walks import Walk

INSIDE = -2
"""The driver that a cursor names where it goes on among contained resources."""
AT_ONCE = 64

_LAST = 1 << 31


class _Contained(msgspec.Struct):
    resource_type: str = msgspec.field(default="", name="resourceType")
    id: str = ""


class _Container(msgspec.Struct):
    resource_type: str = msgspec.field(default="", name="resourceType")
    contained: list[msgspec.Raw] = []


_container = msgspec.json.Decoder(_Container).decode
_contained = msgspec.json.Decoder(_Contained).decode


class Held(msgspec.Struct, frozen=True):
    """A match: what contains it, and the contained resource where it is the result itself (else empty).

    `place` is (date of the container, its number, which of its contained resources).
    """

    node: Node
    place: Row
    inside: str = ""
    body: bytes = b""


async def held(
    reader: Reader, query: Query, conditions: Sequence[Condition], after: Row, want: int | None
) -> list[Held]:
    """The next `want` matches (None: all) beyond a place (empty: from the start)."""
    found: list[Held] = []
    async for node, place in _containers(reader, query.type, after):
        found += [one async for one in _matches(reader, query, conditions, node, place, after)]
        if want is not None and len(found) >= want:
            return found[:want]
    return found


async def _containers(reader: Reader, type_name: str, after: Row) -> AsyncIterator[tuple[Node, Row]]:
    """Whatever contains a resource of a type, the one at `after` again."""
    walk = Walk("equal", (r4.CONTAINED, r4.hash_token(None, type_name)), descending=True)
    at: Row | None = (after[0], after[1] + 1) if after else None
    while True:
        made, args = driven(walk, (), at)
        rows = await reader.rows(made, *args, AT_ONCE)
        for date, number, _, id, keys, updated, _, version, body in rows:
            name = _container(body).resource_type
            yield Node(name, id, version, updated, keys, bytes(body)), (date, number)
        if len(rows) < AT_ONCE:
            return
        at = tuple(rows[-1][:2])


async def _matches(
    reader: Reader, query: Query, conditions: Sequence[Condition], node: Node, place: Row, after: Row
) -> AsyncIterator[Held]:
    """The matches in one container: itself once, or each contained resource that matches."""
    passed = after[2] if after and after[:2] == place else -1
    if not query.only_contained:
        if passed < 0 and not await _itself(reader, query, conditions, node):
            for inner in _inside(reader, query, node):
                if await meets(reader, conditions, inner[1]):
                    yield Held(node, (*place, _LAST))
                    return
        return
    for number, inner_one in _inside(reader, query, node):
        if number > passed and await meets(reader, conditions, inner_one):
            yield Held(node, (*place, number), inner_one.id, inner_one.body)


async def _itself(reader: Reader, query: Query, conditions: Sequence[Condition], node: Node) -> bool:
    """Whether the container is among the matches already."""
    if query.contained != "both" or node.type != query.type:
        return False
    return await meets(reader, conditions, _as_inner(node))


def _as_inner(node: Node) -> Inner:
    return Inner(node.id, node.keys, node.updated, node.body)


def _inside(reader: Reader, query: Query, node: Node) -> list[tuple[int, Inner]]:
    """The contained resources of the searched type, with their numbers."""
    found: list[tuple[int, Inner]] = []
    for number, raw in enumerate(_container(node.body).contained):
        one: Any = _contained(raw)
        if one.resource_type == query.type:
            body = bytes(raw)
            resource = r4.decode(body, query.type)
            rows = extracted(resource, body, query.known.indexed(query.type), reader)
            found.append((number, Inner(one.id, pack(rows), 0, body)))
    return found
