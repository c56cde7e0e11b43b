"""`_sort`: by any parameter, several of them, ascending and descending.

http://hl7.org/fhir/R4/search.html#sort. A resource with several values is placed by the first of them in the
order that is asked for, one without a value comes last either way. Strings, URIs, dates, numbers, quantities
are walked in the order of their index; few matches, and whatever no index orders, are collected and sorted.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from hub import r4
from hub.errors import Issue, NotSupported
from hub.r4 import MIN_MICROS
from hub.store import extracting
from hub.store.backend import Reader, Row
from hub.store.keys import NO_VALUE, Packed, looked_at
from hub.store.names import type_number
from hub.store.search.candidates import Found, Plan, candidates, filled, scanned
from hub.store.search.conditions import Equal, Present
from hub.store.search.counting import ENOUGH, size_of
from hub.store.search.query import Order
from hub.store.search.single import main_date
from hub.store.search.unions import unions
from hub.store.search.walks import Bound, Walk

MAX_SORTED = 100_000
"""Matches that are sorted without an index; more are refused as too costly."""
DATED = 64
"""From so many rows on an equality is walked in the order of its date instead of being sorted."""
_TEXTS = frozenset({"string", "uri"})
_RANGES = frozenset({"date", "number", "quantity"})
_INDEXED = _TEXTS | _RANGES | {"composite"}
_VALUE, _VALUELESS, _ABSENT = 0, 1, 2

Place = tuple[Any, ...]
"""Per order (0, value...), (1,) where a parameter has no value to sort by, (2,) where it is absent; then what
tells equal ones apart: the number of the resource, or its id."""


class _Down:
    """A value in descending order."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Down) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Down) and bool(self.value == other.value)


def comparable(orders: Sequence[Order], place: Place) -> tuple[Any, ...]:
    """A place as something Python sorts in the order asked for."""
    parts: list[Any] = []
    for order, (rank, *values) in zip(orders, place[:-1], strict=True):
        parts.append((rank, *(_Down(one) if order.descending else one for one in values)))
    down = orders[0].descending and place[0][0] != _ABSENT
    return (*parts, _Down(place[-1]) if down else place[-1])


def directed(key: Row, descending: bool) -> tuple[Any, ...]:
    """The key of a walk as something Python sorts in the walk's order."""
    return tuple(map(_Down, key)) if descending else key


def place_of(orders: Sequence[Order], one: Found, rows: Packed) -> Place:
    """Where a resource stands. Its body is needed for what `needs_body`."""
    alone = len(orders) == 1
    places = [_value(order, one, rows, alone) for order in orders]
    return (*places, one.id if places[0][0] == _ABSENT else one.pid)


def _value(order: Order, one: Found, rows: Packed, alone: bool) -> tuple[Any, ...]:
    if order.code == "_id":
        return (_VALUE, one.id)
    parameter = order.parameter
    if parameter is None:
        return (_VALUE, one.updated, one.sequence) if alone else (_VALUE, one.updated)
    pick = max if order.descending else min
    found: list[Any]
    if parameter.type in _TEXTS:
        found = [
            value
            for number, value in rows.text
            if number == parameter.number and not value.startswith(r4.WORD)
        ]
        return (_VALUE, pick(found)) if found else _without(order, rows)
    if parameter.type in _RANGES:
        found = [(low, high) for number, low, high in rows.ranges if number == parameter.number]
        return (_VALUE, *pick(found)) if found else _without(order, rows)
    if parameter.type == "composite":
        found = [(low, high) for number, _, low, high in rows.composites if number == parameter.number]
        return (_VALUE, *pick(found)) if found else (_ABSENT,)
    found = list(sort_texts(parameter, one.body))
    return (_VALUE, pick(found)) if found else (_ABSENT,)


def _without(order: Order, rows: Packed) -> tuple[int]:
    assert order.parameter is not None
    return (_VALUELESS,) if (order.parameter.number, NO_VALUE) in rows.equal else (_ABSENT,)


def needs_body(orders: Sequence[Order]) -> bool:
    """Whether the values are in no index."""
    return any(order.parameter is not None and order.parameter.type not in _INDEXED for order in orders)


async def page(
    reader: Reader, plan: Plan, orders: Sequence[Order], after: Place | None, want: int
) -> list[Found]:
    """The next `want` matches in the order asked for; `place` of each is its Place. Bodies may be missing."""
    if not _led(orders[0]):
        return await _collected(reader, plan, orders, after, want)
    size = await _size(reader, plan)
    parameter = orders[0].parameter
    by_date = parameter is not None and parameter.number == main_date(plan.type)
    if by_date and size >= DATED and isinstance(plan.condition, Equal):
        return await _dated(reader, plan, orders, after, want)
    if size < ENOUGH:
        return await _collected(reader, plan, orders, after, want)
    return await _walked(reader, plan, orders, after, want)


def _led(order: Order) -> bool:
    """Whether an index goes in this order."""
    parameter = order.parameter
    if parameter is None:
        return True
    return parameter.type in _TEXTS | _RANGES and parameter.number not in unions()


async def _size(reader: Reader, plan: Plan) -> int:
    """How many rows the driver has; with few, collecting all matches is cheaper than walking in order."""
    if plan.condition is None:
        return ENOUGH
    return await size_of(reader, plan.condition, plan.type)


async def _collected(
    reader: Reader, plan: Plan, orders: Sequence[Order], after: Place | None, want: int
) -> list[Found]:
    """Every match, of which only the next `want` are kept."""
    best = _Best(orders, after, want)
    async for some in candidates(reader, plan, None, None, full=needs_body(orders)):
        await best.add_all(reader, some)
    return best.taken()


class _Best:
    """The first so many of what is added, beyond a place."""

    def __init__(self, orders: Sequence[Order], after: Place | None, want: int) -> None:
        self.orders, self.want = orders, want
        self.after = comparable(orders, after) if after is not None else None
        self.kept: list[tuple[tuple[Any, ...], int, Found]] = []
        self.added = 0

    async def add_all(
        self, reader: Reader, some: Sequence[Found], only: Callable[[Place], bool] | None = None
    ) -> None:
        """Add candidates, perhaps only those at some places; NotSupported beyond what may be sorted."""
        self.added += len(some)
        if self.added > MAX_SORTED:
            text = f"_sort: more than {MAX_SORTED} matches to sort without an index; narrow the search"
            raise NotSupported(issues=[Issue(code="too-costly", diagnostics=text, expression="_sort")])
        if needs_body(self.orders):
            await filled(reader, some)
        for one in some:
            one.place = place_of(self.orders, one, looked_at(one.keys))
            key = comparable(self.orders, one.place)
            if only is not None and not only(one.place):
                continue
            if self.after is None or self.after < key:
                self.kept.append((key, one.pid, one))
        if len(self.kept) > 4 * self.want + 1000:
            self.kept = heapq.nsmallest(self.want, self.kept)

    def taken(self) -> list[Found]:
        """What there is, in order."""
        return [one for _, _, one in heapq.nsmallest(self.want, self.kept)]


async def _walked(
    reader: Reader, plan: Plan, orders: Sequence[Order], after: Place | None, want: int
) -> list[Found]:
    """Along the index of the first order: those with a value, those without one to sort by, the rest."""
    lead = orders[0]
    plan = Plan(plan.type, plan.conditions, -1, plan.exact, plan.before, plan.apart)
    started = after[0][0] if after is not None else _VALUE
    found: list[Found] = []
    for rank in (_VALUE, _VALUELESS, _ABSENT):
        if rank < started or (rank and lead.parameter is None) or len(found) >= want:
            continue
        place = after if after is not None and rank == started else None
        walk = _lead_walk(plan.type, lead, rank)
        if rank == _ABSENT and lead.parameter is not None:
            conditions = [*plan.conditions, Present(lead.parameter.number, negated=True)]
            plan = Plan(plan.type, conditions, -1, plan.exact, plan.before)
        if rank == _VALUELESS or (rank == _ABSENT and len(orders) > 1):
            best = _Best(orders, place, want - len(found))
            async for some in scanned(reader, plan, walk, None, None, full=needs_body(orders)):
                await best.add_all(reader, some)
            found += best.taken()
        else:
            found += await _along(reader, plan, orders, walk, place, want - len(found))
    return found[:want]


async def _dated(
    reader: Reader, plan: Plan, orders: Sequence[Order], after: Place | None, want: int
) -> list[Found]:
    """Along an equality, whose rows stand in the order of the main date, to the second.

    Dates without a beginning are in the index by their end: they are collected, and are first or last.
    """
    lead = orders[0]
    assert lead.parameter is not None and isinstance(plan.condition, Equal)
    fixed = (plan.condition.param, *plan.condition.keys)
    whole = Plan(plan.type, plan.conditions, -1, plan.exact, plan.before, plan.apart)
    end = Bound(float(MIN_MICROS))
    open_ = (whole, Walk("range", (lead.parameter.number,), end, end))
    bare = (plan, Walk("equal", fixed, Bound(0), Bound(0), descending=True))
    step = _step(after)
    main = await _seconds(reader, plan, orders, after, want) if _comes(lead, step, "main") else []
    parts: dict[str, list[Found]] = {"main": main}
    for name, (how, walk) in (("open", open_), ("bare", bare)):
        parts[name] = []
        if _comes(lead, step, name) and (name == _sequence(lead)[0] or len(main) < want):
            best = _Best(orders, after, want)
            async for some in scanned(reader, how, walk, None, None, full=False):
                await best.add_all(reader, some, _within(name))
            parts[name] = best.taken()
    return [one for name in _sequence(lead) for one in parts[name]][:want]


def _sequence(lead: Order) -> tuple[str, ...]:
    return ("main", "open", "bare") if lead.descending else ("open", "main", "bare")


def _comes(lead: Order, step: str, name: str) -> bool:
    """Whether a part is still to be shown after a place in another."""
    parts = _sequence(lead)
    return not step or parts.index(name) >= parts.index(step)


def _within(name: str) -> Callable[[Place], bool]:
    return lambda place: _step(place) == name


def _step(place: Place | None) -> str:
    """The part that a place lies in."""
    if place is None:
        return ""
    if place[0][0] != _VALUE:
        return "bare"
    return "open" if place[0][1] == MIN_MICROS else "main"


async def _seconds(
    reader: Reader, plan: Plan, orders: Sequence[Order], after: Place | None, want: int
) -> list[Found]:
    """Second by second; within one, by the exact place."""
    assert isinstance(plan.condition, Equal)
    down = orders[0].descending
    bound = Bound(int(after[0][1] // 1_000_000)) if _step(after) == "main" and after is not None else None
    fixed = (plan.condition.param, *plan.condition.keys)
    walk = Walk("equal", fixed, None if down else bound, bound if down else None, descending=down)
    done: list[Found] = []
    group = _Best(orders, after, want)
    second: int | None = None
    async for some in scanned(reader, plan, walk, None, want + 1, full=needs_body(orders)):
        for one in some:
            if one.place[1] != second:
                done += group.taken()
                if len(done) >= want:
                    return done[:want]
                group, second = _Best(orders, after, want), one.place[1]
            await group.add_all(reader, [one], _within("main"))
    return (done + group.taken())[:want]


def _lead_walk(type_name: str, lead: Order, rank: int) -> Walk:
    number = type_number(type_name)
    parameter = lead.parameter
    if parameter is None:
        return Walk("name" if lead.code == "_id" else "time", (number,), descending=lead.descending)
    if rank == _VALUELESS:
        return Walk("equal", (parameter.number, NO_VALUE))
    if rank == _ABSENT:
        return Walk("absent", (number,))
    if parameter.type in _TEXTS:  # words of a name are no values to sort by
        return Walk("text", (parameter.number,), None, Bound(r4.WORD, True), descending=lead.descending)
    return Walk("range", (parameter.number,), descending=lead.descending)


async def _along(
    reader: Reader, plan: Plan, orders: Sequence[Order], walk: Walk, after: Place | None, want: int
) -> list[Found]:
    """In the order of one walk; what is equal there goes by the further orders."""
    alone = len(orders) == 1
    start: Row | None = None
    if after is not None and alone:
        start = _key(walk, after)
    elif after is not None:
        bound = Bound(after[0][1])
        walk = Walk(
            walk.kind,
            walk.fixed,
            None if walk.descending else bound,
            bound if walk.descending else None,
            descending=walk.descending,
        )
    done: list[Found] = []
    group: _Best | None = None
    lead: tuple[Any, ...] = ()
    async for one in _placed(reader, plan, orders, walk, start, want):
        if alone:
            done.append(one)
        elif group is not None and one.place[0] == lead:
            await group.add_all(reader, [one])
        else:
            done += group.taken() if group else []
            group, lead = _Best(orders, after, want), one.place[0]
            if len(done) < want:
                await group.add_all(reader, [one])
        if len(done) >= want:
            return done[:want]
    return (done + (group.taken() if group else []))[:want]


def _key(walk: Walk, after: Place) -> Row:
    """The key of a walk at a place."""
    if walk.kind == "absent":
        return (after[-1],)
    return tuple(after[0][1:]) if walk.kind in ("name", "time") else (*after[0][1:], after[-1])


async def _placed(
    reader: Reader, plan: Plan, orders: Sequence[Order], walk: Walk, start: Row | None, want: int
) -> AsyncIterator[Found]:
    """The matches of a walk at their places: one with several values is met at each, and counts once."""
    several = walk.kind in ("text", "range")
    async for some in scanned(reader, plan, walk, start, want + 1, full=needs_body(orders)):
        if needs_body(orders):
            await filled(reader, some)
        for one in some:
            key = one.place[1:-1]
            one.place = place_of(orders, one, looked_at(one.keys))
            if not several or one.place[0][1:] == key:
                yield one


def sort_texts(parameter: r4.SearchParameter, body: bytes) -> Iterator[str]:
    """The values of a token or a reference as text: a code before its display, a reference as written."""
    for node in extracting.values(parameter, body):
        yield from _texts(node)


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, bool):
        yield "true" if node else "false"
    elif isinstance(node, dict):
        if "coding" in node:
            for coding in node["coding"]:
                yield from _texts(coding)
            return
        text = next((node[name] for name in _SHOWN if isinstance(node.get(name), str)), None)
        if text is not None:
            yield r4.fold(text)
    elif node is not None:
        yield r4.fold(str(node))


_SHOWN = ("reference", "code", "value", "display", "text")
