"""From what is asked to conditions on index rows, with whatever has to be looked up for them first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hub import r4
from hub.errors import Issue, NotSupported
from hub.store.backend import Reader
from hub.store.compiling import condition, updated
from hub.store.conditions import Condition, Equal, Ids
from hub.store.query import Asked, Query

MAX_CHAINED = 1000

Find = Callable[[Reader, Query, int], Awaitable[list[str]]]
"""The ids of at most so many matches of a query: the search itself, for chains."""


async def conditions_of(reader: Reader, query: Query, find: Find) -> list[Condition] | None:
    """Everything asked as conditions, chains looked up; None when nothing can match."""
    found: list[Condition] = []
    if query.ids:
        ids = set(query.ids[0]).intersection(*query.ids[1:])
        if not ids:
            return None
        found.append(Ids(tuple(sorted(ids))))
    found += [updated(values, reader.zone) for values in query.updated]
    for asked in query.asked:
        made = await _chained(reader, asked, find) if asked.chain else condition(asked, reader)
        if isinstance(made, Equal) and not made.keys:
            return None
        found.append(made)
    return found


async def _chained(reader: Reader, asked: Asked, find: Find) -> Equal:
    """A chain, from its far end: the references that lead to what matches there."""
    keys: list[int] = []
    for one in asked.chain:
        ids = await find(reader, Query(one.type, asked=[one.asked]), MAX_CHAINED + 1)
        keys += [r4.hash_reference(f"{one.type}/{id}") for id in ids]
        if len(keys) > MAX_CHAINED:
            text = f"{asked.parameter.code}: more than {MAX_CHAINED} {one.type} resources match; narrow it"
            raise NotSupported(issues=[Issue(code="too-costly", diagnostics=text)])
    return Equal(asked.parameter.number, padded(keys))


def padded(keys: list[int]) -> tuple[int, ...]:
    """Repeat the last key up to a power of two, so that few statements serve all lengths."""
    size = 1 << max(len(keys) - 1, 0).bit_length()
    return tuple(keys + keys[-1:] * (size - len(keys))) if keys else ()
