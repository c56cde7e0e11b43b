"""A real hub under test: `hub serve` in a process of its own, real ports, killed and started at will."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import httpx

SERVE = ("-c", "from hub.cli import main; main()")
"""`hub` itself. A negative control names a script of this folder instead, which patches it first."""

READY_SECONDS = 60.0


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface below the range from which outgoing connections are numbered.

    A hub that is started again needs its old ports, so nobody else may get them by chance meanwhile.
    """
    found: dict[int, None] = {}
    while len(found) < count:
        port = random.randrange(15_000, 30_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found[port] = None
    return list(found)


def toml(tables: Mapping[str, Any]) -> str:
    """Settings as TOML: plain keys first, then `[channels.NAME]`; JSON values are TOML values."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in tables.items() if key != "channels"]
    for name, table in tables.get("channels", {}).items():
        plain += ["", f"[channels.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(plain) + "\n"


class RunningHub:
    """`hub serve --config FILE`, or another command; `starts` and `kills` count what happened to it."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        program: tuple[str, ...] = SERVE,
        command: str = "serve",
    ) -> None:
        self.folder = folder
        self.file = folder / "hub.toml"
        self.log = folder / "hub.log"
        self.program = program
        self.command = command
        self.url = f"http://127.0.0.1:{settings['port']}"
        self.starts = 0
        self.kills = 0
        self._running: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self.file.write_text(toml(settings), "utf-8")

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.pid

    @property
    def alive(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def launch(self) -> None:
        """Start it, and do not wait."""
        assert not self.alive
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HUB_")}
        self._output = self.log.open("ab")
        self._running = subprocess.Popen(
            [sys.executable, *self.program, self.command, "--config", str(self.file)],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=environment,
        )
        self.starts += 1

    async def start(self) -> None:
        """Start it, and return when it is ready."""
        self.launch()
        await self.ready()

    async def ready(self) -> None:
        """Wait until every channel runs; AssertionError with its log if it ends or never gets there."""
        loop = asyncio.get_running_loop()
        end = loop.time() + READY_SECONDS
        async with httpx.AsyncClient(base_url=self.url, timeout=5) as client:
            while loop.time() < end:
                assert self.alive, f"the hub ended by itself:\n{self.tail()}"
                try:
                    if (await client.get("/health/ready")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.03)
        raise AssertionError(f"the hub was not ready in {READY_SECONDS:.0f} s:\n{self.tail()}")

    def kill(self) -> None:
        """SIGKILL, by its id."""
        assert self.alive, f"the hub ended by itself:\n{self.tail()}"
        self._end(signal.SIGKILL)
        self.kills += 1

    def stop(self) -> int:
        """SIGTERM, and its exit code: it finishes what is in flight and closes its store."""
        return self._end(signal.SIGTERM)

    def close(self) -> None:
        """Leave nothing running, whatever happened."""
        if self.alive:
            self._end(signal.SIGKILL)
        if self._output is not None:
            self._output.close()

    def _end(self, how: signal.Signals) -> int:
        assert self._running is not None
        os.kill(self._running.pid, how)
        code = self._running.wait(30)
        if self._output is not None:
            self._output.close()
        return code

    def tail(self, lines: int = 40) -> str:
        """The end of its log, without the requests it answered."""
        text = self.log.read_text("utf-8", "replace")
        return "\n".join([line for line in text.splitlines() if " uvicorn." not in line][-lines:])

    async def get(self, path: str, **query: Any) -> Any:
        """One JSON answer of the running hub."""
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            answer = await client.get(path, params=query)
            answer.raise_for_status()
            return answer.json()

    async def post(self, path: str, body: Any) -> httpx.Response | None:
        """One answer to a POST; None if the hub is not there or dies over it."""
        try:
            async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
                return await client.post(path, json=body)
        except httpx.TransportError:
            return None
