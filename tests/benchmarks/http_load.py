"""The load on the FHIR API: a process of its own, one request in flight on each of its connections.

    python -m tests.benchmarks.http_load '{"port": 8080, "workload": "read", "seconds": 5}'

It prints one JSON object: answers by status, seconds, resources in transactions, latencies in milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from collections import Counter
from random import Random
from typing import Any

import msgspec

from tests.benchmarks.asking import WORKLOADS, Answer, Client, transaction
from tests.benchmarks.population import everything

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ENTRY = re.compile(rb'"response":\{"status":"201')


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask: a workload for so many seconds, or `fill`: every resource of the volume, once."""

    port: int
    workload: str
    volume: int = 1
    seconds: float = 0.0
    connections: int = 16
    seed: int = 1
    core: int | None = None


class _Load:
    def __init__(self, task: Task) -> None:
        self.task = task
        self.until = time.perf_counter() + (task.seconds or 1e9)
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.resources = 0
        self.sent_bytes = 0
        self.open_lines = task.connections
        self.finished = asyncio.Event()
        self.filling = _filling(task.volume) if task.workload == "fill" else None

    def client(self, number: int) -> Client:
        if self.filling is not None:
            return self.filling
        name = f"{self.task.seed}-{number}"
        return WORKLOADS[self.task.workload](Random(name), self.task.volume, name)


def _filling(volume: int) -> Client:
    batch: list[dict[str, Any]] = []
    for one in everything(volume):
        batch.append(one)
        if len(batch) == 200:
            yield transaction(batch)
            batch = []
    if batch:
        yield transaction(batch)


class _Line(asyncio.Protocol):
    """One connection that is kept."""

    def __init__(self, load: _Load, number: int) -> None:
        self.load = load
        self.client = load.client(number)
        self.heard = bytearray()
        self.sent = 0.0
        self.answer: Answer | None = None
        self.wanted = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self._next()

    def _next(self) -> None:
        asked = None
        if time.perf_counter() < self.load.until:
            with contextlib.suppress(StopIteration):
                fresh = self.answer is None or self.load.filling is not None
                asked = next(self.client) if fresh else self.client.send(self.answer)  # type: ignore[arg-type]
        if asked is None:
            self.transport.close()
            return
        self.sent = time.perf_counter()
        self.load.sent_bytes += len(asked)
        self.transport.write(asked)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if self.wanted < 0:
            end = self.heard.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.heard[:end])
            length = _LENGTH.search(head)
            self.wanted = end + 4 + (int(length[1]) if length else 0)
            self.answer = Answer(int(head[9:12]), head, b"")
        if len(self.heard) < self.wanted:
            return
        now = time.perf_counter()
        answer = self.answer
        assert answer is not None
        answer.body = bytes(self.heard[len(answer.head) + 4 : self.wanted])
        del self.heard[: self.wanted]
        self.wanted = -1
        self.load.latencies.append(now - self.sent)
        self.load.statuses[answer.status] += 1
        if answer.body.startswith(b'{"resourceType":"Bundle","type":"transaction-response"'):
            self.load.resources += len(_ENTRY.findall(answer.body))
        if answer.status >= 400:
            print(answer.body[:500], file=sys.stderr)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.load.statuses[0] += 1
        self.load.open_lines -= 1
        if not self.load.open_lines:
            self.load.finished.set()


async def run(task: Task) -> dict[str, Any]:
    """Ask it all; the figures."""
    load = _Load(task)
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    for number in range(task.connections):
        await loop.create_connection(lambda number=number: _Line(load, number), "127.0.0.1", task.port)  # type: ignore[misc]
    await load.finished.wait()
    ordered = sorted(load.latencies) or [0.0]
    return {
        "statuses": {str(status): number for status, number in load.statuses.items()},
        "answers": len(load.latencies),
        "resources": load.resources,
        "sent_bytes": load.sent_bytes,
        "seconds": time.perf_counter() - begun,
        "p50": ordered[len(ordered) // 2] * 1000,
        "p99": ordered[int(len(ordered) * 0.99)] * 1000,
    }


def main() -> None:
    """Do the task of the command line."""
    task = msgspec.json.decode(sys.argv[1], type=Task)
    if task.core is not None and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {task.core})
    try:
        import uvloop
    except ImportError:
        found = asyncio.run(run(task))
    else:
        found = uvloop.run(run(task))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
