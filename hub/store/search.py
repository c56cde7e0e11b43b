"""Search on a type: pick what drives it, walk its index, check each candidate, add includes.

Results come in the order of the driving index, or by last update when sorted; the cursor is the driving key
of the last hit, so pages stay right while data changes. http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from hub.store.backend import Reader, Row, Tx
from hub.store.conditions import Condition, Equal, Ids, Keyed, Range, Text
from hub.store.criteria import conditions_of
from hub.store.drivers import ENOUGH, Driver, driven, is_first, rarest
from hub.store.including import included
from hub.store.keys import unpack
from hub.store.locking import lock_keys
from hub.store.parsing import parse_query
from hub.store.query import Asked, InvalidSearch, Query
from hub.store.recheck import certain
from hub.store.store import Store

__all__ = ["Hit", "InvalidSearch", "Page", "Query", "parse_query", "resolve", "search", "search_ids"]

MAX_SORTED = 2000
_CHUNKS = (64, 512)


class Hit(msgspec.Struct, frozen=True):
    """One entry of a page; `updated` in microseconds."""

    type: str
    id: str
    version: int
    updated: int
    body: bytes
    mode: Literal["match", "include"] = "match"


class Page(msgspec.Struct, frozen=True):
    """Matches, then includes. `next` goes into `_cursor` for the page after; `total` only where asked for."""

    entries: list[Hit]
    next: str | None = None
    total: int | None = None


class _Found(msgspec.Struct, frozen=True):
    """A candidate that passed: its driving key, and itself."""

    key: Row
    pid: int
    id: str
    keys: bytes
    version: int
    updated: int
    sequence: int
    body: bytes


class _Plan(msgspec.Struct):
    """`place` is the driver's number among the conditions, for the cursor (-1: by time)."""

    type: str
    driver: Driver
    place: int
    filters: list[Equal]
    rest: list[Condition]
    exact: list[Asked]
    rare: bool = False


async def search(reader: Reader, query: Query) -> Page:
    """One page of a search. Raises InvalidSearch (400) for a cursor of another search."""
    conditions = await conditions_of(reader, query, search_ids)
    if conditions is None:
        return Page([], total=0 if query.total else None)
    total = None
    if query.total:
        total = len(await _collect(reader, await _plan(reader, query, conditions, ""), None, None))
    if query.count == 0:
        return Page([], total=total)
    if query.sort:
        found = await _sorted(reader, query, conditions)
    else:
        plan = await _plan(reader, query, conditions, query.cursor)
        found = await _collect(reader, plan, _after(query.cursor, plan), query.count + 1)
        found = [msgspec.structs.replace(one, key=(plan.place, *one.key)) for one in found]
    more = len(found) > query.count
    found = found[: query.count]
    entries = [_hit(query.type, one) for one in found]
    extra = await included(reader, query, [(one.id, one.keys, one.body) for one in found])
    entries += [Hit(s.type, s.id, s.version, s.updated, s.body, "include") for s in extra]
    return Page(entries, _cursor(found[-1].key) if more else None, total)


async def search_ids(reader: Reader, query: Query, limit: int, *, recheck: bool = False) -> list[str]:
    """The ids of at most `limit` matches; `recheck` looks for each token in the body again."""
    conditions = await conditions_of(reader, query, search_ids)
    if conditions is None:
        return []
    plan = await _plan(reader, query, conditions, "")
    if recheck:
        plan.exact = [one for one in query.asked if not one.chain]
    return [one.id for one in await _collect(reader, plan, None, limit)]


async def resolve(tx: Tx, type: str, params: Sequence[tuple[str, str]]) -> list[str]:
    """The ids that search criteria select, at most two of them, certain until the commit.

    The keys of the criteria are locked first, so that no other unit stores a match meanwhile.
    """
    query = parse_query(type, params)
    await tx.lock(lock_keys(query, tx))
    return await search_ids(tx, query, limit=2, recheck=True)


def _hit(type_name: str, one: _Found) -> Hit:
    return Hit(type_name, one.id, one.version, one.updated, one.body)


async def _plan(reader: Reader, query: Query, conditions: list[Condition], cursor: str) -> _Plan:
    """Choose the driver: names, then the rarest equality, then texts, ranges, last the whole type."""
    place = int(_decoded(cursor)[0]) if cursor else None
    rare = False
    if place is None:
        place, rare = await _best(reader, conditions)
    if not -1 <= place < len(conditions):
        raise InvalidSearch("_cursor: it belongs to another search")
    driver = Driver(conditions[place] if place >= 0 else None)
    return _planned(query, conditions, driver, place, rare)


def _planned(
    query: Query, conditions: list[Condition], driver: Driver, place: int, rare: bool = False
) -> _Plan:
    others = [one for i, one in enumerate(conditions) if i != place]
    filters = [one for one in others if isinstance(one, Equal) and not one.negated]
    rest: list[Condition] = [one for one in others if one not in filters and not isinstance(one, Ids)]
    exact = [one for one in query.asked if one.modifier == "exact"]
    if driver.timed and driver.condition is not None:
        rest.append(driver.condition)
    return _Plan(query.type, driver, place, filters, rest, exact, rare)


async def _best(reader: Reader, conditions: list[Condition]) -> tuple[int, bool]:
    """The place of the best driver, and whether it surely has few matches."""
    for i, one in enumerate(conditions):
        if isinstance(one, Ids):
            return i, True
    equals = [one for one in conditions if isinstance(one, Equal) and not one.negated]
    common = -1
    if equals:
        best, size = (equals[0], ENOUGH) if len(conditions) == 1 else await rarest(reader, equals)
        common = conditions.index(best)
        if size < ENOUGH:
            return common, True
    texts = [i for i, one in enumerate(conditions) if isinstance(one, Text) and _narrow(one)]
    if texts:
        return texts[0], False
    for kind in (Keyed, Range):
        for i, one in enumerate(conditions):
            if isinstance(one, kind) and common < 0:
                return i, False
    return common, False


def _narrow(text: Text) -> bool:
    return all(one.mode != "contains" and one.folded for one in text.wanted)


async def _collect(reader: Reader, plan: _Plan, after: Row | None, want: int | None) -> list[_Found]:
    """Candidates that pass, `want` of them or all."""
    found: list[_Found] = []
    checked = bool(plan.rest or plan.exact) or not isinstance(plan.driver.condition, Equal | Ids | None)
    size = min(max(want or _CHUNKS[1], _CHUNKS[0] if checked else 1), _CHUNKS[1])
    while True:
        made, args = driven(plan.driver, plan.type, plan.filters, after)
        rows = await reader.rows(made, *args, size)
        for row in rows:
            one = _passed(plan, row) if checked else _candidate(plan, row)
            if one is not None:
                found.append(one)
                if len(found) == want:
                    return found
        if len(rows) < size:
            return found
        after = tuple(rows[-1][: plan.driver.width])
        size = min(size * 2, _CHUNKS[1])
        if isinstance(reader, Store):
            await asyncio.sleep(0)


def _candidate(plan: _Plan, row: Row) -> _Found:
    width = plan.driver.width
    return _Found(tuple(row[:width]), *row[width if plan.driver.timed else width - 1 :])


def _passed(plan: _Plan, row: Row) -> _Found | None:
    one = _candidate(plan, row)
    rows = unpack(one.keys)
    if not is_first(plan.driver, one.key, rows):
        return None
    if not all(condition.match(rows, one.updated) for condition in plan.rest):
        return None
    if not all(certain(asked, one.body) for asked in plan.exact):
        return None
    return one


async def _sorted(reader: Reader, query: Query, conditions: list[Condition]) -> list[_Found]:
    """By last update: a small result is sorted here, a large one is walked in that order."""
    descending = query.sort.startswith("-")
    after = _decoded(query.cursor)[1:] if query.cursor else None
    plan = await _plan(reader, query, conditions, "")
    if not plan.driver.timed and (plan.rare or not isinstance(plan.driver.condition, Equal)):
        found = await _collect(reader, plan, None, MAX_SORTED)
        if len(found) < MAX_SORTED:
            found.sort(key=lambda one: (one.updated, one.sequence), reverse=descending)
            keyed = [msgspec.structs.replace(one, key=(-1, one.updated, one.sequence)) for one in found]
            return [
                one
                for one in keyed
                if after is None or (one.key[1:] < after if descending else one.key[1:] > after)
            ][: query.count + 1]
    plan = _planned(query, conditions, Driver(None, descending), -1)
    found = await _collect(reader, plan, after, query.count + 1)
    return [msgspec.structs.replace(one, key=(-1, *one.key)) for one in found]


def _cursor(key: Row) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(key)).rstrip(b"=").decode()


def _decoded(cursor: str) -> Row:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.msgpack.decode(raw, type=tuple[Any, ...])
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise InvalidSearch("_cursor: it is not one this hub gave") from None


def _after(cursor: str, plan: _Plan) -> Row | None:
    if not cursor:
        return None
    key = _decoded(cursor)[1:]
    if len(key) != plan.driver.width:
        raise InvalidSearch("_cursor: it belongs to another search")
    return key
