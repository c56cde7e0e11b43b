"""How many: sizes that choose what drives a search, remembered for a while, and totals."""

from __future__ import annotations

from collections.abc import Sequence

from hub.store.backend import Reader
from hub.store.search.candidates import Plan, candidates
from hub.store.search.conditions import Condition, Either, Equal, Ids, Keyed, Present, Range, Text, Updated
from hub.store.search.drivers import driven
from hub.store.search.walks import walks_of
from hub.store.store import Store

ENOUGH = 2000
"""Beyond this many rows a condition counts as common."""
FEW = 64
"""A condition with no more rows than this drives at once, without a look at the others."""
_ALL = 2**62


async def counted(reader: Reader, condition: Condition | None, type_name: str, limit: int) -> int:
    """How many index rows lie on the walks of a condition, at most `limit`."""
    size = 0
    for walk in walks_of(condition, type_name):
        if walk.kind == "ids":
            return min(size + len(walk.fixed) - 1, limit)
        made, args = driven(walk, full=False, count=True)
        size += (await reader.rows(made, *args, limit - size))[0][0]
        if size >= limit:
            return limit
    return size


def can_drive(condition: Condition) -> bool:
    """Whether an index leads to what matches it."""
    match condition:
        case Equal():
            return not condition.negated
        case Present():
            return not condition.negated
        case Text():
            return all(one.mode != "contains" and one.folded for one in condition.wanted)
        case Either() | Range() | Keyed() | Updated() | Ids():
            return True
        case _:
            return False


_RANK: dict[type, int] = {Ids: 0, Equal: 1, Either: 1, Text: 2, Keyed: 3, Range: 4, Updated: 5, Present: 6}


async def best(reader: Reader, conditions: Sequence[Condition], type_name: str) -> int:
    """The number of the condition with the fewest rows (-1: none can drive)."""
    able = [(i, one) for i, one in enumerate(conditions) if can_drive(one)]
    able.sort(key=lambda pair: _RANK[type(pair[1])])
    if not able:
        return _contained_text(conditions)
    if len(able) == 1 or isinstance(able[0][1], Ids):
        return able[0][0]
    chosen, fewest = able[0][0], ENOUGH
    for number, one in able:
        size = await size_of(reader, one, type_name)
        if size < fewest:
            chosen, fewest = number, size
        if size <= FEW:
            break
    return chosen


def _contained_text(conditions: Sequence[Condition]) -> int:
    """A text to look through, which is less than every resource."""
    return next((i for i, one in enumerate(conditions) if isinstance(one, Text)), -1)


async def size_of(reader: Reader, condition: Condition, type_name: str) -> int:
    """How many rows a condition has, up to ENOUGH; a store remembers, a transaction counts."""
    if isinstance(condition, Ids):
        return len(condition.ids)
    if not isinstance(reader, Store):
        return await counted(reader, condition, type_name, ENOUGH)
    size = reader.sizes.get(condition)
    if size is None:
        size = await counted(reader, condition, type_name, ENOUGH)
        reader.sizes.keep(condition, size)
    return size


async def total(reader: Reader, plan: Plan) -> int:
    """How many resources match. SQL counts where equalities decide; else every match is walked past."""
    walks = plan.walks
    if plan.plain and len(walks) == 1 and not isinstance(plan.condition, Ids):
        made, args = driven(walks[0], plan.filters, full=False, count=True)
        count: int = (await reader.rows(made, *args, _ALL))[0][0]
        return count
    size = 0
    async for some in candidates(reader, plan, None, None, full=False):
        size += len(some)
    return size
