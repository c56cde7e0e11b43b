"""Ways through the index: each condition that can drive a search as one or more ordered scans.

A walk says what it reads (`search.drivers` turns it into SQL) and, in Python, which rows it holds, so that
a resource with several matching rows counts once: at its first place. Ranges open at the top begin at the
value; what began before it and still lasts comes after, from the small index of wide ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from hub.r4 import MAX_MICROS, MIN_MICROS
from hub.store.backend import Row
from hub.store.keys import PRESENT, Packed
from hub.store.names import type_number
from hub.store.search.conditions import (
    Condition,
    Either,
    Equal,
    Ids,
    Keyed,
    Present,
    Range,
    Span,
    Text,
    Updated,
)
from hub.store.search.unions import unions
from hub.store.tables import NARROW, POINT

Kind = Literal[
    "equal",
    "text",
    "range",
    "range_wide",
    "keyed",
    "keyed_wide",
    "name",
    "time",
    "ids",
    "absent",
    "any",
    "any_keyed",
]
Test = Literal["", "hi<=", "hi<", "hi>", "hi>=", "wide>", "wide>="]

_LAST = "\U0010ffff"
_FOREVER = 2**62


class Bound(msgspec.Struct, frozen=True):
    """An end of a walk on the first column of its key."""

    value: Any
    strict: bool = False


class Walk(msgspec.Struct, frozen=True):
    """One ordered scan. `fixed` are the values of the columns before the key (for `equal` and `ids` all of
    the keys or ids); `low`, `high` bound its first column; `test` and its arguments say more of each row."""

    kind: Kind
    fixed: tuple[Any, ...]
    low: Bound | None = None
    high: Bound | None = None
    test: Test = ""
    tested: tuple[float, ...] = ()
    descending: bool = False

    @property
    def width(self) -> int:
        """How many values its key has."""
        return WIDTH[self.kind]

    def holds(self, low: Any, high: Any = None) -> bool:
        """Whether it passes an index row with this value, or with this range."""
        first = high if self.kind in ("range_wide", "keyed_wide") else low
        if self.low is not None and (first <= self.low.value if self.low.strict else first < self.low.value):
            return False
        if self.high is not None and (
            first >= self.high.value if self.high.strict else first > self.high.value
        ):
            return False
        return self._passes(low, high)

    def _passes(self, low: Any, high: Any) -> bool:
        match self.test:
            case "":
                return True
            case "hi<=":
                return bool(high <= self.tested[0])
            case "hi<":
                return bool(high < self.tested[0])
            case "hi>":
                return bool(high > self.tested[0])
            case "hi>=":
                return bool(high >= self.tested[0])
            case "wide>" | "wide>=":
                wide = is_wide(low, high) if self.kind == "range_wide" else high > low
                before = low <= self.tested[0] if self.test == "wide>" else low < self.tested[0]
                return bool(wide and before)


WIDTH: dict[Kind, int] = {
    "equal": 2, "text": 2, "range": 3, "range_wide": 3, "keyed": 3, "keyed_wide": 3, "name": 1, "time": 2,
    "ids": 1, "absent": 1, "any": 3, "any_keyed": 4,
}  # fmt: skip


def is_wide(low: float, high: float) -> bool:
    """Whether a range stands in the index of wide ones (`hub.store.tables.WIDE`)."""
    return high > low and (high - low > NARROW or -POINT < low < POINT)


class Dated(msgspec.Struct, frozen=True):
    """An equality together with what is asked of the type's main date, which its rows are ordered by.

    Narrow dates stand within `first` and `last` (seconds); wide ones, which may have begun before or have no
    beginning, are few and found by their end, not before `since` (microseconds).
    """

    equal: Equal
    param: int
    first: int
    last: int
    since: float


def dated(equal: Equal, spans: list[Span], param: int) -> Dated:
    """The equality within the spans, all of which must hold."""
    first, last, since = float(MIN_MICROS), float(MAX_MICROS), -float("inf")
    for span in spans:
        if span.prefix in ("eq", "ge", "ap", "gt", "sa"):
            low = span.high if span.prefix in ("gt", "sa") else span.low
            since = max(since, low)
            first = max(first, low if span.prefix in ("eq", "sa") else low - NARROW)
        if span.prefix in ("eq", "le", "ap", "lt", "eb"):
            last = min(last, span.low if span.prefix in ("lt", "eb") else span.high)
    return Dated(equal, param, int(first // 1_000_000), int(last // 1_000_000), since)


def divided(condition: Condition | Dated | None) -> list[Any]:
    """The same asked of each part, where its parameter unites others; else itself."""
    if isinstance(condition, Equal | Present | Text | Range | Keyed) and condition.param in unions():
        return [msgspec.structs.replace(condition, param=part) for part in unions()[condition.param]]
    return [condition]


def walks_of(condition: Condition | Dated | None, type_name: str) -> list[Walk]:
    """The scans that find whatever matches, in their order; no condition: the whole type by id."""
    return [walk for part in divided(condition) for walk in _walks(part, type_name)]


def _walks(condition: Condition | Dated | None, type_name: str) -> list[Walk]:
    match condition:
        case Dated():
            ends = (Bound(condition.first), Bound(condition.last))
            fixed = (condition.equal.param, *condition.equal.keys)
            return [
                Walk("equal", fixed, *ends, descending=True),
                Walk("range_wide", (condition.param,), Bound(condition.since)),
            ]
        case Equal():
            return [Walk("equal", (condition.param, *condition.keys), descending=True)]
        case Either():
            return [Walk("equal", pair, descending=True) for pair in condition.pairs]
        case Present():
            return [Walk(kind, (condition.param,)) for kind in _ANYWHERE]
        case Text():
            return [_text(condition.param, one.mode, one.folded) for one in condition.wanted]
        case Range():
            return [walk for span in condition.spans for walk in _spanned("range", (condition.param,), span)]
        case Keyed():
            return [
                walk
                for key, span in condition.spans
                for walk in _spanned("keyed", (condition.param, key), span)
            ]
        case Updated():
            return [_timed(type_number(type_name), span) for span in condition.spans]
        case Ids():
            return [Walk("ids", (type_number(type_name), *condition.ids))]
        case _:
            return [Walk("name", (type_number(type_name),))]


def _text(param: int, mode: str, folded: str) -> Walk:
    if mode == "contains":
        return Walk("text", (param,))
    return Walk("text", (param,), Bound(folded), Bound(folded + _LAST if mode == "starts" else folded))


def _timed(number: int, span: Span) -> Walk:
    low, high = int(span.low), int(span.high)
    ends = {
        "eq": (low, high), "ap": (low, high), "ge": (low, _FOREVER), "gt": (high + 1, _FOREVER),
        "sa": (high + 1, _FOREVER), "le": (0, high), "lt": (0, low - 1), "eb": (0, low - 1),
    }  # fmt: skip
    first, last = ends.get(span.prefix, (0, _FOREVER))
    return Walk("time", (number,), Bound(first), Bound(last), descending=True)


def _spanned(kind: Literal["range", "keyed"], fixed: tuple[Any, ...], span: Span) -> Iterator[Walk]:
    """The scans of one range (http://hl7.org/fhir/R4/search.html#prefix)."""
    low, high = span.low, span.high
    match span.prefix:
        case "eq":
            yield Walk(kind, fixed, Bound(low), Bound(high), "hi<=", (high,))
        case "ne":
            yield Walk(kind, fixed, None, Bound(low, True))
            yield Walk(kind, fixed, Bound(low), None, "hi>", (high,))
        case "gt":
            yield Walk(kind, fixed, Bound(high, True))
            yield from _lasting(kind, fixed, Bound(high), Bound(high, True))
        case "ge":
            yield Walk(kind, fixed, Bound(low))
            yield from _lasting(kind, fixed, Bound(low, True), Bound(low))
        case "ap":
            yield Walk(kind, fixed, Bound(low), Bound(high))
            yield from _lasting(kind, fixed, Bound(low, True), Bound(low))
        case "lt":
            yield Walk(kind, fixed, None, Bound(low, True))
        case "le":
            yield Walk(kind, fixed, None, Bound(high))
        case "sa":
            yield Walk(kind, fixed, Bound(high, True))
        case "eb":
            yield Walk(kind, fixed, None, Bound(low, True), "hi<", (low,))


def _lasting(
    kind: Literal["range", "keyed"], fixed: tuple[Any, ...], began: Bound, ends: Bound
) -> Iterator[Walk]:
    """What began before one moment and ends after another: narrow ranges just before it, then wide ones."""
    tested = (began.value,)
    wide: Test = "wide>=" if began.strict else "wide>"
    if kind == "keyed":
        yield Walk("keyed_wide", fixed, ends, None, wide, tested)
        return
    test: Test = "hi>" if ends.strict else "hi>="
    start = began.value - NARROW
    if began.value >= POINT:
        yield Walk(kind, fixed, Bound(max(start, POINT)), began, test, (ends.value,))
    if start <= -POINT:
        last = began if began.value <= -POINT else Bound(-POINT)
        yield Walk(kind, fixed, Bound(start), last, test, (ends.value,))
    yield Walk("range_wide", fixed, ends, None, wide, tested)


class Subject(msgspec.Struct, frozen=True):
    """What a place is worked out from: a resource's packed rows and what else orders it."""

    pid: int
    id: str
    updated: int
    sequence: int
    rows: Packed


def place(condition: Condition | Dated | None, walks: list[Walk], one: Subject) -> Row | None:
    """(number of the walk, its key): where a resource is found first; None where it is not."""
    parts = divided(condition)
    size = len(walks) // len(parts)
    for number, part in enumerate(parts):
        found = _place(part, walks[number * size : (number + 1) * size], one)
        if found is not None:
            return (number * size + found[0], *found[1:])
    return None


def _place(condition: Condition | Dated | None, walks: list[Walk], one: Subject) -> Row | None:
    rows, pid = one.rows, one.pid
    match condition:
        case Dated():
            return _dated_place(condition, walks, one)
        case Equal():
            return (0, rows.date, pid) if condition.match(rows, one.updated) else None
        case Either():
            found = (number for number, pair in enumerate(condition.pairs) if pair in rows.equal)
            first = next(found, None)
            return (first, rows.date, pid) if first is not None else None
        case Present():
            return _anywhere(condition.param, one)
        case Ids():
            return (0, pid) if one.id in condition.ids else None
        case Text():
            texts = [value for param, value in rows.text if param == condition.param]
            for number, (walk, wanted) in enumerate(zip(walks, condition.wanted, strict=True)):
                held = [value for value in texts if walk.holds(value) and wanted.match(value)]
                if held:
                    return (number, min(held), pid)
        case Range():
            spans = [(low, high) for param, low, high in rows.ranges if param == condition.param]
            return _first(walks, spans, pid)
        case Keyed():
            for number, walk in enumerate(walks):
                key = walk.fixed[1]
                held_spans = [
                    (low, high)
                    for param, hash, low, high in rows.composites
                    if param == condition.param and hash == key and walk.holds(low, high)
                ]
                if held_spans:
                    return (number, *_keyed(walk, held_spans), pid)
        case Updated():
            for number, walk in enumerate(walks):
                if walk.holds(one.updated):
                    return (number, one.updated, one.sequence)
        case _:
            return (0, one.id)
    return None


_ANYWHERE: tuple[Kind, ...] = ("any", "text", "range", "any_keyed")


def _anywhere(param: int, one: Subject) -> Row | None:
    """Where a resource is found first by any row of a parameter."""
    rows, date, pid = one.rows, one.rows.date, one.pid
    equal = [key for p, key in rows.equal if p == param and key != PRESENT]
    if equal:
        return (0, min(equal), date, pid)
    texts = [value for p, value in rows.text if p == param]
    if texts:
        return (1, min(texts), pid)
    spans = [(low, high) for p, low, high in rows.ranges if p == param]
    if spans:
        return (2, *min(spans), pid)
    keyed = [(key, low, high) for p, key, low, high in rows.composites if p == param]
    return (3, *min(keyed), pid) if keyed else None


def _dated_place(condition: Dated, walks: list[Walk], one: Subject) -> Row | None:
    rows = one.rows
    if not condition.equal.match(rows, one.updated):
        return None
    if condition.first <= rows.date <= condition.last:
        return (0, rows.date, one.pid)
    spans = [(high, low) for param, low, high in rows.ranges if param == condition.param]
    held = [(high, low) for high, low in spans if is_wide(low, high) and walks[1].holds(low, high)]
    return (1, *min(held), one.pid) if held else None


def _first(walks: list[Walk], spans: list[tuple[float, float]], pid: int) -> Row | None:
    for number, walk in enumerate(walks):
        held = [span for span in spans if walk.holds(*span)]
        if held:
            return (number, *_keyed(walk, held), pid)
    return None


def _keyed(walk: Walk, held: list[tuple[float, float]]) -> tuple[float, float]:
    if walk.kind in ("range_wide", "keyed_wide"):
        return min((high, low) for low, high in held)
    return min(held)
