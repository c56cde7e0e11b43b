"""`make bench`, second part: the FHIR API over HTTP from another process, per CPU-second of the whole stack.

python -m tests.benchmarks.api                       three rounds, both databases, volumes 1, 4 and 16
python -m tests.benchmarks.api --short               one quick round on SQLite at volume 1
python -m tests.benchmarks.api --only read,create    these workloads
python -m tests.benchmarks.api --database sqlite     one database
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks import machine
from tests.benchmarks.asking import SEARCH6, synthea
from tests.benchmarks.http_load import Task
from tests.benchmarks.machine import Postgres, RunningHub

MB = 1_000_000
WORKLOADS = ("read", "identifier", "include", "create", "crud9", "mix", "tx100", "import")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how often: seconds of each workload, of each shape of search6."""

    seconds: float = 8.0
    shape_seconds: float = 4.0
    rounds: int = 3
    volumes: tuple[int, ...] = (1, 4, 16)
    only: tuple[str, ...] = ()

    def wants(self, name: str) -> bool:
        return not self.only or name in self.only


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One workload in one round; `per_cpu` is of hub and database server together, p50 and p99 in ms."""

    rate: float
    per_cpu: float
    p50: float
    p99: float
    hub_share: float


class Round:
    """A hub with its data, ready to be asked."""

    def __init__(self, hub: RunningHub, server: Postgres | None, volume: int) -> None:
        self.hub, self.server, self.volume = hub, server, volume
        self.core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None

    def _cpu(self) -> tuple[float, float]:
        server = machine.cpu_seconds(self.server.pid) if self.server is not None else 0.0
        return machine.cpu_seconds(self.hub.pid), server

    def load(self, workload: str, seconds: float, *, seed: int = 1, connections: int = 16) -> dict[str, Any]:
        task = Task(
            port=self.hub.http, workload=workload, volume=self.volume, seconds=seconds, seed=seed,
            connections=connections, core=self.core,
        )  # fmt: skip
        with machine.loading(msgspec.json.encode(task).decode(), "tests.benchmarks.http_load") as running:
            output, _ = running.communicate()
        found: dict[str, Any] = json.loads(output)
        wrong = {
            status: number for status, number in found["statuses"].items() if not "200" <= status < "300"
        }
        if wrong or not found["answers"]:
            raise RuntimeError(f"{workload}: expected successes only, found {found['statuses']}")
        return found

    def measure(self, workload: str, seconds: float, *, seed: int, connections: int = 16) -> Figure:
        """A short warm-up, then what counts."""
        self.load(workload, min(seconds / 4, 1.0), seed=seed + 1000, connections=connections)
        hub_before, server_before = self._cpu()
        found = self.load(workload, seconds, seed=seed, connections=connections)
        hub_after, server_after = self._cpu()
        hub, server = hub_after - hub_before, server_after - server_before
        done = found["resources"] if workload in ("tx100", "import") else found["answers"]
        return Figure(
            rate=done / found["seconds"],
            per_cpu=done / (hub + server),
            p50=found["p50"],
            p99=found["p99"],
            hub_share=hub / (hub + server),
        )


def measure(plan: Plan, database: str, folder: Path) -> dict[str, list[Any]]:
    """All rounds on one database: workload → a Figure each; the rest → a number each."""
    found: dict[str, list[Any]] = {}
    server = Postgres(folder) if database == "postgresql" else None
    try:
        for number in range(plan.rounds):
            for volume in plan.volumes:
                where = folder / f"{number}-{volume}"
                where.mkdir(parents=True)
                url = server.database() if server is not None else f"sqlite:///{where / 'hub.db'}"
                _round(plan, where, url, server, volume, number, found)
                if server is not None:
                    server.drop(url)
    finally:
        if server is not None:
            server.stop()
    return found


def _round(
    plan: Plan,
    folder: Path,
    url: str,
    server: Postgres | None,
    volume: int,
    number: int,
    found: dict[str, list[Any]],
) -> None:
    def note(name: str, value: Any) -> None:
        found.setdefault(name, []).append(value)
        shown = (
            f"{value.per_cpu:.0f} per CPU-second, p50 {value.p50:.2f} ms"
            if isinstance(value, Figure)
            else value
        )
        print(f"round {number + 1}, volume {volume}, {name}: {shown}", file=sys.stderr)

    with RunningHub(folder, url) as empty:
        note("seconds to the first start", empty.started)
    with RunningHub(folder, url) as hub:
        note("seconds to start", hub.started)
        with machine.Watch(hub.pid) as memory:
            one = Round(hub, server, volume)
            before = machine.database_bytes(url)
            note("idle MB", memory.first / MB)
            filled = one.load("fill", 0)
            machine.settle(url)
            grown = machine.database_bytes(url) - before
            note(f"database bytes per byte of JSON, {volume}x", grown / filled["sent_bytes"])
            for name in SEARCH6:
                if plan.wants("search6") or name in plan.only:
                    shape = one.measure(name, plan.shape_seconds, seed=number, connections=1)
                    note(f"{name} {volume}x", shape)
            for name in WORKLOADS if volume == plan.volumes[0] else ():
                if plan.wants(name) and (name != "import" or synthea()):
                    note(name, one.measure(name, plan.seconds, seed=number))
        note(f"peak MB {volume}x", memory.peak / MB)


def table(found: dict[str, list[Any]]) -> str:
    """Markdown: a row per workload, medians with least and most."""
    lines = [
        "| workload | per CPU-second | per second | p50 ms | p99 ms | hub's share of the CPU |",
        "|---" * 6 + "|",
    ]
    for name, rounds in found.items():
        if isinstance(rounds[0], Figure):
            cells = [
                _cell([getattr(one, field) for one in rounds], shape)
                for field, shape in (
                    ("per_cpu", "{:.0f}"),
                    ("rate", "{:.0f}"),
                    ("p50", "{:.2f}"),
                    ("p99", "{:.1f}"),
                    ("hub_share", "{:.2f}"),
                )
            ]
        else:
            cells = [_cell(rounds, "{:.2f}"), "", "", "", ""]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: list[float], shape: str) -> str:
    middle = shape.format(statistics.median(values))
    return (
        middle if len(values) == 1 else f"{middle} ({shape.format(min(values))}–{shape.format(max(values))})"
    )


def record(folder: Path, plan: Plan, found: dict[str, dict[str, list[Any]]]) -> Path:
    """All rounds as JSON, in a file named by the time."""
    folder.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    file = folder / f"{now:%Y%m%d-%H%M%S}-api.json"
    content = {
        "when": now.isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "plan": msgspec.to_builtins(plan),
        "found": msgspec.to_builtins(found),
    }
    file.write_text(json.dumps(content, indent=1), "utf-8")
    return file


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.api")
    parser.add_argument("--short", action="store_true", help="about a minute, SQLite only, volume 1")
    parser.add_argument("--only", default="", help="workloads, comma separated; search6 for its six shapes")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="only this one")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--volumes", help="such as 1,4,16")
    parser.add_argument("--record", type=Path, default=Path(".bench"), help="folder for the figures")
    given = parser.parse_args()
    plan = Plan(seconds=2.0, shape_seconds=1.0, rounds=1, volumes=(1,)) if given.short else Plan()
    changes: dict[str, Any] = {"only": tuple(filter(None, given.only.split(",")))}
    if given.rounds:
        changes["rounds"] = given.rounds
    if given.seconds:
        changes |= {"seconds": given.seconds, "shape_seconds": given.seconds}
    if given.volumes:
        changes["volumes"] = tuple(map(int, given.volumes.split(",")))
    plan = msgspec.structs.replace(plan, **changes)
    if plan.only and not {*WORKLOADS, *SEARCH6, "search6"} & {*plan.only}:
        return
    databases = (
        [given.database] if given.database else ["sqlite"] if given.short else ["sqlite", "postgresql"]
    )
    found = {}
    for database in databases:
        with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
            found[database] = measure(plan, database, Path(folder))
        print(f"\n{database}\n\n{table(found[database])}", flush=True)
    print(f"\n{os.cpu_count()} cores, Python {platform.python_version()}, {plan.rounds} round(s)")
    print(f"recorded in {record(given.record, plan, found)}")


if __name__ == "__main__":
    main()
