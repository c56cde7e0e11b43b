"""`_include` and `_revinclude`: what a page's matches refer to, and what refers to them.

http://hl7.org/fhir/R4/search.html#include
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from hub import r4
from hub.store.backend import Reader
from hub.store.conditions import Equal
from hub.store.drivers import Driver, driven
from hub.store.keys import Packed, unpack
from hub.store.query import Include, Query
from hub.store.reading import Stored, get_many

MAX_INCLUDED = 1000
_REFERENCE = re.compile(rb'"reference"\s*:\s*("(?:[^"\\]|\\.)*")')
_string = msgspec.json.Decoder(str)
Match = tuple[str, bytes, bytes]
"""Id, packed keys, body."""


async def included(reader: Reader, query: Query, matches: Sequence[Match]) -> list[Stored]:
    """Resources to add to a page, each once and none that is a match already."""
    if not matches or not (query.includes or query.revincludes):
        return []
    seen = {(query.type, id) for id, _, _ in matches}
    names: dict[tuple[str, str], None] = {}
    for _, keys, body in matches:
        rows = unpack(keys)
        for name in references(reader, body):
            if name not in seen and any(_asked(one, rows, name) for one in query.includes):
                names[name] = None
    for include in query.revincludes:
        for name in await _referring(reader, query.type, include, [id for id, _, _ in matches]):
            if name not in seen:
                names[name] = None
    return [one for one in await get_many(reader, [*names][:MAX_INCLUDED]) if not one.deleted]


def references(reader: Reader, body: bytes) -> Iterator[tuple[str, str]]:
    """(type, id) of every relative reference in a body."""
    for raw in _REFERENCE.findall(body):
        text = _string.decode(raw)
        if reader.base_url:
            text = r4.local_reference(text, reader.base_url)
        type_name, _, id = text.partition("/_history/")[0].partition("/")
        if id and "/" not in id and type_name in r4.TYPES:
            yield type_name, id


def _asked(include: Include, rows: Packed, name: tuple[str, str]) -> bool:
    if include.target and include.target != name[0]:
        return False
    if include.parameter is None:
        return True
    return (include.parameter.number, r4.hash_reference(f"{name[0]}/{name[1]}")) in rows.equal


async def _referring(
    reader: Reader, target: str, include: Include, ids: Sequence[str]
) -> list[tuple[str, str]]:
    """Names of the resources whose parameter leads to one of these."""
    if include.parameter is None or (include.target and include.target != target):
        return []
    keys = [r4.hash_reference(f"{target}/{id}") for id in ids]
    keys += keys[-1:] * ((1 << (len(keys) - 1).bit_length()) - len(keys))
    driver = Driver(Equal(include.parameter.number, tuple(keys)))
    made, args = driven(driver, include.source, [], None)
    return [(include.source, row[2]) for row in await reader.rows(made, *args, MAX_INCLUDED)]
