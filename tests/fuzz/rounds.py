"""One fuzz run: a hub of its own, everything against it, and whether it is still well afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import psutil

from tests.faults.running import RunningHub, free_ports
from tests.fuzz import rude, schemas
from tests.fuzz.client import Client
from tests.fuzz.requests import Request
from tests.fuzz.storm import Report, storm

MOST_BYTES = 300_000_000
"""Resident memory that the hub may have at the end."""


async def fuzz(folder: Path, database_url: str, *, seed: int, seconds: float, schema: bool = True) -> str:
    """Run for about so long; everything that was wrong, or empty. What was asked is printed."""
    port = free_ports(1)[0]
    hub = RunningHub(folder, {"port": port, "database_url": database_url})
    found: list[str] = []
    try:
        await hub.start()
        await _people("127.0.0.1", port)
        report = await storm("127.0.0.1", port, seed=seed, seconds=seconds * (0.6 if schema else 1))
        print(f"{database_url.partition(':')[0]}, seed {seed}: {report}")
        found += _told(report)
        if schema:
            found.append(await schemas.ask(hub.url, folder, seconds=int(seconds * 0.4), seed=seed))
        found += await rude.each(("127.0.0.1", port))
        found += _health(hub)
    finally:
        hub.close()
    return "\n\n".join(filter(None, found))


async def _people(host: str, port: int) -> None:
    """Somebody to find, change and delete."""
    client = Client(host, port)
    for id in (*(f"p{number}" for number in range(5)), "steady"):
        body = {
            "resourceType": "Patient",
            "id": id,
            "identifier": [{"system": "a", "value": f"of-{id}"}],
            "name": [{"text": "王小明", "given": ["Xiaoming"]}],
            "gender": "male",
            "birthDate": "1980-01-01",
        }
        headers = {"Content-Type": "application/fhir+json"}
        answer = await client.send(Request("PUT", f"/fhir/Patient/{id}", json.dumps(body).encode(), headers))
        assert answer.status == 201, answer.body
    await client.close()


def _told(report: Report) -> list[str]:
    """The complaints; and a run in which nothing ever succeeds finds nothing."""
    good = report.statuses[200] + report.statuses[201]
    found = [] if not report.complaints else [str(report)]
    return found if good * 50 > len(report.seconds) else [*found, f"only {good} requests were accepted"]


def _health(hub: RunningHub) -> list[str]:
    if not hub.alive:
        return [f"the hub ended:\n{hub.tail()}"]
    used = psutil.Process(hub.pid).memory_info().rss
    print(f"resident memory at the end: {used / 1e6:.0f} MB")
    found = [] if used <= MOST_BYTES else [f"the hub holds {used / 1e6:.0f} MB"]
    code = hub.stop()
    return found if code == 0 else [*found, f"the hub stopped with {code}:\n{hub.tail()}"]
