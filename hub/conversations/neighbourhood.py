"""What a conversation's mappings may look at beside its focus: what that refers to, and what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub import r4
from hub.store.backend import Reader
from hub.store.outbox import Row
from hub.store.resources import get

HOPS = 3
MOST_NEIGHBOURS = 500


async def neighbourhood(reader: Reader, focus: str) -> dict[str, dict[str, Any]]:
    """A resource and what it refers to within `HOPS` references, as plain JSON by `Type/id`."""
    found: dict[str, dict[str, Any]] = {}
    wanted = [focus]
    for _ in range(HOPS + 1):
        trees = []
        for reference in wanted:
            kind, _, name = reference.partition("/")
            stored = await get(reader, kind, name)
            if stored is not None and not stored.deleted:
                found[reference] = r4.tree(stored.body)
                trees.append(found[reference])
        wanted = [one for one in dict.fromkeys(references(trees)) if one not in found]
        if len(found) > MOST_NEIGHBOURS:
            break
    return found


def references(node: Any) -> Iterator[str]:
    """Every literal relative reference below a JSON node, versions stripped."""
    if isinstance(node, dict):
        reference = node.get("reference")
        if isinstance(reference, str) and reference.count("/") in (1, 3) and ":" not in reference:
            yield "/".join(reference.split("/")[:2])
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def sent_tree(row: Row) -> Any:
    """%sent: what went out, where it is JSON."""
    return r4.tree(row.body) if row.body and row.content_type.endswith("json") else {}
