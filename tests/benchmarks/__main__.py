"""`make bench`: the flow's figures, printed as a table and recorded in `.bench/`.

python -m tests.benchmarks                     three rounds of everything, about 20 minutes
python -m tests.benchmarks --short             one quick round of each acknowledgement mode, about 20 s
python -m tests.benchmarks --only stored       scenarios whose name contains the word
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

import msgspec

from tests.benchmarks.flow import Figures, Scenario, Size, measure
from tests.benchmarks.machine import Postgres

SCENARIOS = (
    Scenario(acknowledge="stored"),
    Scenario(acknowledge="stored", triggers=True),
    Scenario(acknowledge="received", seconds=10),
    Scenario(acknowledge="received", rate=3200, seconds=60),
    Scenario(acknowledge="stored", postgres=True),
    Scenario(acknowledge="received", postgres=True, seconds=10),
)
QUICK = (Scenario(acknowledge="stored"), Scenario(acknowledge="received", seconds=2))
SHORT = Size(persons=200, warm_up=300, seconds=4, rounds=1)
FULL = Size(persons=1000, warm_up=1000, seconds=20, rounds=3)

COLUMNS = {
    "rate": ("messages/s", "{:.0f}"),
    "ack_p50": ("ack p50 ms", "{:.0f}"),
    "ack_p99": ("ack p99 ms", "{:.0f}"),
    "late_p99": ("late p99 ms", "{:.0f}"),
    "cpu": ("CPU-ms until acknowledged", "{:.2f}"),
    "cpu_all": ("CPU-ms until stored", "{:.2f}"),
    "core": ("cores the hub had", "{:.2f}"),
    "cpu_server": ("database server's CPU-ms", "{:.2f}"),
    "mapped": ("mapped/s afterwards", "{:.0f}"),
    "bytes_each": ("database bytes", "{:.0f}"),
    "rss_start": ("RSS MB start", "{:.0f}"),
    "rss_end": ("RSS MB end", "{:.0f}"),
    "rss_peak": ("RSS MB peak", "{:.0f}"),
}


def cell(values: list[float | None], shape: str) -> str:
    """The median, with least and most where there are several."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    middle = shape.format(statistics.median(known))
    if len(known) == 1:
        return middle
    return f"{middle} ({shape.format(min(known))}–{shape.format(max(known))})"


def table(found: dict[str, list[Figures]]) -> str:
    """Markdown: a row per figure, a column per scenario."""
    lines = ["| | " + " | ".join(found) + " |", "|---" * (len(found) + 1) + "|"]
    for name, (title, shape) in COLUMNS.items():
        cells = [cell([getattr(one, name) for one in rounds], shape) for rounds in found.values()]
        if any(cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def record(folder: Path, size: Size, found: dict[str, list[Figures]]) -> Path:
    """All rounds as JSON, in a file named by the time."""
    folder.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    file = folder / f"{now:%Y%m%d-%H%M%S}.json"
    content = {
        "when": now.isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "size": msgspec.to_builtins(size),
        "found": msgspec.to_builtins(found),
    }
    file.write_text(json.dumps(content, indent=1), "utf-8")
    return file


def run(size: Size, scenarios: list[Scenario]) -> dict[str, list[Figures]]:
    """Every scenario in turn, round by round, so that a busy minute does not fall on one of them alone."""
    found: dict[str, list[Figures]] = {scenario.name: [] for scenario in scenarios}
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        server = Postgres(Path(folder)) if any(one.postgres for one in scenarios) else None
        try:
            for number in range(size.rounds):
                for place, scenario in enumerate(scenarios):
                    where = Path(folder) / f"{place}-{number}"
                    figures = measure(scenario, size, where, server if scenario.postgres else None)
                    found[scenario.name].append(figures)
                    said = f"{figures.rate:.0f}/s, {figures.cpu:.2f} CPU-ms"
                    print(f"round {number + 1}, {scenario.name}: {said}", file=sys.stderr)
        finally:
            if server is not None:
                server.stop()
    return found


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="about 20 seconds, SQLite only")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--rounds", type=int, help="rounds of each scenario")
    parser.add_argument("--seconds", type=float, help="seconds of orders where a scenario has no own")
    parser.add_argument("--record", type=Path, default=Path(".bench"), help="folder for the figures")
    given = parser.parse_args()
    size = SHORT if given.short else FULL
    if given.rounds:
        size = msgspec.structs.replace(size, rounds=given.rounds)
    if given.seconds:
        size = msgspec.structs.replace(size, seconds=given.seconds)
    chosen = QUICK if given.short and not given.only else SCENARIOS
    found = run(size, [one for one in chosen if given.only in one.name])
    print(table(found))
    print(f"\n{os.cpu_count()} cores, Python {platform.python_version()}, {size.rounds} round(s)")
    print(f"recorded in {record(given.record, size, found)}")


if __name__ == "__main__":
    main()
