"""kill -9 between a notification and its commit: every change is told, at most one of them twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from tests.faults.running import SERVE, RunningHub, free_ports
from tests.integration.subscriptions.endpoints import Endpoint
from tests.integration.subscriptions.scene import FHIR, patient, subscription

HERE = Path(__file__).parent
LEASES = (str(HERE / "short_leases.py"),)
CHANGES = 8


async def put(hub: RunningHub, body: dict[str, object]) -> None:
    async with httpx.AsyncClient(base_url=hub.url, timeout=30) as client:
        path = f"/fhir/{body['resourceType']}/{body['id']}"
        answer = await client.put(path, json=body, headers={"Content-Type": FHIR})
        assert answer.status_code in (200, 201), answer.text


async def told(folder: Path, url: str, script: str, then: tuple[str, ...], reached: int) -> list[str]:
    """Where the endpoint was told of, by a hub that is killed once `reached` notifications left, and started
    again."""
    endpoint = Endpoint()
    await endpoint.start()
    settings = {"database_url": url, "port": free_ports(1)[0], "name": "Killed"}
    hub = RunningHub(folder, settings, program=(str(HERE / script),))
    try:
        await hub.start()
        payload = {"payload": FHIR}
        await put(hub, {**subscription(endpoint.address, channel=payload), "id": "s"})
        for number in range(CHANGES):
            await put(hub, patient(f"p{number}"))
        await endpoint.until(reached)
        await asyncio.sleep(0.5)
        hub.kill()
        hub.program = then
        await hub.start()
        await put(hub, patient("last"))
        for _ in range(3000):
            if endpoint.paths[-1:] == ["/Patient/last"]:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        return [path.rpartition("/")[2] for path in endpoint.paths]
    finally:
        hub.close()
        await endpoint.stop()


EVERY = [*(f"p{number}" for number in range(CHANGES)), "last"]


async def test_a_kill_between_send_and_commit_repeats_one_and_loses_none(
    database_url: str, tmp_path: Path
) -> None:
    then = SERVE if database_url.startswith("sqlite") else LEASES
    found = await told(tmp_path, database_url, "standstill_notice.py", then, reached=3)
    assert found == [*EVERY[:3], "p2", *EVERY[3:]]


async def test_counting_a_notification_before_it_is_sent_is_found(sqlite_url: str, tmp_path: Path) -> None:
    """The negative control: a hub with that fault misses the one it was killed at."""
    found = await told(tmp_path, sqlite_url, "hasty_notice.py", SERVE, reached=2)
    assert found == [one for one in EVERY if one != "p2"]
