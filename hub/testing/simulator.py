"""Simulator: a stand-in for an external system that speaks its real protocol over real sockets.

A simulator is checked against samples of the real system and is never derived from its adapter: it
shares no code with it, so that the two can disagree.

    async with running(Simulator(code="H37050200001")) as simulator:
        simulator.faults.add("lose-reply", "2207A")
        ...
        assert simulator.books()["settlements"] == 1

Servers listen on `address` after `start`; systems that call the hub (a hospital over MLLP) take the
hub's address as an option and connect when a scene needs it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, TypeVar

from hub.clock import Clock, now
from hub.testing.faults import Faults

S = TypeVar("S", bound="Simulator")


class Simulator:
    """One external system.

    A subclass adds keyword options to `__init__`, starts its protocol in `start`, and writes one
    coroutine `scene_<name>` for each thing the outside world does by itself (`scene_ship` is
    `act("ship")`).

    kind     the adapter kind it stands opposite to
    faults   what goes wrong next
    address  where it listens, after `start`: a URL or `host:port`; empty for a pure client
    clock    microseconds since the epoch; hand in your own for repeatable content
    """

    kind: ClassVar[str] = ""

    def __init__(self, *, clock: Clock = now) -> None:
        self.faults = Faults()
        self.clock = clock
        self.address = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Begin, and return the address; port 0 takes a free one. Starting again keeps the books."""
        return self.address

    async def stop(self) -> None:
        """Stop listening and drop every connection; the books stay. Stopping twice is harmless."""

    def books(self) -> dict[str, Any]:
        """What the simulated system believes, as plain values: the truth that tests compare with."""
        return {}

    async def act(self, scene: str, **with_: Any) -> Any:
        """Let the outside world do something by itself; see `scenes()`. Raises ValueError if unknown."""
        found = getattr(self, "scene_" + scene.replace("-", "_"), None)
        if found is None:
            raise ValueError(
                f"simulator {self.kind!r} knows no scene {scene!r}: expected {', '.join(self.scenes())}"
            )
        return await found(**with_)

    @classmethod
    def scenes(cls) -> tuple[str, ...]:
        """The names that `act` understands, in alphabetical order."""
        return tuple(sorted(name[6:].replace("_", "-") for name in dir(cls) if name.startswith("scene_")))


@asynccontextmanager
async def running(simulator: S, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[S]:
    """The simulator, started; it is stopped at the end whatever happens."""
    await simulator.start(host, port)
    try:
        yield simulator
    finally:
        await simulator.stop()
