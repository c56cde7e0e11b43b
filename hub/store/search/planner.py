"""Search on a type: pick what drives it, walk its index, check each candidate, add includes.

Results come in the order of the driving index, or in that of `_sort`; the cursor is the place of the last hit
(`hub.store.search.paging`). http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from hub.errors import Issue
from hub.store.backend import Reader, Tx
from hub.store.locking import lock_keys
from hub.store.parameters import R4
from hub.store.search import contained, counting, ordering, paging
from hub.store.search.candidates import Found, Plan, candidates, filled
from hub.store.search.conditions import Batched, Checked, Condition, Equal, Ids
from hub.store.search.criteria import conditions_of
from hub.store.search.including import Node, included
from hub.store.search.paging import Cursor
from hub.store.search.parsing import parse_query
from hub.store.search.query import InvalidSearch, Query
from hub.store.search.walks import place

__all__ = [
    "Hit",
    "InvalidSearch",
    "Page",
    "Query",
    "parse_query",
    "resolve",
    "search",
    "search_found",
    "search_ids",
]


class Hit(msgspec.Struct, frozen=True):
    """One entry of a page; `updated` in microseconds. `inside` is the id of a contained resource that is the
    hit itself: `type` and `id` are then those of what contains it, and `body` is the contained one's."""

    type: str
    id: str
    version: int
    updated: int
    body: bytes
    mode: Literal["match", "include"] = "match"
    inside: str = ""


class Page(msgspec.Struct, frozen=True):
    """Matches, then includes. `next` goes into `_cursor` for the page after; `total` only where asked for;
    `issues` say what the page could not show."""

    entries: list[Hit]
    next: str | None = None
    total: int | None = None
    issues: tuple[Issue, ...] = ()


async def search(reader: Reader, query: Query) -> Page:
    """One page of a search. Raises InvalidSearch (400) for a cursor of another search."""
    cursor = paging.read(query)
    conditions = await conditions_of(reader, query, search_found)
    if conditions is None:
        return Page([], total=0 if query.total else None)
    total = await _total(reader, query, conditions) if query.total else None
    if query.count == 0:
        return Page([], total=total)
    if query.contained != "false":
        page = await _with_contained(reader, query, conditions, cursor)
        return msgspec.structs.replace(page, total=total)
    found, following = await _page(reader, query, conditions, cursor)
    entries = [_hit(query.type, one) for one in found]
    nodes = [Node(query.type, one.id, one.version, one.updated, one.keys, one.body) for one in found]
    page = await _including(reader, query, entries, nodes, following)
    return msgspec.structs.replace(page, total=total)


async def _total(reader: Reader, query: Query, conditions: list[Condition]) -> int:
    total = 0
    if query.contained != "true":
        total += await counting.total(reader, await _plan(reader, query, conditions, None))
    if query.contained != "false":
        total += len(await contained.held(reader, query, conditions, (), None))
    return total


async def _with_contained(
    reader: Reader, query: Query, conditions: list[Condition], cursor: Cursor | None
) -> Page:
    """Matches of their own first, if they are asked for, then those inside other resources."""
    entries: list[Hit] = []
    nodes: list[Node] = []
    begun = cursor is not None and cursor.driver == contained.INSIDE
    if query.contained == "both" and not begun:
        found, following = await _page(reader, query, conditions, cursor)
        entries = [_hit(query.type, one) for one in found]
        nodes = [Node(query.type, one.id, one.version, one.updated, one.keys, one.body) for one in found]
        if following is not None:
            return await _including(reader, query, entries, nodes, following)
    after = cursor.place if begun and cursor is not None else ()
    left = query.count - len(entries)
    held = await contained.held(reader, query, conditions, after, left + 1)
    shown = held[:left]
    for one in shown:
        node = one.node
        body = one.body or node.body
        entries.append(Hit(node.type, node.id, node.version, node.updated, body, inside=one.inside))
    if not query.only_contained:
        nodes += [one.node for one in shown]
    next_ = None
    if len(held) > left:
        place_ = shown[-1].place if shown else ()
        next_ = paging.written(Cursor(paging.identity(query), contained.INSIDE, place_))
    return await _including(reader, query, entries, nodes, next_)


async def _including(
    reader: Reader, query: Query, entries: list[Hit], nodes: list[Node], following: str | None
) -> Page:
    """A page of these hits and what they include."""
    extra = await included(reader, query, nodes)
    entries += [Hit(one.type, one.id, one.version, one.updated, one.body, "include") for one in extra.nodes]
    return Page(entries, following, issues=extra.issues)


async def search_ids(reader: Reader, query: Query, limit: int, *, recheck: bool = False) -> list[str]:
    """The ids of at most `limit` matches; `recheck` looks for each token in the body again."""
    return [one.id for one in await search_found(reader, query, limit, recheck=recheck)]


async def search_found(reader: Reader, query: Query, limit: int, *, recheck: bool = False) -> list[Found]:
    """At most `limit` matches, their bodies not fetched unless something looked at them."""
    conditions = await conditions_of(reader, query, search_found)
    if conditions is None:
        return []
    plan = await _plan(reader, query, conditions, None)
    if recheck:
        plan.exact = [one for one in query.asked if not one.chain and one.reverse is None]
    found: list[Found] = []
    async for some in candidates(reader, plan, None, limit, full=recheck):
        found += some
        if len(found) >= limit:
            break
    return found[:limit]


async def resolve(tx: Tx, type: str, params: Sequence[tuple[str, str]]) -> list[str]:
    """The ids that search criteria select, at most two of them, certain until the commit.

    The keys of the criteria are locked first, so that no other unit stores a match meanwhile.
    """
    query = parse_query(type, params, known=getattr(tx, "known", R4))
    if not query.selects:
        raise InvalidSearch(
            issues=[Issue(code="required", diagnostics="the condition has no search criteria")]
        )
    await tx.lock(lock_keys(query, tx))
    return await search_ids(tx, query, limit=2, recheck=True)


def _hit(type_name: str, one: Found) -> Hit:
    return Hit(type_name, one.id, one.version, one.updated, one.body)


async def _plan(reader: Reader, query: Query, conditions: list[Condition], cursor: Cursor | None) -> Plan:
    """Choose the driver; later pages go on with the one of the first."""
    if cursor is None:
        number = await counting.best(reader, conditions, query.type)
    else:
        number = cursor.driver
        if not -1 <= number < len(conditions):
            raise InvalidSearch("_cursor: it belongs to another search")
        if number >= 0 and isinstance(conditions[number], Batched | Checked):
            raise InvalidSearch("_cursor: too much changed since the first page; search again")
    return Plan(query.type, conditions, number)


async def _page(
    reader: Reader, query: Query, conditions: list[Condition], cursor: Cursor | None
) -> tuple[list[Found], str | None]:
    """The matches of one page with their bodies, and the cursor of the next."""
    plan = await _plan(reader, query, conditions, cursor)
    want = query.count + 1
    changed: list[tuple[Found, Any]] | None = None
    if cursor is not None and cursor.sequence:
        changed = await paging.moved(reader, plan, cursor, query.known)
        plan.before = cursor.sequence if changed is not None else 0
    after = cursor.place if cursor is not None else None
    start = await _start(reader, query, plan, cursor)
    if query.sort:
        found = await ordering.page(reader, plan, query.sort, after, want)
    else:
        found = []
        async for some in candidates(reader, plan, after, want):
            found += some
            if len(found) >= want:
                break
    if changed and cursor is not None:
        found = _merged(query, plan, found, changed, cursor)
    more = len(found) > query.count
    found = found[: query.count]
    await filled(reader, found)
    if not more:
        return found, None
    start = start or await paging.now(reader)
    return found, paging.written(Cursor(paging.identity(query), plan.number, found[-1].place, *start))


async def _start(reader: Reader, query: Query, plan: Plan, cursor: Cursor | None) -> paging.Start | None:
    """How far the store was when the search began; None where that is only asked for if there is a next page.

    Elsewhere others commit while a page is read, so it is asked first, except for an equality: most find
    one resource, and its place seldom changes.
    """
    if cursor is not None:
        return cursor.sequence, cursor.updated, cursor.unsettled
    if reader.postgres and (query.sort or not isinstance(plan.condition, Equal | Ids)):
        return await paging.now(reader)
    return None


def _merged(
    query: Query, plan: Plan, found: list[Found], changed: list[tuple[Found, Any]], cursor: Cursor
) -> list[Found]:
    """The page with what changed since the search began put where it stood then."""
    walks = plan.walks

    def key(at: Any) -> Any:
        if query.sort:
            return ordering.comparable(query.sort, at)
        return (at[0], ordering.directed(at[1:], walks[at[0]].descending))

    last = key(cursor.place)
    for one, (then, rows) in changed:
        if query.sort:
            at = ordering.place_of(query.sort, then, rows)
        else:
            at = place(plan.driver, walks, then.subject(rows)) or ()
        if at and last < key(at):
            one.place = at
            found.append(one)
    return sorted(found, key=lambda one: key(one.place))
