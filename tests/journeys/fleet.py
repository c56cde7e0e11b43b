"""Several processes of one hub: each real, with ports of its own, on one database."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hub_his_hl7v2.simulator import Simulator as Hospital
from hub_procurement_zhejiang.simulator import Simulator as Platform
from hub_settlement_nhsa.simulator import Simulator as Insurer
from tests.faults.running import SERVE, RunningHub, free_ports

QUICK = (str(Path(__file__).with_name("quick_leases.py")),)
LEASE_SECONDS = 4.0
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.2


class WatchedPlatform(Platform):
    """A platform that notes who looks for shipments, and when: the other end of the connection."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.looks: list[tuple[float, int]] = []

    async def transaction(self, request: Request) -> Response:
        if json.loads(await request.body())["infno"] == "ZJ9671":
            assert request.client is not None
            self.looks.append((time.monotonic(), request.client.port))
        return await super().transaction(request)

    def seen(self, since: float) -> set[int]:
        """The ports that looked since then."""
        return {port for moment, port in self.looks if moment >= since}


class Fleet:
    """An insurer, a platform, a hospital for every `serve`, and the processes of one hub."""

    def __init__(self, folder: Path, database_url: str, program: tuple[str, ...] = QUICK) -> None:
        self.folder = folder
        self.database_url = database_url
        self.program = program
        self.insurer = Insurer(auto_enroll=True)
        self.platform = WatchedPlatform()
        self.members: dict[str, RunningHub] = {}
        self.hospitals: dict[str, Hospital] = {}

    def add(self, name: str, command: str = "serve") -> RunningHub:
        """One more process, not started yet; a hospital that sends to it if it listens."""
        port, mllp = free_ports(2)
        target = f"127.0.0.1:{mllp}"
        common = {"retry_seconds": 0.1, "retry_seconds_max": 1.0, "attempts": 60}
        insurer = {
            "adapter": "settlement-nhsa",
            "mapping": "settlement-nhsa",
            "conversations": ["settlement-nhsa/settle"],
            "settle_horizon": 1.5,
            "ask_interval": 0.3,
            "timeout": 5.0,
        }
        platform = {
            "adapter": "procurement-zhejiang",
            "mapping": "procurement-zhejiang",
            "conversations": ["procurement-zhejiang/place-order", "procurement-zhejiang/receive-goods"],
            "poll_interval": POLL_SECONDS,
            "effect_horizon": 1.5,
        }
        channels = {
            "county-hospital": {"adapter": "his-hl7v2", "listen": target, "mapping": "hl7v2"},
            "insurer": common | insurer | self.insurer.channel(),
            "procurement": common | platform | self.platform.channel(),
        }
        folder = self.folder / name
        folder.mkdir()
        settings = {
            "port": port,
            "database_url": self.database_url,
            "hub_key": "a key of these tests",
            "channels": channels,
        }
        member = self.members[name] = RunningHub(folder, settings, self.program, command)
        if command == "serve":
            code = f"H3705020{len(self.hospitals) + 1:04d}"
            self.hospitals[name] = Hospital(code=code, target=target, timeout=20.0, patience=60.0)
        return member

    async def start(self) -> None:
        """All at once."""
        for member in self.members.values():
            member.launch()
        await asyncio.gather(*(member.ready() for member in self.members.values()))

    @property
    def alive(self) -> list[str]:
        return [name for name, member in self.members.items() if member.alive]

    @property
    def desk(self) -> RunningHub:
        """Any process that operators can ask."""
        return next(self.members[name] for name in self.alive if name in self.hospitals)

    def log(self, name: str) -> str:
        return self.members[name].log.read_text("utf-8", "replace")

    def holders(self) -> list[str]:
        """The living processes whose last word on it is that they poll."""
        words = re.compile(r"channel procurement: (\w+) .*polls?")
        last = {name: words.findall(self.log(name))[-1:] for name in self.alive}
        return [name for name, word in last.items() if word == ["this"]]

    async def hub(self, *arguments: str, config: Path | None = None) -> tuple[int, str, str]:
        """`hub ...` with the settings of any process: exit code, output, errors."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HUB_")}
        file = config or self.desk.file
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, *SERVE, "--config", str(file), *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    async def good(self, *arguments: str, config: Path | None = None) -> str:
        """The output of a command that has to end well."""
        code, output, errors = await self.hub(*arguments, config=config)
        assert code == 0, errors
        return output

    async def demand(self) -> None:
        """What was prescribed and not ordered becomes an order."""
        answer = await self.desk.post("/fhir/MedicationRequest/$demand", {"resourceType": "Parameters"})
        assert answer is not None and answer.status_code == 200, answer and answer.text

    async def count(self, what: str) -> int:
        """How many resources of a type there are."""
        return int((await self.desk.get(f"/fhir/{what}", _summary="count", _total="accurate"))["total"])

    def standing(self) -> list[Any]:
        """The visits with a settlement that was not reversed."""
        return [
            (one["institution"], one["ipt_otp_no"])
            for one in self.insurer.books()["settlements"]
            if not one["reversed"]
        ]

    async def quiet(self, conversations: int) -> None:
        """Until so many conversations are there and all are done."""

        async def holds() -> bool:
            found = (await self.desk.get("/admin/conversations", limit=1000))["conversations"]
            stuck = [one for one in found if one["state"] in ("refused", "waiting")]
            assert not stuck, stuck
            return len(found) >= conversations and all(one["state"] == "done" for one in found)

        await until(holds)

    async def close(self) -> None:
        for member in self.members.values():
            member.close()
        for hospital in self.hospitals.values():
            await hospital.stop()
        await self.insurer.stop()
        await self.platform.stop()


@contextlib.asynccontextmanager
async def fleet(folder: Path, database_url: str, program: tuple[str, ...] = QUICK) -> AsyncIterator[Fleet]:
    """The systems around the hub run; its processes are added and started by the test."""
    one = Fleet(folder, database_url, program)
    await one.insurer.start()
    await one.platform.start()
    try:
        yield one
    finally:
        await one.close()


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_SECONDS) -> float:
    """Wait for something; how long it took. AssertionError if it does not come about."""
    start = time.monotonic()
    while not await holds():
        assert time.monotonic() - start < seconds, f"it did not come about in {seconds:.0f} s"
        await asyncio.sleep(0.1)
    return time.monotonic() - start


async def connects(target: str) -> bool:
    """Whether somebody listens there."""
    host, _, port = target.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
