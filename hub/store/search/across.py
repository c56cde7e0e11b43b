"""Search across types: one type after the other, or all of them by last update.

http://hl7.org/fhir/R4/search.html#type; a parameter must be known to every type that is asked. A cursor says
which type comes next and how far it got, or, in the order of `_lastUpdated`, after which resource.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, select

from hub import r4
from hub.errors import Issue
from hub.store.backend import Reader
from hub.store.names import TYPE_NAME
from hub.store.parameters import R4, Parameters
from hub.store.search import ordering, paging
from hub.store.search.candidates import Found, Plan, filled
from hub.store.search.counting import best
from hub.store.search.criteria import conditions_of
from hub.store.search.including import Node, included
from hub.store.search.parsing import parse_query
from hub.store.search.planner import Hit, Page, search, search_found
from hub.store.search.query import InvalidSearch, Query, wrong
from hub.store.statements import statement
from hub.store.tables import type_history

_NEXT_TYPE = statement(
    select(func.min(type_history.c.type)).where(type_history.c.type > bindparam("after")), ["after"]
)


class Across(msgspec.Struct):
    """A search of several types: `shape` is what it asks of the result, `queries` what of each type."""

    shape: Query
    queries: list[Query]


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    """`type` is the next one and `inner` its own cursor, or `place` the last resource in order."""

    search: bytes
    type: str = ""
    inner: str = ""
    place: tuple[Any, ...] = ()


_decoder = msgspec.msgpack.Decoder(_Cursor)


def parse_across(
    params: Sequence[tuple[str, str]],
    *,
    types: Sequence[str] = r4.TYPES,
    lenient: bool = False,
    known: Parameters = R4,
) -> Across:
    """Check the parameters of a search of several types: those in `_type`, otherwise all of `types`.

    Raises InvalidSearch (400) with an issue per wrong parameter.
    """
    rest = [(name, value) for name, value in params if name not in ("_type", "_cursor")]
    chosen = _chosen(params, types)
    if lenient:
        rest, ignored = _without_unknown(chosen, rest, known)
    else:
        ignored = []
    queries = [parse_query(one, rest, known=known) for one in chosen]
    shape = msgspec.structs.replace(queries[0], type="", ignored=ignored)
    shape.used = [*((n, v) for n, v in params if n == "_type" and v), *queries[0].used]
    shape.cursor = next((value for name, value in params if name == "_cursor"), "")
    if len(queries) > 1 and (
        len(shape.sort) > 1 or any(one.parameter or one.code == "_id" for one in shape.sort)
    ):
        raise wrong("_sort", "several types are sorted by _lastUpdated only", "not-supported")
    return Across(shape, queries)


def _chosen(params: Sequence[tuple[str, str]], types: Sequence[str]) -> list[str]:
    """The types asked for, in their order of name. Repeated parameters must all hold."""
    chosen = set(types)
    for name, value in params:
        if name != "_type" or not value:
            continue
        asked = {part for part in value.split(",") if part}
        if not asked <= set(r4.TYPES):
            raise wrong("_type", "expected resource types of FHIR R4")
        chosen &= asked
    if not chosen:
        raise wrong("_type", "none of these types can be asked here", "not-supported")
    return sorted(chosen)


def _without_unknown(
    types: Sequence[str], params: list[tuple[str, str]], known: Parameters
) -> tuple[list[tuple[str, str]], list[Issue]]:
    """The parameters that every type knows, and a warning for each of the others."""
    ignored: dict[str, Issue] = {}
    for one in types:
        left = [(name, value) for name, value in params if name not in ignored]
        for issue in parse_query(one, left, lenient=True, known=known).ignored:
            ignored.update({name: issue for name, _ in left if name[:80] == issue.expression})
    return [(name, value) for name, value in params if name not in ignored], list(ignored.values())


async def search_across(reader: Reader, across: Across) -> Page:
    """One page. Raises InvalidSearch (400) for a cursor of another search."""
    shape = across.shape
    identity = paging.identity(shape)
    cursor = _read(shape.cursor, identity)
    stored = await _stored_types(reader)
    queries = [one for one in across.queries if one.type in stored]
    total = None
    if shape.total:
        total = sum([await _total(reader, one) for one in queries])
    if shape.count == 0:
        return Page([], total=total)
    if shape.sort:
        page, following = await _merged(reader, shape, queries, cursor)
    else:
        page, following = await _in_turn(reader, shape, queries, cursor)
    written = None
    if following is not None:
        packed = msgspec.msgpack.encode(msgspec.structs.replace(following, search=identity))
        written = base64.urlsafe_b64encode(packed).rstrip(b"=").decode()
    return Page(page.entries, written, total, page.issues)


def _read(cursor: str, identity: bytes) -> _Cursor:
    if not cursor:
        return _Cursor(identity)
    try:
        found = _decoder.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise InvalidSearch("_cursor: it is not one this hub gave") from None
    if found.search != identity:
        raise InvalidSearch("_cursor: it belongs to another search")
    return found


async def _stored_types(reader: Reader) -> set[str]:
    """The types that there is anything of."""
    found: set[str] = set()
    last = 0
    while True:
        last = (await reader.rows(_NEXT_TYPE, last))[0][0]
        if last is None:
            return found
        found.add(TYPE_NAME[last])


async def _total(reader: Reader, query: Query) -> int:
    counted = msgspec.structs.replace(query, count=0, total=True, cursor="")
    return (await search(reader, counted)).total or 0


async def _in_turn(
    reader: Reader, shape: Query, queries: Sequence[Query], cursor: _Cursor
) -> tuple[Page, _Cursor | None]:
    """One type after the other, by name."""
    entries: list[Hit] = []
    issues: list[Issue] = []
    left = shape.count
    for query in queries:
        if query.type < cursor.type:
            continue
        inner = cursor.inner if query.type == cursor.type else ""
        if left == 0:
            if await search_found(reader, query, 1):
                return Page(_once(entries), issues=tuple(issues)), _Cursor(b"", query.type)
            continue
        page = await search(
            reader, msgspec.structs.replace(query, count=left, total=False, cursor=inner, sort=[])
        )
        entries += page.entries
        issues += page.issues
        left -= sum(one.mode == "match" for one in page.entries)
        if page.next is not None:
            return Page(_once(entries), issues=tuple(issues)), _Cursor(b"", query.type, page.next)
    return Page(_once(entries), issues=tuple(issues)), None


def _once(entries: Sequence[Hit]) -> list[Hit]:
    """Nothing twice: what two types bring along, or one brings along that is a match of another."""
    seen = {(one.type, one.id, one.version) for one in entries if one.mode == "match"}
    kept = []
    for one in entries:
        name = (one.type, one.id, one.version)
        if one.mode == "match" or name not in seen:
            kept.append(one)
        seen.add(name)
    return kept


async def _merged(
    reader: Reader, shape: Query, queries: Sequence[Query], cursor: _Cursor
) -> tuple[Page, _Cursor | None]:
    """All types in the order of last update."""
    after = paging.tuples(cursor.place) or None
    found: list[tuple[Any, Query, Found]] = []
    for query in queries:
        for one in await _next(reader, query, after, shape.count + 1):
            found.append((ordering.comparable(shape.sort, one.place), query, one))
    found.sort(key=lambda item: item[0])
    shown = found[: shape.count]
    await filled(reader, [one for _, _, one in shown])
    entries = [Hit(query.type, one.id, one.version, one.updated, one.body) for _, query, one in shown]
    nodes = [Node(q.type, one.id, one.version, one.updated, one.keys, one.body) for _, q, one in shown]
    extra = await included(reader, shape, nodes)
    entries += [Hit(one.type, one.id, one.version, one.updated, one.body, "include") for one in extra.nodes]
    following = _Cursor(b"", place=shown[-1][2].place) if len(found) > len(shown) else None
    return Page(entries, issues=extra.issues), following


async def _next(reader: Reader, query: Query, after: Any, want: int) -> list[Found]:
    conditions = await conditions_of(reader, query, search_found)
    if conditions is None:
        return []
    plan = Plan(query.type, conditions, await best(reader, conditions, query.type))
    return await ordering.page(reader, plan, query.sort, after, want)


__all__ = ["Across", "parse_across", "search_across"]
