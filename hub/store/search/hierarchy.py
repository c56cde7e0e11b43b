"""`:above` and `:below` of references: up and down a strict hierarchy of one type.

http://hl7.org/fhir/R4/search.html#recursive
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from hub import r4
from hub.store.backend import Reader
from hub.store.reading import get_many
from hub.store.search.compiling import equals
from hub.store.search.conditions import Condition
from hub.store.search.escapes import unescape
from hub.store.search.linked import Find
from hub.store.search.query import Asked, Query, wrong

PART_OF = {"Location": "partof", "Organization": "partof", "Encounter": "part-of"}
"""The types that are parts of their own kind, and the parameter that leads to the whole."""
MAX_RELATIVES = 5000


class _Reference(msgspec.Struct):
    reference: str = ""


class _Part(msgspec.Struct, rename="camel"):
    part_of: _Reference | None = None


_part = msgspec.json.Decoder(_Part)
Ids = set[str]


async def relatives(reader: Reader, query: Query, asked: Asked, find: Find) -> list[Condition]:
    """What leads to a resource, or to one that is part of it (`:below`) or that it is part of (`:above`)."""
    parameter = asked.parameter
    name = f"{parameter.code}:{asked.modifier}"
    types = [one for one in parameter.targets if one in PART_OF]
    if not types:
        text = f"it leads to no type with a hierarchy ({', '.join(PART_OF)})"
        raise wrong(name, text, "not-supported")

    async def parts(type_name: str, ids: Ids) -> Ids:
        up = query.known.find(type_name, PART_OF[type_name])
        assert up is not None
        given = equals(up.number, (r4.hash_reference(f"{type_name}/{id}") for id in sorted(ids)))
        below = Query(type_name, query.known, given=given)
        return {one.id for one in await find(reader, below, MAX_RELATIVES + 1)}

    async def wholes(type_name: str, ids: Ids) -> Ids:
        stored = await get_many(reader, [(type_name, id) for id in sorted(ids)])
        links = [_part.decode(one.body).part_of for one in stored if not one.deleted]
        names = [r4.local_reference(link.reference, reader.base_url) for link in links if link is not None]
        return {id for found, _, id in (one.partition("/") for one in names) if found == type_name}

    keys: list[int] = []
    for type_name in types:
        start = {id for value in asked.values if (id := _id(value, type_name, reader.base_url))}
        for id in await _closure(type_name, start, parts if asked.modifier == "below" else wholes, name):
            keys.append(r4.hash_reference(f"{type_name}/{id}"))
    return equals(parameter.number, keys)


def _id(value: str, type_name: str, base: str) -> str:
    """The id in a value that may be of this type; empty if it is of another."""
    text = r4.local_reference(unescape(value), base)
    found, slash, id = text.partition("/")
    if not slash:
        return text
    return id if found == type_name else ""


async def _closure(
    type_name: str, start: Ids, step: Callable[[str, Ids], Awaitable[Ids]], name: str
) -> list[str]:
    seen, last = set(start), start
    while last:
        last = await step(type_name, last) - seen
        seen |= last
        if len(seen) > MAX_RELATIVES:
            raise wrong(name, f"the hierarchy has more than {MAX_RELATIVES} members", "too-costly")
    return sorted(seen)
