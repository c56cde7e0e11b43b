"""One measurement of the whole flow: orders over MLLP into a hub, until they are acknowledged and mapped."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks import machine
from tests.benchmarks.load import Task
from tests.benchmarks.machine import Postgres, RunningHub

MB = 1_000_000


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured: `acknowledge` and `triggers` as in the hub's settings."""

    acknowledge: str
    postgres: bool = False
    triggers: bool = False
    max_backlog: int = 200_000

    @property
    def name(self) -> str:
        database = "PostgreSQL" if self.postgres else "SQLite"
        return f"{self.acknowledge}, {database}{', triggers' if self.triggers else ''}"


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much: persons registered beforehand, orders to warm up with, seconds of orders that count."""

    persons: int
    warm_up: int
    seconds: float
    rounds: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one round found.

    rate            acknowledged messages per second        ack_p50, ack_p99  milliseconds
    cpu             CPU-ms of the hub per message until all were acknowledged (with what was mapped meanwhile)
    cpu_taking      received mode: the same without the mapping, estimated from the cost of the drain
    cpu_all         CPU-ms of the hub per message, until all were mapped and stored
    cpu_server      CPU-ms of the database server per message on top, all in
    rss_*           resident megabytes of the hub           bytes_each        database bytes per message
    mapped          received mode: messages mapped per second while nothing came in
    """

    rate: float
    ack_p50: float
    ack_p99: float
    cpu: float
    cpu_all: float
    bytes_each: float
    rss_start: float
    rss_end: float
    rss_peak: float
    cpu_taking: float | None = None
    cpu_server: float | None = None
    mapped: float | None = None


def measure(scenario: Scenario, size: Size, folder: Path, server: Postgres | None) -> Figures:
    """One round with a fresh database. RuntimeError if anything sent was not acknowledged and stored."""
    folder.mkdir(parents=True)
    url = server.database() if server is not None else f"sqlite:///{folder / 'hub.db'}"
    try:
        with RunningHub(
            folder, url, acknowledge=scenario.acknowledge, triggers=scenario.triggers,
            max_backlog=scenario.max_backlog,
        ) as hub:  # fmt: skip
            return _measured(hub, url, size, server)
    finally:
        if server is not None:
            server.drop(url)


def _measured(hub: RunningHub, url: str, size: Size, server: Postgres | None) -> Figures:
    core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    task = Task(port=hub.port, kind="registrations", persons=size.persons, count=size.persons, core=core)
    _sent(task)
    task = msgspec.structs.replace(task, kind="orders", count=size.warm_up)
    _sent(task)
    _drained(url)
    bytes_before, before = machine.database_bytes(url), _cpu(hub, server)
    resources_before = machine.resources(url)
    with machine.Watch(hub.pid) as memory:
        load = _sent(msgspec.structs.replace(task, count=0, first=size.warm_up, seconds=size.seconds))
        acknowledged = _cpu(hub, server)
        mapped_then = load["sent"] - _waiting(url)
        begun = time.monotonic()
        _drained(url)
        seconds = time.monotonic() - begun
    after, sent = _cpu(hub, server), load["sent"]
    made = machine.resources(url) - resources_before
    if made != 2 * sent:
        raise RuntimeError(f"{sent} orders made {made} resources, expected two each")
    left = sent - mapped_then
    drain = (after[0] - acknowledged[0]) / left if left > sent / 20 else None
    taken = acknowledged[0] - before[0]
    return Figures(
        rate=sent / load["seconds"],
        ack_p50=load["p50"],
        ack_p99=load["p99"],
        cpu=taken / sent * 1000,
        cpu_taking=(taken - mapped_then * drain) / sent * 1000 if drain is not None else None,
        cpu_all=(after[0] - before[0]) / sent * 1000,
        cpu_server=(after[1] - before[1]) / sent * 1000 if server is not None else None,
        mapped=left / seconds if drain is not None else None,
        bytes_each=(machine.database_bytes(url) - bytes_before) / sent,
        rss_start=memory.first / MB,
        rss_end=memory.last / MB,
        rss_peak=memory.peak / MB,
    )


def _sent(task: Task) -> dict[str, Any]:
    with machine.loading(msgspec.json.encode(task).decode()) as running:
        output, _ = running.communicate()
    found: dict[str, Any] = json.loads(output)
    if found["codes"] != {"AA": found["sent"]}:
        raise RuntimeError(f"not every message was accepted: {found['codes']}")
    return found


def _cpu(hub: RunningHub, server: Postgres | None) -> tuple[float, float]:
    return machine.cpu_seconds(hub.pid), machine.cpu_seconds(server.pid) if server is not None else 0.0


def _waiting(url: str) -> int:
    return machine.states(url).get("received", 0)


def _drained(url: str) -> None:
    """Wait until nothing waits to be mapped."""
    while _waiting(url):
        time.sleep(0.25)
    found = machine.states(url)
    if set(found) - {"stored"}:
        raise RuntimeError(f"not every message was stored: {found}")
