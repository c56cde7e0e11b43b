"""The SQL of a search: one condition drives it in the order of its index, the others follow in SQL or after.

A statement is made once per shape. Every row is a candidate: the driving key's values, then pid, id, packed
keys, version, updated and body. Keyset paging: `after` is the driving key of the last row seen.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.sql.expression import FromClause
from sqlalchemy.types import TypeEngine

from hub.store.backend import Reader, Row
from hub.store.conditions import Condition, Equal, Ids, Keyed, Range, Span, Text, Updated
from hub.store.names import CHANGE_NUMBER, type_number
from hub.store.schema import Real
from hub.store.statements import Statement, statement
from hub.store.tables import (
    head,
    index_composite,
    index_equal,
    index_range,
    index_text,
    resource,
    type_history,
    version,
)

ENOUGH = 256
"""Beyond this many matches a condition counts as unselective."""
_LAST = "\U0010ffff"


class Driver(msgspec.Struct, frozen=True):
    """What drives a search: a condition (None: the whole type), and the way through its index."""

    condition: Condition | None
    descending: bool = True

    @property
    def width(self) -> int:
        """How many values its key has, the pid (or the sequence) among them."""
        return _WIDTH.get(type(self.condition), 2)

    @property
    def timed(self) -> bool:
        """Whether it goes by last update."""
        return self.condition is None or isinstance(self.condition, Updated)


_WIDTH: dict[type, int] = {Equal: 2, Text: 2, Range: 3, Keyed: 4, Ids: 1}
_CANDIDATE = [
    resource.c.pid, resource.c.id, resource.c["keys"], version.c.version, resource.c.updated,
    version.c.sequence, version.c.body,
]  # fmt: skip


def _p(name: str, kind: TypeEngine[Any] | None = None) -> Any:
    return bindparam(name, type_=kind)


class _Cut(NamedTuple):
    """A query in order and cut to a page, and the order of its arguments."""

    query: Select[Any]
    names: list[str]


def _cut(
    query: Select[Any],
    names: list[str],
    key: list[Any],
    filters: tuple[int, ...],
    paged: bool,
    descending: bool,
    dated: FromClause = resource,
) -> _Cut:
    """Add the other equalities, the place to go on from, order and limit, and their arguments to `names`.

    `dated` has the resource's main date and pid.
    """
    names = list(names)
    for number, count in enumerate(filters):
        keys = [f"f{number}_{i}" for i in range(count)]
        names += [f"f{number}", *keys]
        query = query.where(_also(number, keys, dated))
    if paged:
        after = [f"after{i}" for i in range(len(key))]
        names += after
        place = tuple_(*map(_p, after))
        query = query.where(tuple_(*key) < place if descending else tuple_(*key) > place)
    order = [column.desc() if descending else column for column in key]
    return _Cut(query.order_by(*order).limit(_p("limit")), [*names, "limit"])


def _finish(
    query: Select[Any],
    names: list[str],
    key: list[Any],
    filters: tuple[int, ...],
    paged: bool,
    descending: bool,
) -> Statement:
    return statement(*_cut(query, names, key, filters, paged, descending))


def _also(number: int, keys: list[str], dated: FromClause) -> ColumnElement[bool]:
    """Another equality that the same resource must have (its rows carry the same date)."""
    other = index_equal.alias(f"e{number}")
    return exists(
        select(1).where(
            other.c.param == _p(f"f{number}"),
            other.c.hash.in_([_p(key) for key in keys]) if len(keys) > 1 else other.c.hash == _p(keys[0]),
            other.c.date == dated.c.date,
            other.c.pid == dated.c.pid,
        )
    )


def _joined(source: FromClause, pid: Any) -> Any:
    return source.join(resource, resource.c.pid == pid).join(
        version, version.c.sequence == resource.c.sequence
    )


@lru_cache(512)
def by_equal(count: int, filters: tuple[int, ...], paged: bool) -> Statement:
    """Equality with `count` keys, newest main date first. Arguments: param, keys, filters, place, limit.

    The page is cut before any body is looked up.
    """
    keys = [f"k{i}" for i in range(count)]
    rows = index_equal
    one = rows.c.hash.in_([_p(key) for key in keys]) if count > 1 else rows.c.hash == _p("k0")
    query = select(rows.c.date, rows.c.pid).where(rows.c.param == _p("param"), one)
    key = [rows.c.date, rows.c.pid]
    cut = _cut(query.distinct() if count > 1 else query, ["param", *keys], key, filters, paged, True, rows)
    page = cut.query.subquery("page")
    joined = select(page.c.date, *_CANDIDATE).select_from(_joined(page, page.c.pid))
    return statement(joined.order_by(page.c.date.desc(), page.c.pid.desc()), cut.names)


@lru_cache(512)
def by_text(modes: tuple[str, ...], filters: tuple[int, ...], paged: bool) -> Statement:
    """Strings in their order. Arguments: param, then (low, high) per range, filters, place, limit."""
    rows = index_text
    query = select(rows.c.value, *_CANDIDATE).select_from(_joined(rows, rows.c.pid))
    query = query.where(rows.c.param == _p("param"))
    names = ["param"]
    if "contains" not in modes:
        names += _ends(len(modes))
        query = query.where(
            or_(
                *(and_(rows.c.value >= _p(f"lo{i}"), rows.c.value <= _p(f"hi{i}")) for i in range(len(modes)))
            )
        )
    return _finish(query, names, [rows.c.value, rows.c.pid], filters, paged, False)


def _ends(count: int) -> list[str]:
    return [f"{end}{i}" for i in range(count) for end in ("lo", "hi")]


def _span(rows: Any, prefix: str, number: int) -> ColumnElement[bool]:
    """What SQL can say of a span; `conditions.Span.match` has the last word."""
    low, high = _p(f"lo{number}", Real), _p(f"hi{number}", Real)
    known = {
        "eq": and_(rows.c.lo >= low, rows.c.lo <= high, rows.c.hi <= high),
        "ne": or_(rows.c.lo < low, rows.c.hi > high),
        "gt": and_(rows.c.hi > high, low <= high),
        "lt": and_(rows.c.lo < low, low <= high),
        "ge": or_(rows.c.hi > high, rows.c.lo >= low),
        "le": or_(rows.c.lo < low, rows.c.hi <= high),
        "sa": and_(rows.c.lo > high, low <= high),
        "eb": and_(rows.c.hi < low, low <= high),
        "ap": and_(rows.c.lo <= high, rows.c.hi >= low),
    }
    return known[prefix]


@lru_cache(512)
def by_range(prefixes: tuple[str, ...], filters: tuple[int, ...], paged: bool) -> Statement:
    """Ranges by their low end. Arguments: param, then (low, high) per span, filters, place, limit."""
    rows = index_range
    wanted = or_(*(_span(rows, prefix, i) for i, prefix in enumerate(prefixes)))
    query = select(rows.c.lo, rows.c.hi, *_CANDIDATE).select_from(_joined(rows, rows.c.pid))
    query = query.where(rows.c.param == _p("param"), wanted)
    names = ["param", *_ends(len(prefixes))]
    return _finish(query, names, [rows.c.lo, rows.c.hi, rows.c.pid], filters, paged, False)


@lru_cache(512)
def by_keyed(prefixes: tuple[str, ...], filters: tuple[int, ...], paged: bool) -> Statement:
    """Keys with a range. Arguments: param, then (key, low, high) per span, filters, place, limit."""
    rows = index_composite
    wanted = or_(
        *(and_(rows.c.hash == _p(f"k{i}"), _span(rows, prefix, i)) for i, prefix in enumerate(prefixes))
    )
    query = select(rows.c.hash, rows.c.lo, rows.c.hi, *_CANDIDATE).select_from(_joined(rows, rows.c.pid))
    query = query.where(rows.c.param == _p("param"), wanted)
    names = ["param", *(f"{end}{i}" for i in range(len(prefixes)) for end in ("k", "lo", "hi"))]
    return _finish(query, names, [rows.c.hash, rows.c.lo, rows.c.hi, rows.c.pid], filters, paged, False)


@lru_cache(128)
def by_time(ranged: bool, filters: tuple[int, ...], paged: bool, descending: bool) -> Statement:
    """A whole type by last update. Arguments: type, (since, until), filters, place, limit."""
    rows = type_history
    source = rows.join(
        resource, and_(resource.c.pid == rows.c.pid, resource.c.sequence == rows.c.sequence)
    ).join(version, version.c.sequence == rows.c.sequence)
    key = [rows.c.updated, rows.c.sequence]
    query = select(*key, *_CANDIDATE).select_from(source)
    query = query.where(rows.c.type == _p("type"), version.c.change != CHANGE_NUMBER["deleted"])
    if ranged:
        query = query.where(rows.c.updated >= _p("since"), rows.c.updated <= _p("until"))
    names = ["type", *(("since", "until") if ranged else ())]
    return _finish(query, names, key, filters, paged, descending)


@lru_cache(128)
def by_ids(count: int, filters: tuple[int, ...], paged: bool) -> Statement:
    """Resources by name. Arguments: type, ids, filters, place, limit."""
    ids = [_p(f"i{n}") for n in range(count)]
    query = (
        select(*_CANDIDATE)
        .select_from(_joined(head, head.c.pid))
        .where(head.c.type == _p("type"), head.c.id.in_(ids), head.c.deleted.is_(False))
    )
    names = ["type", *(f"i{n}" for n in range(count))]
    return _finish(query, names, [resource.c.pid], filters, paged, False)


def driven(
    driver: Driver, type_name: str, filters: list[Equal], after: tuple[Any, ...] | None
) -> tuple[Statement, list[Any]]:
    """The statement of a search and its arguments, the limit still missing."""
    counts = tuple(len(one.keys) for one in filters)
    paged = after is not None
    tail = [value for one in filters for value in (one.param, *one.keys)] + list(after or ())
    one = driver.condition
    ends: list[Any]
    match one:
        case Equal():
            return by_equal(len(one.keys), counts, paged), [one.param, *one.keys, *tail]
        case Text():
            modes = tuple(wanted.mode for wanted in one.wanted)
            ends = [
                end
                for w in one.wanted
                for end in (w.folded, w.folded + _LAST if w.mode == "starts" else w.folded)
            ]
            return by_text(modes, counts, paged), [one.param, *([] if "contains" in modes else ends), *tail]
        case Range():
            ends = [end for span in one.spans for end in (span.low, span.high)]
            return by_range(tuple(s.prefix for s in one.spans), counts, paged), [one.param, *ends, *tail]
        case Keyed():
            ends = [end for key, span in one.spans for end in (key, span.low, span.high)]
            return by_keyed(tuple(s.prefix for _, s in one.spans), counts, paged), [one.param, *ends, *tail]
        case Ids():
            return by_ids(len(one.ids), counts, paged), [type_number(type_name), *one.ids, *tail]
        case _:
            limits = _limits(one.spans) if isinstance(one, Updated) else ()
            made = by_time(bool(limits), counts, paged, driver.descending)
            return made, [type_number(type_name), *limits, *tail]


def _limits(spans: tuple[Span, ...]) -> tuple[int, ...]:
    """The first and last microsecond that any of the spans allows, if they bound anything."""
    if len(spans) != 1:
        return ()
    span = spans[0]
    low, high = int(span.low), int(span.high)
    known = {
        "eq": (low, high), "ap": (low, high), "ge": (low, 2**62), "gt": (high + 1, 2**62),
        "sa": (high + 1, 2**62), "le": (0, high), "lt": (0, low - 1), "eb": (0, low - 1),
    }  # fmt: skip
    return known.get(span.prefix, ())


def is_first(driver: Driver, key: tuple[Any, ...], rows: Any) -> bool:
    """Whether a candidate came by the first of its matching index rows: the others are the same hit again."""
    match driver.condition:
        case Text() as one:
            return bool(one.first(rows) == key[0])
        case Range() as one:
            return one.first(rows) == tuple(key[:2])
        case Keyed() as one:
            return one.first(rows) == tuple(key[:3])
        case _:
            return True


@lru_cache(64)
def _counting(counts: tuple[int, ...]) -> Statement:
    """How many rows each equality has, up to ENOUGH. Arguments: per equality its param and keys."""
    names: list[str] = []
    parts: list[Any] = []
    for number, count in enumerate(counts):
        keys = [f"c{number}_{i}" for i in range(count)]
        names += [f"c{number}", *keys]
        inner = select(1).where(
            index_equal.c.param == _p(f"c{number}"), index_equal.c.hash.in_([_p(key) for key in keys])
        )
        rows = inner.limit(ENOUGH).subquery(f"n{number}")
        parts.append(select(literal_column(str(number)), func.count()).select_from(rows))
    return statement(union_all(*parts) if len(parts) > 1 else parts[0], names)


async def rarest(reader: Reader, equals: list[Equal]) -> tuple[Equal, int]:
    """The equality with the fewest rows, and how many (ENOUGH: that many or more)."""
    if not reader.postgres:
        counts: list[Row] = []
        for one in equals:
            counts += await reader.rows(_counting((len(one.keys),)), one.param, *one.keys)
        sizes = [row[1] for row in counts]
    else:
        args = [value for one in equals for value in (one.param, *one.keys)]
        counts = await reader.rows(_counting(tuple(len(one.keys) for one in equals)), *args)
        sizes = [row[1] for row in sorted(counts)]
    best = min(range(len(equals)), key=sizes.__getitem__)
    return equals[best], sizes[best]
