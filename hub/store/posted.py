"""The rows of posted search parameters, and the generation by which every writer knows them.

A parameter is `filling` until every resource of its type has its index rows, then `ready`. One that is no
longer wanted is `retiring` until its rows are gone, then `retired`; its row stays, and so does its number.

Whoever writes a resource indexes it for every parameter that is filling or ready. On PostgreSQL a writer
holds a shared lock from the moment it reads the generation (`search_generation_seen`, migration 0006) to its
commit, and `change` an exclusive one: whoever writes either sees a new parameter, or commits before the fill
that follows its commit begins. So none is missed, however many processes write.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec
from sqlalchemy import and_, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from hub import r4
from hub.store.backend import Reader, Row, Tx
from hub.store.names import TYPE_NAME, TYPE_NUMBER
from hub.store.parameters import Parameters, Posted
from hub.store.statements import insert_into, statement
from hub.store.tables import search_generation, search_parameter

RETIRED, FILLING, READY, RETIRING = range(4)

FIRST_NUMBER = 10_000
"""The numbers of R4's own parameters are all below."""
LAST_NUMBER = 32_767

_EVERY_WRITER = 2**63 - 2
"""The advisory lock of the generation."""


class Line(msgspec.Struct, frozen=True, array_like=True):
    """A row of the table, in the order of its columns."""

    number: int
    type: int
    code: str
    resource: str
    url: str
    kind: str
    expression: str
    targets: str
    sounds: bool
    state: int = FILLING
    progress: str = ""
    done: int = 0
    goal: int = 0

    @property
    def live(self) -> bool:
        """Whether writes have rows for it."""
        return self.state in (FILLING, READY)

    def parameter(self) -> r4.SearchParameter:
        """What the index and the search see of it."""
        targets = tuple(self.targets.split(",")) if self.targets else ()
        return r4.SearchParameter(
            self.number, self.code, self.kind, self.url, self.expression, targets, plan=[], sounds=self.sounds
        )


_ALL = select(*search_parameter.columns)
_LIST = statement(_ALL.order_by(search_parameter.c.number))
_unfinished = _ALL.where(search_parameter.c.state.in_([FILLING, RETIRING])).order_by(
    search_parameter.c.type, search_parameter.c.progress, search_parameter.c.number
)
_OPEN = statement(_unfinished)
_HELD = statement(_unfinished.with_for_update())
_LAST = statement(select(func.coalesce(func.max(search_parameter.c.number), FIRST_NUMBER - 1)))
_ADD = insert_into(search_parameter)
_MUTABLE = [one.name for one in search_parameter.columns if one.name not in ("number", "type", "code")]
_SET = statement(
    update(search_parameter)
    .where(search_parameter.c.number == bindparam("which"))
    .values({name: bindparam(name) for name in _MUTABLE}),
    [*_MUTABLE, "which"],
)
_OF_RESOURCE = statement(_ALL.where(and_(search_parameter.c.resource == bindparam("resource"))), ["resource"])
_NAMED = statement(
    _ALL.where(
        and_(search_parameter.c.type == bindparam("type"), search_parameter.c.code == bindparam("code"))
    ),
    ["type", "code"],
)
_next = upsert(search_generation).values(one=1, value=bindparam("value"))
_CHANGE = statement(
    _next.on_conflict_do_update(index_elements=["one"], set_={"value": _next.excluded.value}), ["value"]
)
_GENERATION = statement(select(search_generation.c.value))


async def generation(reader: Reader) -> int:
    """The generation that is committed (or, in a transaction, written by it); takes no lock."""
    rows = await reader.rows(_GENERATION)
    return int(rows[0][0]) if rows else 0


async def load(reader: Reader, seen: int) -> Parameters:
    """The parameters there are, to be known under a generation that was read before."""
    lines = [_line(row) for row in await reader.rows(_LIST)]
    return Parameters(
        (
            Posted(TYPE_NAME[one.type], one.parameter(), one.state == READY, one.done, one.goal)
            for one in lines
            if one.live
        ),
        seen,
        open=any(one.state in (FILLING, RETIRING) for one in lines),
    )


async def as_of(tx: Tx, seen: int) -> Parameters:
    """What a transaction that read this generation indexes by."""
    known = tx.known
    return known if known.generation == seen else await load(tx, seen)


async def lock(tx: Tx) -> None:
    """Wait for every writer, and keep new ones waiting until the commit."""
    await tx.lock([_EVERY_WRITER])


async def change(tx: Tx) -> int:
    """A new generation; random, so that one that was undone never comes back with another meaning."""
    value = secrets.randbits(62) + 1
    await tx.run(_CHANGE, value)
    return value


async def of_resource(tx: Tx, resource: str) -> list[Line]:
    """The rows that come from one SearchParameter, retired ones too."""
    return [_line(row) for row in await tx.rows(_OF_RESOURCE, resource)]


async def named(tx: Tx, type_name: str, code: str) -> Line | None:
    """The row of a type and code, if there ever was one."""
    rows = await tx.rows(_NAMED, TYPE_NUMBER[type_name], code)
    return _line(rows[0]) if rows else None


async def unfinished(tx: Tx, *, hold: bool = False) -> list[Line]:
    """Every row that is filling or retiring, by type and progress; `hold`: nobody changes them meanwhile."""
    return [_line(row) for row in await tx.rows(_HELD if hold else _OPEN)]


async def next_number(tx: Tx) -> int:
    """A number that no parameter has had."""
    return int((await tx.rows(_LAST))[0][0]) + 1


async def add(tx: Tx, line: Line) -> None:
    """Insert a row."""
    await tx.run(_ADD, *msgspec.structs.astuple(line))


async def keep(tx: Tx, lines: Sequence[Line]) -> None:
    """Overwrite rows by their numbers."""
    rows = [(*(getattr(one, name) for name in _MUTABLE), one.number) for one in lines]
    await tx.run_many(_SET, rows)


def _line(row: Row) -> Line:
    return msgspec.convert(row, Line, strict=False)
