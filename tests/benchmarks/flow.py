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
DRAIN_SECONDS = 15.0


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured: `acknowledge` and `triggers` as in the hub's settings; `rate` as in `load.Task`.

    `seconds` of orders, where it is not the usual time.
    """

    acknowledge: str
    postgres: bool = False
    triggers: bool = False
    rate: float = 0.0
    seconds: float = 0.0

    @property
    def name(self) -> str:
        words = [self.acknowledge, "PostgreSQL" if self.postgres else "SQLite"]
        words += ["triggers"] if self.triggers else []
        words += [f"{self.rate:.0f}/s for {self.seconds:.0f} s"] if self.rate else []
        return ", ".join(words)


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much: persons registered beforehand, orders to warm up with, seconds of orders that count."""

    persons: int
    warm_up: int
    seconds: float
    rounds: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one round found.

    rate            acknowledged messages per second        ack_p50, ack_p99  milliseconds
    late_p99        milliseconds a message left later than its rate asks, because all connections were waiting
    cpu             CPU-ms of the hub per message until acknowledged, with what it mapped meanwhile
    cpu_all         CPU-ms of the hub per message until mapped and stored
    core            of one processor core, how much the hub had while orders came in
    cpu_server      CPU-ms of the database server per message on top, until acknowledged
    mapped          received mode: messages mapped per second once nothing came in any more
    rss_*           resident megabytes of the hub           bytes_each       database bytes per stored message
    """

    rate: float
    ack_p50: float
    ack_p99: float
    late_p99: float
    cpu: float
    cpu_all: float
    core: float
    bytes_each: float | None
    rss_start: float
    rss_end: float
    rss_peak: float
    cpu_server: float | None = None
    mapped: float | None = None


def measure(scenario: Scenario, size: Size, folder: Path, server: Postgres | None) -> Figures:
    """One round with a fresh database. RuntimeError if anything sent was not acknowledged and kept."""
    folder.mkdir(parents=True)
    url = server.database() if server is not None else f"sqlite:///{folder / 'hub.db'}"
    try:
        with RunningHub(folder, url, acknowledge=scenario.acknowledge, triggers=scenario.triggers) as hub:
            return _Round(hub, url, server).run(scenario, size)
    finally:
        if server is not None:
            server.drop(url)


class _Round:
    """A running hub with its database, and what was read off them before."""

    def __init__(self, hub: RunningHub, url: str, server: Postgres | None) -> None:
        self.hub, self.url, self.server = hub, url, server

    def run(self, scenario: Scenario, size: Size) -> Figures:
        core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
        task = Task(
            port=self.hub.port, kind="registrations", persons=size.persons, count=size.persons, core=core
        )
        _sent(task)
        task = msgspec.structs.replace(task, kind="orders", count=size.warm_up)
        _sent(task)
        self._drain(60)
        resources, bytes_before = machine.resources(self.url), machine.database_bytes(self.url)
        before, server_before = self._cpu()
        with machine.Watch(self.hub.pid) as memory:
            seconds = scenario.seconds or size.seconds
            load = _sent(
                msgspec.structs.replace(
                    task, count=0, first=size.warm_up, seconds=seconds, rate=scenario.rate
                )
            )
            after, server_after = self._cpu()
            waiting = machine.waiting(self.url)
            seconds = self._drain(DRAIN_SECONDS)
        left = machine.waiting(self.url)
        drained = waiting - left
        sent, cost = load["sent"], (self._cpu()[0] - after) / drained if drained else 0.0
        self._check(size, sent, resources, whole=not left)
        if scenario.triggers and machine.deliveries(self.url) != size.warm_up + sent:
            raise RuntimeError("expected one outbox row for every order")
        cpu = after - before
        return Figures(
            rate=sent / load["seconds"],
            ack_p50=load["p50"],
            ack_p99=load["p99"],
            late_p99=load["late_p99"],
            cpu=cpu / sent * 1000,
            cpu_all=(cpu + waiting * cost) / sent * 1000,
            core=cpu / load["seconds"],
            cpu_server=(server_after - server_before) / sent * 1000 if self.server is not None else None,
            mapped=drained / seconds if waiting else None,
            bytes_each=None if left else (machine.database_bytes(self.url) - bytes_before) / sent,
            rss_start=memory.first / MB,
            rss_end=memory.last / MB,
            rss_peak=memory.peak / MB,
        )

    def _cpu(self) -> tuple[float, float]:
        server = machine.cpu_seconds(self.server.pid) if self.server is not None else 0.0
        return machine.cpu_seconds(self.hub.pid), server

    def _drain(self, most: float) -> float:
        """Wait, so many seconds at most, until nothing waits to be mapped; how long it took."""
        begun = time.monotonic()
        while machine.waiting(self.url) and time.monotonic() < begun + most:
            time.sleep(0.2)
        return time.monotonic() - begun

    def _check(self, size: Size, sent: int, resources: int, *, whole: bool) -> None:
        """Every message is there, and every mapped one made a MedicationRequest and a Claim."""
        found = machine.states(self.url)
        total = size.persons + size.warm_up + sent
        if sum(found.values()) != total or set(found) - {"stored", "received"}:
            raise RuntimeError(f"of {total} messages the inbox has {found}")
        made = machine.resources(self.url) - resources
        if whole and made != 2 * sent:
            raise RuntimeError(f"{sent} orders made {made} resources, expected two each")


def _sent(task: Task) -> dict[str, Any]:
    with machine.loading(msgspec.json.encode(task).decode()) as running:
        output, _ = running.communicate()
    found: dict[str, Any] = json.loads(output)
    if found["codes"] != {"AA": found["sent"]}:
        raise RuntimeError(f"not every message was accepted: {found['codes']}")
    return found
