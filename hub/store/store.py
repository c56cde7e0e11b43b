"""One open database: `write` for units of work, `rows` for reading what is committed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import tzinfo
from typing import Any, TypeVar

from hub.clock import Clock
from hub.store.backend import Changed, Row, Terms, Tx
from hub.store.memory import Memory
from hub.store.parameters import Parameters
from hub.store.search.sizes import Sizes
from hub.store.statements import Statement

T = TypeVar("T")
Work = Callable[[Tx], Awaitable[T]]


class Store(ABC):
    """What both databases offer.

    zone      dates without an offset are indexed in it
    base_url  own absolute references below it are indexed as relative ones
    changed   called inside the transaction with the resources that changed in it
    committed called after each commit, when what it wrote can be read
    known     the search parameters there are
    sizes     how many rows conditions have, for choosing what drives a search
    terms     terminology for `:in`, `:below` and their like; None: there is none
    commits   transactions committed so far; `writes` is how many units shared them
    """

    postgres: bool

    def __init__(self, *, zone: tzinfo, base_url: str, clock: Clock, remember: int) -> None:
        self.zone = zone
        self.base_url = base_url
        self.memory = Memory(remember)
        self.changed: list[Changed] = []
        self.committed: list[Callable[[], None]] = []
        self.known = Parameters()
        self.terms: Terms | None = None
        self.sizes = Sizes()
        self.commits = 0
        self.writes = 0
        self._clock = clock
        self._last = 0
        self._coming = 0

    def now(self) -> int:
        """The time of a unit of work: the clock, but never backwards."""
        self._last = max(self._last, self._clock())
        return self._last

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Tell the writer that this task will write soon: it may wait (≤ 2 ms) to share a commit."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    def _committed(self, writes: int) -> None:
        """Count a commit and tell whoever waits for what it wrote."""
        self.commits += 1
        self.writes += writes
        for call in self.committed:
            call()

    @abstractmethod
    async def write(self, work: Work[T]) -> T:
        """Run a unit of work and return its result once it is durable.

        What `work` raises undoes only this unit and is raised here, after the commit of its neighbours.
        Raises Retryable when the database could not commit.
        """

    @abstractmethod
    async def rows(self, statement: Statement, *args: Any) -> list[Row]:
        """Every row of a SELECT over the last committed state."""

    def announce(self, url: str) -> None:  # noqa: B027
        """Leave word where this hub answers, beside a file that has one owner; commands look there."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what was accepted, then let go of the database."""
