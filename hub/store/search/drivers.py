"""The SQL of a search: one walk through an index, cut to a page, then the resources of that page.

A statement is made once per shape. Every row is a candidate: the walk's key, then pid, id, packed keys,
updated and sequence, and where they are wanted version and body. The page is cut on the index alone; keyset
paging goes on after the key of the last row seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    exists,
    func,
    select,
    text,
    tuple_,
    union,
)
from sqlalchemy.sql.expression import FromClause
from sqlalchemy.types import TypeEngine

from hub.store.backend import Reader, Row
from hub.store.names import CHANGE_NUMBER
from hub.store.schema import Real
from hub.store.search.conditions import Equal
from hub.store.search.walks import Kind, Walk
from hub.store.statements import Statement, statement
from hub.store.tables import (
    LASTING,
    WIDE,
    head,
    index_composite,
    index_equal,
    index_range,
    index_text,
    resource,
    type_history,
    version,
)

MERGED = 16
"""Up to this many keys each are read in order and merged; more are sorted by the database."""

_TABLE: dict[Kind, Any] = {
    "equal": index_equal, "text": index_text, "range": index_range, "range_wide": index_range,
    "keyed": index_composite, "keyed_wide": index_composite, "name": head, "absent": head,
    "time": type_history, "ids": head, "any": index_equal, "any_keyed": index_composite,
}  # fmt: skip
_FIXED: dict[Kind, tuple[str, ...]] = {
    "text": ("param",), "range": ("param",), "range_wide": ("param",), "keyed": ("param", "hash"),
    "keyed_wide": ("param", "hash"), "name": ("type",), "absent": ("type",), "time": ("type",),
    "any": ("param",), "any_keyed": ("param",),
}  # fmt: skip
_KEY: dict[Kind, tuple[str, ...]] = {
    "equal": ("date", "pid"), "text": ("value", "pid"), "range": ("lo", "hi", "pid"),
    "range_wide": ("hi", "lo", "pid"), "keyed": ("lo", "hi", "pid"), "keyed_wide": ("hi", "lo", "pid"),
    "name": ("id",), "absent": ("id",), "time": ("updated", "sequence"), "ids": ("pid",),
    "any": ("hash", "date", "pid"), "any_keyed": ("hash", "lo", "hi", "pid"),
}  # fmt: skip
_CANDIDATE = [
    resource.c.pid, resource.c.id, resource.c["keys"], resource.c.updated, resource.c.sequence,
]  # fmt: skip
_FULL = [version.c.version, version.c.body]


class Shape(NamedTuple):
    """All that decides the text of a walk's statement."""

    kind: Kind
    keys: int
    low: str
    high: str
    test: str
    descending: bool
    filters: tuple[int, ...] = ()
    full: bool = False
    counted: bool = False


def _p(name: str, kind: TypeEngine[Any] | None = None) -> Any:
    return bindparam(name, type_=kind)


class _Scan:
    """A query over one index, growing clause by clause, and the order of its arguments."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.rows = _TABLE[shape.kind]
        self.key = [self.rows.c[name] for name in _KEY[shape.kind]]
        self.names: list[str] = []

    def add(self, name: str) -> Any:
        """An argument, in its turn."""
        self.names.append(name)
        return _p(name, Real if name.startswith(("low", "high", "test")) and self._real else None)

    @property
    def _real(self) -> bool:
        return self.rows in (index_range, index_composite)

    def clauses(self) -> list[ColumnElement[bool]]:
        """What every row has: the fixed columns, the bounds, the test."""
        shape, rows = self.shape, self.rows
        found = [rows.c[name] == self.add(name) for name in _FIXED[shape.kind]]
        if shape.kind in ("name", "absent"):
            found.append(rows.c.deleted.is_(False))
        if shape.kind.endswith("wide"):
            found.append(text(WIDE if rows is index_range else LASTING))
        found += self.bounds()
        if shape.test:
            found.append(self._test())
        return found

    def bounds(self) -> list[ColumnElement[bool]]:
        """The ends of the walk."""
        ends = ((self.shape.low, "low"), (self.shape.high, "high"))
        return [_compared(self.key[0], sign, self.add(name)) for sign, name in ends if sign]

    def _test(self) -> ColumnElement[bool]:
        rows, value = self.rows, self.add("test0")
        match self.shape.test:
            case "wide>":
                return _compared(rows.c.lo, "<=", value)
            case "wide>=":
                return _compared(rows.c.lo, "<", value)
            case test:
                return _compared(rows.c.hi, test.removeprefix("hi"), value)

    def after(self) -> ColumnElement[bool]:
        """Further along than the place the last page ended at."""
        place = tuple_(
            *(
                _p(f"after{i}", Real if str(column.type) == "DOUBLE" else None)
                for i, column in enumerate(self.key)
            )
        )
        self.names += [f"after{i}" for i in range(len(self.key))]
        key = tuple_(*self.key)
        return key < place if self.shape.descending else key > place

    def ordered(self, query: Select[Any]) -> Select[Any]:
        """In the order of the walk, cut to `limit`."""
        order = [column.desc() if self.shape.descending else column for column in self.key]
        return query.order_by(*order).limit(_p("limit"))

    def filters(self, dated: FromClause) -> list[ColumnElement[bool]]:
        """The other equalities that the same resource must have (its rows carry the same date)."""
        found: list[ColumnElement[bool]] = []
        for number, count in enumerate(self.shape.filters):
            other = index_equal.alias(f"e{number}")
            param = self.add(f"f{number}")
            keys = [self.add(f"f{number}_{i}") for i in range(count)]
            one = other.c.hash.in_(keys) if count > 1 else other.c.hash == keys[0]
            same = and_(other.c.date == dated.c.date, other.c.pid == dated.c.pid)
            found.append(exists(select(1).where(other.c.param == param, one, same)))
        return found


def _compared(column: Any, sign: str, value: Any) -> ColumnElement[bool]:
    found: ColumnElement[bool] = {
        "<": column < value,
        "<=": column <= value,
        ">": column > value,
        ">=": column >= value,
    }[sign]
    return found


@lru_cache(1024)
def scan(shape: Shape, paged: bool) -> Statement:
    """The statement of a walk. Arguments: fixed values, bounds, tests, filters, place, limit."""
    if shape.kind == "equal":
        query, names = _equal(shape, paged)
    elif shape.kind == "ids":
        query, names = _ids(shape, paged)
    else:
        query, names = _walk(shape, paged)
    if shape.counted:
        return statement(select(func.count()).select_from(query.subquery("cut")), names)
    page = query.subquery("page")
    key = [page.c[name] for name in _KEY[shape.kind]]
    source = page.join(resource, resource.c.pid == page.c.pid)
    columns = [*key, *_CANDIDATE]
    if shape.full:
        source = source.join(version, version.c.sequence == resource.c.sequence)
        columns += _FULL
    order = [column.desc() if shape.descending else column for column in key]
    return statement(select(*columns).select_from(source).order_by(*order), names)


def _walk(shape: Shape, paged: bool) -> tuple[Select[Any], list[str]]:
    if paged:  # the place is a bound already, and a second one would lead the database astray
        shape = _unbound(shape)
    one = _Scan(shape)
    rows = one.rows
    source: Any = rows
    clauses = one.clauses()
    dated: FromClause = resource
    if shape.filters or shape.kind == "time":
        source = rows.join(resource, resource.c.pid == rows.c.pid)
    if shape.kind == "time":
        source = source.join(version, version.c.sequence == rows.c.sequence)
        clauses.append(rows.c.sequence == resource.c.sequence)
        clauses.append(version.c.change != CHANGE_NUMBER["deleted"])
    clauses += one.filters(dated)
    if paged:
        clauses.append(one.after())
    columns = one.key if rows.c.pid in one.key else [*one.key, rows.c.pid]
    query = one.ordered(select(*columns).select_from(source).where(*clauses))
    return query, [*one.names, "limit"]


def _unbound(shape: Shape) -> Shape:
    return shape._replace(high="") if shape.descending else shape._replace(low="")


def _equal(shape: Shape, paged: bool) -> tuple[Select[Any], list[str]]:
    """Equality with some keys, by main date; several keys are read in order each, and merged."""
    if paged:
        shape = _unbound(shape)
    one = _Scan(shape)
    rows = one.rows
    param = one.add("param")
    keys = [one.add(f"k{i}") for i in range(shape.keys)]
    rest = one.bounds()
    rest += one.filters(rows)
    if paged:
        rest.append(one.after())
    names = [*one.names, "limit"]
    columns = [rows.c.date, rows.c.pid]
    if shape.keys > MERGED:
        query = select(*columns).where(rows.c.param == param, rows.c.hash.in_(keys), *rest).distinct()
        return one.ordered(query), names
    parts = [select(*columns).where(rows.c.param == param, rows.c.hash == key, *rest) for key in keys]
    if len(parts) == 1:
        return one.ordered(parts[0]), names
    cut = [select(one.ordered(part).subquery(f"u{i}")) for i, part in enumerate(parts)]
    merged = union(*cut).subquery("merged")
    order = [merged.c[name].desc() if shape.descending else merged.c[name] for name in _KEY["equal"]]
    return select(merged).order_by(*order).limit(_p("limit")), names


def _ids(shape: Shape, paged: bool) -> tuple[Select[Any], list[str]]:
    """Resources by name."""
    one = _Scan(shape)
    type_ = one.add("type")
    ids = [one.add(f"i{n}") for n in range(shape.keys)]
    query = (
        select(head.c.pid)
        .select_from(head.join(resource, resource.c.pid == head.c.pid))
        .where(head.c.type == type_, head.c.id.in_(ids), head.c.deleted.is_(False), *one.filters(resource))
    )
    if paged:
        query = query.where(one.after())
    return one.ordered(query), [*one.names, "limit"]


def driven(
    walk: Walk,
    filters: Sequence[Equal] = (),
    after: Row | None = None,
    *,
    full: bool = True,
    count: bool = False,
) -> tuple[Statement, list[Any]]:
    """The statement of a walk and its arguments, the limit still missing."""
    fixed = walk.fixed
    keys = 0
    if walk.kind in ("equal", "ids"):
        fixed = (fixed[0], *padded(fixed[1:]))
        keys = len(fixed) - 1
    low, high = walk.low, walk.high
    shape = Shape(
        walk.kind,
        keys,
        "" if low is None else ">" if low.strict else ">=",
        "" if high is None else "<" if high.strict else "<=",
        walk.test,
        walk.descending,
        tuple(len(padded(one.keys)) for one in filters),
        full,
        count,
    )
    args = list(fixed)
    if low is not None and (after is None or walk.descending):
        args.append(low.value)
    if high is not None and (after is None or not walk.descending):
        args.append(high.value)
    args += walk.tested
    args += [value for one in filters for value in (one.param, *padded(one.keys))]
    args += after or ()
    return scan(shape, after is not None), args


def padded(keys: Sequence[Any]) -> tuple[Any, ...]:
    """Repeat the last key up to a power of two, so that few statements serve all lengths."""
    size = 1 << max(len(keys) - 1, 0).bit_length()
    return (*keys, *([keys[-1]] * (size - len(keys))))


_BODIES = {
    "one": statement(select(version.c.sequence, *_FULL).where(version.c.sequence == _p("s")), ["s"]),
    "many": statement(
        select(version.c.sequence, *_FULL),
        postgres="SELECT sequence, version, body FROM version WHERE sequence = ANY($1::bigint[])",
    ),
}


@lru_cache(16)
def _bodies(count: int) -> Statement:
    names = [f"s{n}" for n in range(count)]
    query = select(version.c.sequence, *_FULL).where(version.c.sequence.in_([_p(name) for name in names]))
    return statement(query, names)


async def bodies(reader: Reader, sequences: Sequence[int]) -> dict[int, tuple[int, bytes]]:
    """(version, body) of versions by their place in commit order."""
    found: dict[int, tuple[int, bytes]] = {}
    if reader.postgres and sequences:
        rows = await reader.rows(_BODIES["many"], list(sequences))
        return {row[0]: (row[1], bytes(row[2])) for row in rows}
    for start in range(0, len(sequences), 256):
        some = padded(sequences[start : start + 256])
        for row in await reader.rows(_bodies(len(some)), *some):
            found[row[0]] = (row[1], bytes(row[2]))
    return found
