"""`_list`: the resources that a List names (http://hl7.org/fhir/R4/search.html#list)."""

from __future__ import annotations

from typing import Any

import msgspec

from hub import r4
from hub.store.backend import Reader
from hub.store.reading import get_many
from hub.store.search.escapes import unescape


class _Reference(msgspec.Struct):
    reference: str = ""


class _Entry(msgspec.Struct):
    item: _Reference | None = None
    deleted: Any = None


class _List(msgspec.Struct):
    entry: list[_Entry] = []


_list = msgspec.json.Decoder(_List)


async def listed(reader: Reader, type_name: str, values: tuple[str, ...]) -> set[str]:
    """The ids of a type that one of the Lists names and does not mark as deleted."""
    names = [("List", unescape(value).removeprefix("List/")) for value in values]
    ids: set[str] = set()
    for stored in await get_many(reader, names):
        if stored.deleted:
            continue
        for entry in _list.decode(stored.body).entry:
            if entry.item is None or entry.deleted is True:
                continue
            found, _, id = r4.local_reference(entry.item.reference, reader.base_url).partition("/")
            if found == type_name and id and "/" not in id:
                ids.add(id)
    return ids
