"""Several hubs on one PostgreSQL: a Subscription at one counts at all of them as soon as it is active."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hub import content
from hub.store import Tx
from hub.store import subscriptions as table
from hub.store.resources import draft, put
from tests.integration.subscriptions.conftest import opened
from tests.integration.subscriptions.endpoints import Endpoint
from tests.integration.subscriptions.scene import Scene, patient, subscription


@pytest.fixture
async def two(
    postgres_url: str, installed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Scene, Scene]]:
    """Two hubs on one database."""
    monkeypatch.setattr(content, "mappings", lambda: tmp_path)
    settings = {"database_url": postgres_url}
    async with opened(settings, installed) as first, opened(settings, installed) as second:
        yield first, second


async def test_the_next_change_at_another_hub_is_told(two: tuple[Scene, Scene], endpoint: Endpoint) -> None:
    first, second = two
    await second.store(patient("before"))
    id = await first.subscribe(subscription(endpoint.address, channel={"payload": "application/fhir+json"}))
    await second.store(patient("a"))
    await endpoint.until(1)
    assert endpoint.paths == ["/Patient/a"]
    assert (await second.send("DELETE", f"Subscription/{id}")).status_code in (200, 204)
    await first.store(patient("b"))
    assert len(await first.rows()) == 1


async def test_two_hubs_send_each_notification_once(two: tuple[Scene, Scene], endpoint: Endpoint) -> None:
    first, _ = two
    await first.subscribe(subscription(endpoint.address, channel={"payload": "application/fhir+json"}))
    await asyncio.gather(*(two[number % 2].store(patient(f"p{number}")) for number in range(40)))
    await endpoint.until(40)
    await first.settled(*["delivered"] * 40)
    assert sorted(endpoint.paths) == sorted(f"/Patient/p{number}" for number in range(40))


async def interleaved(two: tuple[Scene, Scene], endpoint: Endpoint) -> tuple[bool, int]:
    """A resource is written and not committed while a Subscription is submitted elsewhere: whether that one
    was active before the resource was committed, and how many notifications there are."""
    first, second = two
    await first.subscribe(subscription(endpoint.address, "Basic"))
    await second.store(patient("known"))
    written, commit = asyncio.Event(), asyncio.Event()

    async def slow(tx: Tx) -> None:
        await put(tx, draft(second.hub.store, b'{"resourceType":"Patient","id":"slow"}', owner="api"))
        written.set()
        await commit.wait()

    storing = asyncio.create_task(second.hub.store.write(slow))
    await written.wait()
    subscribing = asyncio.create_task(first.subscribe(subscription(endpoint.address)))
    await asyncio.wait({subscribing}, timeout=0.5)
    active_first = subscribing.done()
    commit.set()
    await asyncio.gather(storing, subscribing)
    return active_first, len(await first.rows())


async def test_what_commits_after_a_subscription_is_active_is_told(
    two: tuple[Scene, Scene], endpoint: Endpoint
) -> None:
    active_first, told = await interleaved(two, endpoint)
    assert not active_first and told == 0, "it waits until whoever did not see it has committed"
    await two[1].store(patient("after"))
    assert len(await two[0].rows()) == 1


WITHOUT_LOCK = """CREATE OR REPLACE FUNCTION subscription_generation_seen() RETURNS bigint
LANGUAGE sql VOLATILE AS 'SELECT value FROM subscription_generation WHERE one = 1'"""


async def test_without_the_lock_a_change_would_be_missed(
    two: tuple[Scene, Scene], endpoint: Endpoint, postgres_url: str
) -> None:
    """The negative control of the test before."""
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(WITHOUT_LOCK)
    await connection.close()
    active_first, told = await interleaved(two, endpoint)
    assert active_first and told == 0


async def test_writers_and_subscribers_at_once_never_block_each_other_for_good(
    two: tuple[Scene, Scene], endpoint: Endpoint
) -> None:
    async def write(scene: Scene, name: str) -> None:
        for number in range(15):
            await scene.store(patient(f"{name}{number % 5}", gender="male" if number % 2 else "female"))

    async def subscribe(scene: Scene) -> None:
        for _ in range(5):
            await scene.subscribe(subscription(endpoint.address, "Patient?gender=unknown"))

    async with asyncio.timeout(60):
        await asyncio.gather(*(write(one, name) for one in two for name in "abc"), *(map(subscribe, two)))
    assert len(await table.listing(two[0].hub.store)) == 10
