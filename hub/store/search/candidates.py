"""Candidates of a search: read along a walk, checked against every condition, their bodies fetched last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TypeGuard

import msgspec

from hub.store.backend import Reader, Row
from hub.store.keys import NONE, Packed, looked_at
from hub.store.search.conditions import Batched, Checked, Condition, Equal, Ids, Keyed, Range, Updated
from hub.store.search.drivers import bodies, driven
from hub.store.search.query import Asked
from hub.store.search.recheck import certain
from hub.store.search.single import is_single, main_date
from hub.store.search.unions import unions
from hub.store.search.walks import Dated, Subject, Walk, dated, place, walks_of
from hub.store.store import Store

FIRST, MOST = 32, 512
TOGETHER = 64
"""Bodies that are fetched by one statement while others wait."""
TURN = 0.01
"""Seconds that a search works before others take their turn."""
"""Candidates read at a time: few at first, then more."""


class Found(msgspec.Struct):
    """A candidate. `place` is (number of the walk, its key); `version` and `body` come last."""

    place: Row
    pid: int
    id: str
    keys: bytes
    updated: int
    sequence: int
    version: int = 0
    body: bytes = b""

    def subject(self, rows: Packed) -> Subject:
        """What its places are worked out from."""
        return Subject(self.pid, self.id, self.updated, self.sequence, rows)


Pair = tuple[Found, Packed]


class Plan(msgspec.Struct):
    """How a search goes: what drives it, the other equalities (in SQL), and what is checked after.

    `number` is the driver's place among the conditions (-1: the whole type by id). `before`: only what
    did not change since this place in commit order (0: whatever there is), nor is among `apart`.
    """

    type: str
    conditions: list[Condition]
    number: int = -1
    exact: list[Asked] = []
    before: int = 0
    apart: frozenset[int] = frozenset()

    @property
    def condition(self) -> Condition | None:
        """What drives."""
        return self.conditions[self.number] if self.number >= 0 else None

    @property
    def driver(self) -> Condition | Dated | None:
        """The same, narrowed by what else is asked of the date that orders its rows."""
        one = self.condition
        main = main_date(self.type) if isinstance(one, Equal) and one.param not in unions() else 0
        if main:
            spans = [
                other.spans[0]
                for other in self.conditions
                if isinstance(other, Range) and other.param == main and len(other.spans) == 1
            ]
            if any(span.prefix != "ne" for span in spans) and isinstance(one, Equal):
                return dated(one, spans, main)
        return one

    @property
    def walks(self) -> list[Walk]:
        """Its ways through the index."""
        return walks_of(self.driver, self.type)

    @property
    def filters(self) -> list[Equal]:
        """What SQL checks of each candidate."""
        return [one for i, one in enumerate(self.conditions) if i != self.number and is_filter(one)]

    @property
    def rest(self) -> list[Condition]:
        """What is checked on each candidate's rows, body and neighbours."""
        return [
            one
            for i, one in enumerate(self.conditions)
            if not (is_filter(one) or i == self.number) or isinstance(one, Updated)
        ]

    @property
    def single(self) -> bool:
        """Whether each resource is found by one index row at most, though perhaps on two walks."""
        one = self.condition
        if isinstance(one, Equal | Range | Keyed) and one.param in unions():
            return False
        if isinstance(one, Range | Keyed) and len(one.spans) == 1:
            return is_single(self.type, one.param)
        return one is None or isinstance(one, Equal | Ids)

    @property
    def plain(self) -> bool:
        """Whether whatever the driver and the filters find is a match."""
        return self.single and not self.rest and not self.exact and not self.before


def is_filter(condition: Condition) -> TypeGuard[Equal]:
    """Whether SQL looks it up for each candidate."""
    return isinstance(condition, Equal) and not condition.negated and condition.param not in unions()


async def candidates(
    reader: Reader, plan: Plan, after: Row | None, want: int | None, *, full: bool = True
) -> AsyncIterator[list[Found]]:
    """Matches in the order of the driver, in parts, each once. `after` is the place the last page ended at.

    `want` says how many will do; `full` that their bodies are needed.
    """
    walks = plan.walks
    first = after[0] if after else 0
    for number, walk in enumerate(walks[first:], first):
        start = after[1:] if after and number == first else None
        async for some in scanned(reader, plan, walk, start, want, number=number, full=full):
            yield some


async def scanned(
    reader: Reader,
    plan: Plan,
    walk: Walk,
    after: Row | None,
    want: int | None,
    *,
    number: int = -1,
    full: bool = True,
) -> AsyncIterator[list[Found]]:
    """The matches of one walk. `number` is the walk's among those of the driver (-1: it is an order)."""
    plain = plan.plain if number >= 0 else not (plan.rest or plan.exact or plan.before)
    filters = plan.filters
    if number == 1 and isinstance(plan.driver, Dated) and isinstance(plan.condition, Equal):
        filters.append(plan.condition)
    size = min(want or MOST, MOST)
    if not plain:
        size = min(size + size // 8, MOST) if want and want <= MOST else max(size, FIRST)
    direct = full and plain
    walks = plan.walks if number >= 0 else []
    several = len(walks) > 1
    while True:
        made, args = driven(walk, filters, after, full=direct)
        rows = await reader.rows(made, *args, size)
        found = [_found(walk, number, row) for row in rows]
        if plain and several:
            found = [one for one in found if _is_first(walks, one.place)]
        yield found if plain else await passed(reader, plan, found, number)
        if len(rows) < size:
            return
        after = tuple(rows[-1][: walk.width])
        size = min(size * 2, MOST)
        await turn(reader)


def _is_first(walks: list[Walk], place: Row) -> bool:
    """Whether no earlier walk holds the same row."""
    number, one, two = place[:3]
    low, high = (two, one) if walks[number].kind in ("range_wide", "keyed_wide") else (one, two)
    return not any(walk.holds(low, high) for walk in walks[:number])


def _found(walk: Walk, number: int, row: Row) -> Found:
    width = walk.width
    return Found((number, *row[:width]), *row[width:])


async def passed(reader: Reader, plan: Plan, found: Sequence[Found], number: int) -> list[Found]:
    """Those that pass every check; `number` as above."""
    rows = [looked_at(one.keys) for one in found]
    on_rows = [one for one in plan.rest if not isinstance(one, Ids | Checked | Batched)]
    driver = plan.driver
    walks = walks_of(driver, plan.type)
    kept: list[Pair] = []
    async for one, packed in by_turns(reader, zip(found, rows, strict=True)):
        if plan.before and (one.sequence > plan.before or one.pid in plan.apart):
            continue
        if number >= 0 and place(driver, walks, one.subject(packed)) != one.place:
            continue
        if all(condition.match(packed, one.updated) for condition in on_rows):
            kept.append((one, packed))
    return await held(reader, plan, kept)


async def held(reader: Reader, plan: Plan, kept: list[Pair]) -> list[Found]:
    """Those that pass what is decided on the resource itself, then what is decided on others."""
    looked = [one for one in plan.rest if isinstance(one, Ids | Checked)]
    if plan.exact or any(isinstance(one, Checked | Batched) for one in plan.rest):
        for start in range(0, len(kept), TOGETHER):
            await filled(reader, [one for one, _ in kept[start : start + TOGETHER]])
            await turn(reader)
    kept = [
        (one, packed)
        async for one, packed in by_turns(reader, kept)
        if all(condition.holds(one, packed) for condition in looked)
        and all(certain(asked, one.body) for asked in plan.exact)
    ]
    for condition in plan.rest:
        if isinstance(condition, Batched) and kept:
            good = await condition.test(reader, [one for one, _ in kept])
            kept = [pair for pair, yes in zip(kept, good, strict=True) if yes]
    return [one for one, _ in kept]


async def by_turns(reader: Reader, pairs: Iterable[Pair]) -> AsyncIterator[Pair]:
    """The same; whoever looks at them lets others take their turn after every TURN seconds."""
    until = time.perf_counter() + TURN
    for one in pairs:
        yield one
        if time.perf_counter() > until:
            await turn(reader)
            until = time.perf_counter() + TURN


async def turn(reader: Reader) -> None:
    """Let others take their turn; a transaction goes on without them."""
    if isinstance(reader, Store):
        await asyncio.sleep(0)


async def filled(reader: Reader, found: Sequence[Found]) -> None:
    """Fetch the bodies that are not there yet."""
    missing = [one for one in found if not one.body]
    if not missing:
        return
    known = await bodies(reader, [one.sequence for one in missing])
    for one in missing:
        one.version, one.body = known[one.sequence]


def matches(plan: Plan, one: Found, rows: Packed) -> bool:
    """Whether a resource has the rows of every condition, the driver's and the filters' too."""
    return rows is not NONE and all(
        condition.holds(one, rows) if isinstance(condition, Ids) else condition.match(rows, one.updated)
        for condition in plan.conditions
    )
