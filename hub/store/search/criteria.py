"""From what is asked to conditions on index rows, with whatever has to be looked up for them first."""

from __future__ import annotations

from hub.store.backend import Reader
from hub.store.search.canonical import is_canonical
from hub.store.search.compiling import TERMINOLOGY, conditions, is_mime, updated
from hub.store.search.concepts import concepts
from hub.store.search.conditions import Checked, Condition, Equal, Ids
from hub.store.search.hierarchy import relatives
from hub.store.search.linked import Find, chained, reversed_chain
from hub.store.search.listed import listed
from hub.store.search.query import Asked, Query

MAX_IDS = 1000
"""More ids than this do not drive a search."""


async def conditions_of(reader: Reader, query: Query, find: Find) -> list[Condition] | None:
    """Everything asked as conditions, chains looked up; None when nothing can match.

    Those that can drive keep their places while data changes, so that a cursor finds its driver again on the
    next page: whether a name or a chain comes down to ids depends on the data, so those come last.
    """
    named = [set(ids) for ids in query.ids]
    first: list[Condition] = []
    rest: list[Condition] = []
    for asked in query.asked:
        made, ids = await _made(reader, query, asked, find)
        if ids is not None:
            named.append(ids)
        if any(isinstance(one, Equal) and not one.keys and not one.negated for one in made):
            return None
        (rest if asked.parameter.code in _FOLLOWING else first).extend(made)
    found = _named(named)
    if found is None:
        return None
    dated = [updated(values, reader.zone) for values in query.updated]
    return [*dated, *query.given, *first, *found, *rest]


_FOLLOWING = frozenset({"_has", "_id", "_text", "_content"})


def _named(named: list[set[str]]) -> list[Condition] | None:
    """The resources that are named by all of these; None when there is none."""
    if not named:
        return []
    ids = named[0].intersection(*named[1:])
    if not ids:
        return None
    if len(ids) <= MAX_IDS:
        return [Ids(tuple(padded(sorted(ids))))]
    return [Checked(lambda one, rows: one.id in ids)]


async def _made(
    reader: Reader, query: Query, asked: Asked, find: Find
) -> tuple[list[Condition], set[str] | None]:
    """The conditions of one criterion, or the ids it comes down to."""
    parameter, modifier = asked.parameter, asked.modifier
    if asked.reverse is not None:
        return await reversed_chain(reader, query, asked.reverse, find)
    if parameter.code == "_list":
        return [], await listed(reader, query.type, asked.values)
    if parameter.code in ("_id", "_lastUpdated") and modifier == "missing":
        return [] if asked.values == ("false",) else [Equal(parameter.number, ())], None
    if parameter.code == "_id":
        unwanted = frozenset(asked.values)
        return [Checked(lambda one, rows: one.id not in unwanted)], None
    if asked.chain:
        return await chained(reader, query, asked, find, conditions_of), None
    if parameter.type == "token" and modifier in TERMINOLOGY and not is_mime(asked):
        return await concepts(reader, asked), None
    if parameter.type == "reference" and modifier in ("above", "below") and not is_canonical(parameter):
        return await relatives(reader, query, asked, find), None
    return conditions(asked, reader), None


def padded(keys: list[str]) -> list[str]:
    """Repeat the last one up to a power of two, so that few statements serve all lengths."""
    size = 1 << max(len(keys) - 1, 0).bit_length()
    return keys + keys[-1:] * (size - len(keys))
