"""A county at work: hospitals that never rest, an insurer with bad days, and a hub that is killed.

Everything random comes from one seed. The hospitals send the same bytes until they are acknowledged, as
the rules of the interface ask of them; what they got acknowledged is the first of the three books.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

from hub.testing import Person
from hub.testing.people import invented
from hub_his_hl7v2.simulator import DRUGS, Drug
from hub_his_hl7v2.simulator import Simulator as Hospital
from hub_settlement_nhsa.simulator import Simulator as Insurer
from tests.faults.running import SERVE, RunningHub, free_ports

HOSPITALS = {"county-hospital": ("UTF-8", "stored"), "second-hospital": ("GB18030", "received")}
"""Charset, and when the hub acknowledges: with everything stored, or once the inbox has the message."""
WARDS = 3
"""Connections of each hospital. Each is an institution of its own, so that each numbers its messages."""

TROUBLE = (
    ("2207A", "lose-reply"),
    ("2207A", "lose-request"),
    ("2207A", "http-500"),
    ("2207A", "garble"),
    ("2201", "lose-reply"),
    ("2204", "lose-reply"),
    ("2203A", "lose-reply"),
    ("1101", "lose-reply"),
    ("5204", "lose-reply"),
    ("5203", "lose-reply"),
    ("2601", "lose-reply"),
)
BAD_LINES = ("lose-reply", "reset", "cut", "twice")
"""What happens to a hospital's line now and then: an acknowledgement nobody reads, half a frame."""
SLOW = (("2207A", 0.4), ("2204", 0.25), ("2201", 0.25))
"""What the insurer answers late just before a kill, so that it is on its way when the hub dies."""

INSURER = {
    "adapter": "settlement-nhsa",
    "mapping": "settlement-nhsa",
    "conversations": ["settlement-nhsa/settle"],
    "settle_horizon": 1.5,
    "ask_interval": 0.3,
    "retry_seconds": 0.1,
    "retry_seconds_max": 1.0,
    "attempts": 60,
    "timeout": 5.0,
}
PATIENCE_SECONDS = 3600.0
DRAIN_SECONDS = 180.0
Channels = dict[str, dict[str, Any]]


class County:
    """Two hospitals with several connections each, one insurer, one hub."""

    hub: RunningHub

    def __init__(self, seed: int, drugs: Sequence[Drug] = DRUGS) -> None:
        self.rng = random.Random(seed)
        self.drugs = drugs
        self.drain_seconds = DRAIN_SECONDS
        self.resting = False
        self.insurer = Insurer(auto_enroll=True)
        self.wards: list[tuple[str, Hospital]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def set_up(self, folder: Path, database_url: str, program: tuple[str, ...], more: Channels) -> None:
        """Settings for the hub, and one connection for every ward; `more` are further channels."""
        port, *listening = free_ports(1 + len(HOSPITALS))
        channels: Channels = {"insurer": INSURER | self.insurer.channel(), **more}
        for hospital, (name, (charset, acknowledge)) in enumerate(HOSPITALS.items()):
            target = f"127.0.0.1:{listening[hospital]}"
            channels[name] = {
                "adapter": "his-hl7v2",
                "listen": target,
                "mapping": "hl7v2",
                "acknowledge": acknowledge,
            }
            for ward in range(WARDS):
                code = f"H3705020{hospital + 1}{ward + 1:03d}"
                options: dict[str, Any] = {"patience": PATIENCE_SECONDS, "timeout": 20.0}
                self.wards.append((name, Hospital(code=code, charset=charset, target=target, **options)))
        settings = {"port": port, "database_url": database_url, "channels": channels}
        self.hub = RunningHub(folder, settings, program)

    def open(self, pause: float) -> None:
        """The hospitals begin to send; each waits up to `pause` seconds between two messages."""
        for number, (_, ward) in enumerate(self.wards):
            people = iter(invented(20_000, first=100_000 * (1 + number % 3)))
            rng = random.Random(self.rng.random())
            self.also(self._work(ward, people, rng, pause))

    def also(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that goes on until the hospitals rest."""
        self._tasks.append(asyncio.create_task(work))

    async def _work(self, ward: Hospital, people: Iterator[Person], rng: random.Random, pause: float) -> None:
        while not self.resting:
            person = next(people)
            for visit in range(1 + (rng.random() < 0.2)):
                await self._say(ward, "register", person=person)
                await asyncio.sleep(rng.uniform(0, pause))
                weeks = rng.choice((4, 8, 12))
                price = f"{rng.randrange(500, 2500) / 100:.2f}"
                drug = self.drugs[visit % len(self.drugs)]
                await self._say(ward, "prescribe", person=person, weeks=weeks, price=price, drug=drug)
                await asyncio.sleep(rng.uniform(0, pause))

    async def _say(self, ward: Hospital, scene: str, **facts: Any) -> None:
        """Until it is acknowledged; AR says "not now", so the same bytes go out again."""
        await ward.act(scene, **facts)
        while ward.sent[-1].code == "AR":
            await asyncio.sleep(0.2)
            await ward.act("resend")

    async def trouble(self) -> None:
        """A few answers of the insurer get lost, a settlement comes late, and lines break."""
        for kind, what in self.rng.sample(TROUBLE, 3):
            self.insurer.faults.add(what, kind)  # type: ignore[arg-type]
        if self.rng.random() < 0.3:
            await self.insurer.act("postpone", seconds=self.rng.uniform(0.2, 3.0))
        for _, ward in self.rng.sample(self.wards, 2):
            ward.faults.add(self.rng.choice(BAD_LINES))  # type: ignore[arg-type]

    def slow(self) -> None:
        """The insurer takes its time, so that a kill finds effects on their way."""
        for kind, seconds in SLOW:
            self.insurer.faults.add("late", kind, seconds=seconds, times=2)

    async def run(self, cycles: int, *, longest: float = 2.0) -> None:
        """Start, let work, kill; again and again. Now and then the hub dies while it starts."""
        for cycle in range(cycles):
            self.hub.launch()
            if cycle and self.rng.random() < 0.15:
                await asyncio.sleep(self.rng.uniform(0.2, 2.0))
            else:
                await self.hub.ready()
                await self.trouble()
                await asyncio.sleep(self.rng.uniform(0.1, longest))
                self.slow()
                await asyncio.sleep(self.rng.uniform(0.05, 0.3))
            self.hub.kill()

    async def rest(self, before: Callable[[], Awaitable[None]] | None = None) -> None:
        """The last messages are sent, every conversation comes to its end, the hub stops by itself.

        `before` is done when the hospitals are quiet and the hub is not yet.
        """
        self.insurer.faults.clear()
        for _, ward in self.wards:
            ward.faults.clear()
        await self.hub.start()
        self.resting = True
        await asyncio.gather(*self._tasks)
        if before is not None:
            await before()
        await self.drained()
        assert self.hub.stop() == 0, self.hub.tail()

    async def drained(self) -> None:
        """Until nothing is under way any more, or too long; what is left then is unresolved."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.drain_seconds
        while loop.time() < end:
            waiting = await self.hub.get("/admin/messages", state="received", limit=1)
            running = await self.hub.get("/admin/conversations", state="running", limit=1)
            if not waiting["messages"] and not running["conversations"]:
                return
            await asyncio.sleep(0.25)

    async def close(self) -> None:
        """Nothing goes on, whatever happened."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.hub.close()
        for _, ward in self.wards:
            await ward.stop()
        await self.insurer.stop()


@contextlib.asynccontextmanager
async def county(
    folder: Path,
    database_url: str,
    *,
    seed: int,
    program: tuple[str, ...] = SERVE,
    drugs: Sequence[Drug] = DRUGS,
    more: Channels | None = None,
) -> AsyncIterator[County]:
    """Everything but the hub is running; the hub is started by `run`."""
    whole = County(seed, drugs)
    await whole.insurer.start()
    whole.set_up(folder, database_url, program, more or {})
    try:
        yield whole
    finally:
        await whole.close()
