"""The load: a process of its own that sends MLLP frames over many connections, one unanswered on each.

    python -m tests.benchmarks.load '{"port": 2575, "kind": "orders", "persons": 500, "seconds": 10}'

It prints one JSON object: how many of each acknowledgement code, seconds, and latencies in milliseconds.
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
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from tests.benchmarks import content

_CODE = re.compile(rb"\rMSA\|(\w\w)")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to send: `count` messages, or as many as `seconds` allow; `first` numbers the first order.

    rate  messages a second at most (0: as fast as they are acknowledged)
    core  pin this process to that processor core (None: anywhere)
    """

    port: int
    kind: str
    persons: int
    count: int = 0
    seconds: float = 0.0
    first: int = 0
    rate: float = 0.0
    connections: int = 64
    core: int | None = None


class _Load:
    """What is left to send, and what came of what was sent."""

    def __init__(self, task: Task, open_lines: int) -> None:
        frames = (
            content.registrations(task.persons)
            if task.kind == "registrations"
            else content.orders(task.persons, task.first)
        )
        self.frames: Iterator[bytes] = islice(frames, task.count) if task.count else frames
        self.until = time.perf_counter() + task.seconds if task.seconds else float("inf")
        self.latencies: list[float] = []
        self.late: list[float] = []
        self.codes: Counter[str] = Counter()
        self.per_second: Counter[int] = Counter()
        self.begun = time.perf_counter()
        self.rate = task.rate
        self._slots = 0
        self.open_lines = open_lines
        self.finished = asyncio.Event()

    def next(self) -> bytes | None:
        return next(self.frames, None) if time.perf_counter() < self.until else None

    def due(self) -> float:
        """When the next message should leave."""
        self._slots += 1
        return self.begun + self._slots / self.rate if self.rate else time.perf_counter()

    def answered(self, code: str, since: float) -> None:
        now = time.perf_counter()
        self.latencies.append(now - since)
        self.codes[code] += 1
        self.per_second[int(now - self.begun)] += 1


class _Line(asyncio.Protocol):
    """One connection: a message, its acknowledgement, the next message."""

    def __init__(self, load: _Load) -> None:
        self.load = load
        self.due = self.sent = 0.0
        self.heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self._next()

    def _next(self) -> None:
        self.due = self.load.due()
        wait = self.due - time.perf_counter()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send)
        else:
            self._send()

    def _send(self) -> None:
        frame = self.load.next()
        if frame is None:
            self.transport.close()
        else:
            self.sent = time.perf_counter()
            self.load.late.append(self.sent - self.due)
            self.transport.write(frame)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if self.heard.endswith(b"\x1c\r"):
            found = _CODE.search(self.heard)
            self.heard = b""
            self.load.answered(found[1].decode() if found else "none", self.sent)
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.load.codes["lost"] += 1
        self.load.open_lines -= 1
        if not self.load.open_lines:
            self.load.finished.set()


async def run(task: Task) -> dict[str, Any]:
    """Send it all; the figures."""
    load = _Load(task, task.connections)
    loop = asyncio.get_running_loop()
    for _ in range(task.connections):
        await loop.create_connection(lambda: _Line(load), "127.0.0.1", task.port)
    await load.finished.wait()
    seconds = time.perf_counter() - load.begun
    ordered, late = sorted(load.latencies) or [0.0], sorted(load.late) or [0.0]
    return {
        "codes": dict(load.codes),
        "sent": len(load.latencies),
        "seconds": seconds,
        "per_second": [load.per_second[second] for second in range(int(seconds))],
        "p50": ordered[len(ordered) // 2] * 1000,
        "p99": ordered[int(len(ordered) * 0.99)] * 1000,
        "late_p99": late[int(len(late) * 0.99)] * 1000,
        "longest": ordered[-1] * 1000,
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
