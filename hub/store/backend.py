"""The transaction a unit of work sees, whatever the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Protocol

from hub.store.statements import Statement

if TYPE_CHECKING:
    from hub.store.memory import Memory
    from hub.store.parameters import Parameters
    from hub.store.resources import Written

Row = tuple[Any, ...]
Changed = Callable[["Tx", "list[Written]"], Awaitable[None]]
"""Called inside the transaction with the resources that changed in it."""


class Reader(Protocol):
    """Anything that answers a SELECT: a transaction, or the store itself (its last committed state).

    `zone` is where dates without an offset are, `base_url` our own FHIR base (it may be empty).
    """

    zone: tzinfo
    base_url: str
    postgres: bool

    async def rows(self, statement: Statement, *args: Any) -> list[Row]:
        """Every row of a SELECT or of a RETURNING."""
        ...


class Terms(Protocol):
    """What a search asks of a terminology (http://hl7.org/fhir/R4/search.html#token).

    Each raises NotFound for a value set or code system that is not known here, and NotSupported for one
    that cannot be listed.
    """

    async def members(self, value_set: str) -> frozenset[tuple[str, str]]:
        """(system, code) of every member of a value set by its canonical URL (`|version` allowed) or
        by `ValueSet/id`."""
        ...

    async def below(self, system: str, code: str) -> frozenset[str]:
        """The code and everything it subsumes."""
        ...

    async def above(self, system: str, code: str) -> frozenset[str]:
        """The code and everything that subsumes it."""
        ...


class Tx(Reader, Protocol):
    """The transaction of one unit of work.

    `now` is its time in microseconds since the epoch, never before that of an earlier unit; `known` are the
    search parameters as this process knew them when it began. `until_commit` keeps what was read under a lock
    and so holds for every unit of the same commit. A unit awaits
    nothing but its transaction (on SQLite that never suspends, and anything else is refused), and may
    run more than once, so that it changes nothing outside the database.
    """

    now: int
    memory: Memory
    changed: Sequence[Changed]
    known: Parameters
    until_commit: dict[str, int]

    async def rows(self, statement: Statement, *args: Any) -> list[Row]:
        """Every row of a SELECT or of a RETURNING."""
        ...

    async def run(self, statement: Statement, *args: Any) -> int:
        """Run a statement; the number of rows it touched."""
        ...

    async def run_many(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once per row of arguments (none: nothing happens)."""
        ...

    async def append(self, statement: Statement, rows: Sequence[Sequence[Any]]) -> None:
        """The same for rows that nothing in the transaction reads: they may be written at its end."""
        ...

    async def insert(self, statement: Statement, *args: Any) -> int:
        """Run an INSERT ... RETURNING and give back the new integer key."""
        ...

    async def lock(self, keys: Iterable[int]) -> None:
        """Hold these 64-bit keys until the commit, so that no other unit holds one of them meanwhile.

        SQLite has one writer and needs nothing. On PostgreSQL they are advisory locks, taken in order.
        """
        ...

    async def locked_rows(self, statement: Statement, keys: Iterable[int], *args: Any) -> list[Row]:
        """`lock` and `rows` in one: of a function that takes the keys and whether it may wait for them
        before its own arguments, and gives no row when one was taken elsewhere."""
        ...
