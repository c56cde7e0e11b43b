"""A county at work: hospitals that never rest, an insurer with bad days, and a hub that is killed.

Everything random comes from one seed. The hospitals send the same bytes until they are acknowledged, as
the rules of the interface ask of them; what they got acknowledged is the first of the three books.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx

from hub.testing import Person
from hub.testing.people import invented
from hub_his_hl7v2.simulator import DRUGS
from hub_his_hl7v2.simulator import Simulator as Hospital
from hub_settlement_nhsa.simulator import Simulator as Insurer
from tests.faults.running import SERVE, RunningHub, free_ports

HOSPITALS = {"county-hospital": "UTF-8", "second-hospital": "GB18030"}
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
"""What happens to a hospital's line now and then: a commit whose acknowledgement is not read, half a frame."""
SLOW = (("2207A", 0.4), ("2204", 0.25), ("2201", 0.25))
"""What the insurer answers late just before a kill, so that it is on its way when the hub dies."""

PATIENCE_SECONDS = 3600.0
DRAIN_SECONDS = 180.0


class County:
    """Two hospitals with several connections each, one insurer, one hub."""

    def __init__(
        self, hub: RunningHub, insurer: Insurer, wards: list[tuple[str, Hospital]], seed: int
    ) -> None:
        self.hub = hub
        self.insurer = insurer
        self.wards = wards
        self.rng = random.Random(seed)
        self.resting = False
        self.drain_seconds = DRAIN_SECONDS
        self._tasks: list[asyncio.Task[None]] = []

    def open(self, pause: float) -> None:
        """The hospitals begin to send; each waits up to `pause` seconds between two messages."""
        for number, (_, ward) in enumerate(self.wards):
            people = iter(invented(20_000, first=100_000 * (1 + number % 3)))
            rng = random.Random(self.rng.random())
            self._tasks.append(asyncio.create_task(self._work(ward, people, rng, pause)))

    async def _work(self, ward: Hospital, people: Iterator[Person], rng: random.Random, pause: float) -> None:
        while not self.resting:
            person = next(people)
            for visit in range(1 + (rng.random() < 0.2)):
                await self._say(ward, "register", person=person)
                await asyncio.sleep(rng.uniform(0, pause))
                weeks = rng.choice((4, 8, 12))
                price = f"{rng.randrange(500, 2500) / 100:.2f}"
                drug = DRUGS[visit % len(DRUGS)]
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

    async def rest(self) -> None:
        """The last messages are sent, every conversation comes to its end, the hub stops by itself."""
        self.insurer.faults.clear()
        for _, ward in self.wards:
            ward.faults.clear()
        await self.hub.start()
        self.resting = True
        await asyncio.gather(*self._tasks)
        await self.drained()
        assert self.hub.stop() == 0, self.hub.tail()

    async def drained(self) -> None:
        """Until nothing is under way any more, or nothing moves: what is left then is unresolved."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.drain_seconds
        while loop.time() < end:
            running = await self.hub.get("/admin/conversations", state="running", limit=1)
            if not running["conversations"]:
                return
            await asyncio.sleep(0.25)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def county(
    folder: Path, database_url: str, *, seed: int, program: tuple[str, ...] = SERVE, **insurer_options: Any
) -> AsyncIterator[County]:
    """Everything but the hub is running; the hub is started by `run`."""
    insurer = Insurer(auto_enroll=True, **insurer_options)
    await insurer.start()
    port, *listening = free_ports(1 + len(HOSPITALS))
    channels: dict[str, Any] = {
        name: {"adapter": "his-hl7v2", "listen": f"127.0.0.1:{place}", "mapping": "hl7v2"}
        for name, place in zip(HOSPITALS, listening, strict=True)
    }
    channels["insurer"] = {
        "adapter": "settlement-nhsa",
        "mapping": "settlement-nhsa",
        "conversations": ["settlement-nhsa/settle"],
        "settle_horizon": 1.5,
        "ask_interval": 0.3,
        "retry_seconds": 0.1,
        "retry_seconds_max": 1.0,
        "attempts": 60,
        "timeout": 5.0,
        **insurer.channel(),
    }
    hub = RunningHub(folder, {"port": port, "database_url": database_url, "channels": channels}, program)
    wards = []
    for hospital, (name, charset) in enumerate(HOSPITALS.items()):
        for ward in range(WARDS):
            code = f"H3705020{hospital + 1}{ward + 1:03d}"
            target = channels[name]["listen"]
            one = Hospital(code=code, charset=charset, target=target, patience=PATIENCE_SECONDS, timeout=20.0)
            wards.append((name, one))
    whole = County(hub, insurer, wards, seed)
    try:
        yield whole
    finally:
        await whole.close()
        hub.close()
        for _, ward in wards:
            await ward.stop()
        await insurer.stop()


async def posted(hub: RunningHub, path: str, body: Any) -> httpx.Response | None:
    """POST as JSON; None if the hub was not there or died over it."""
    try:
        async with httpx.AsyncClient(base_url=hub.url, timeout=10) as client:
            return await client.post(path, json=body)
    except httpx.TransportError:
        return None
