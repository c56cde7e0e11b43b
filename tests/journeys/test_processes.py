"""One hub in several processes: work is done once, a dead one is replaced, a pause counts for all."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from hub.testing.people import invented
from tests.conftest import _run
from tests.faults.running import SERVE

from .fleet import LEASE_SECONDS, Fleet, connects, fleet, until

PEOPLE = invented(60, first=700_000)
HEARD_SECONDS = 4.0


@pytest.fixture
def empty_postgres(postgres_server: str) -> Iterator[str]:
    """A PostgreSQL database without any table."""
    name = f"hub_empty_{os.getpid()}"
    asyncio.run(_run(postgres_server, f"CREATE DATABASE {name}"))
    url = make_url(postgres_server).set(drivername="postgresql", database=name)
    yield url.render_as_string(hide_password=False)
    asyncio.run(_run(postgres_server, f"DROP DATABASE {name} WITH (FORCE)"))


async def visits(scene: Fleet, hospital: str, first: int, count: int) -> None:
    """People come in and get a prescription."""
    for person in PEOPLE[first : first + count]:
        await scene.hospitals[hospital].act("visit", person=person, weeks=4)


async def polled_by_one(scene: Fleet, seconds: float = 1.5) -> None:
    since = time.monotonic()
    await asyncio.sleep(seconds)
    assert len(scene.platform.seen(since)) == 1, "several processes looked, or none"


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_three_processes_do_everything_once(postgres_url: str, tmp_path: Path) -> None:
    async with fleet(tmp_path, postgres_url) as scene:
        worker = scene.add("worker", "worker")
        await worker.start()
        await until(lambda: polls(scene, "worker"))
        for name in ("first", "second"):
            await scene.add(name).start()
        scene.insurer.faults.add("lose-reply", "2207A", times=2)
        await asyncio.gather(visits(scene, "first", 0, 4), visits(scene, "second", 4, 4))
        await scene.quiet(8)
        await scene.demand()
        await scene.quiet(9)
        assert len(scene.platform.books()["orders"]) == 1
        await polled_by_one(scene)

        scene.insurer.faults.add("late", "2207A", seconds=0.5, times=8)
        flowing = asyncio.gather(visits(scene, "first", 8, 4), visits(scene, "second", 12, 4))
        await asyncio.sleep(0.7)
        worker.kill()
        await scene.platform.act("ship", part="0.4", lot="LOT-1", expiry="2028-01-31")
        await until(lambda: polled(scene), LEASE_SECONDS + 1)
        await until(lambda: shipped(scene, 1), 5)
        await flowing
        await scene.quiet(17)
        await polled_by_one(scene)

        (holder,) = scene.holders()
        assert scene.members[holder].stop() == 0, scene.members[holder].tail()
        await until(lambda: polled(scene), LEASE_SECONDS / 2)
        await scene.platform.act("ship", lot="LOT-2", expiry="2028-01-31")
        await until(lambda: shipped(scene, 2), 5)
        (left,) = scene.alive
        await visits(scene, left, 16, 2)
        await scene.quiet(19)
        visited = Counter(scene.standing())
        assert len(visited) == 18 and set(visited.values()) == {1}
        assert scene.members[left].stop() == 0, scene.members[left].tail()
        for name in scene.members:
            assert "Traceback" not in scene.log(name) and " error " not in scene.log(name), scene.log(name)


@pytest.mark.timeout(120)
async def test_three_start_at_once_on_an_empty_database(empty_postgres: str, tmp_path: Path) -> None:
    async with fleet(tmp_path, empty_postgres) as scene:
        scene.add("worker", "worker")
        scene.add("first")
        scene.add("second")
        await scene.start()
        await until(lambda: polled(scene))
        assert [member.stop() for member in scene.members.values()] == [0, 0, 0]


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_pause_told_to_one_process_counts_in_all(postgres_url: str, tmp_path: Path) -> None:
    async with fleet(tmp_path, postgres_url) as scene:
        scene.add("worker", "worker")
        first, second = scene.add("first"), scene.add("second")
        await scene.start()

        await scene.good("channel", "pause", "insurer", "--reason", "closed", config=first.file)
        await until(lambda: paused(scene, "insurer"), HEARD_SECONDS)
        await asyncio.gather(visits(scene, "first", 0, 1), visits(scene, "second", 1, 1))
        await asyncio.sleep(2)
        assert scene.insurer.books()["visits"] == [] and scene.standing() == []
        await scene.good("channel", "resume", "insurer", config=second.file)
        await scene.quiet(2)
        assert len(scene.standing()) == 2

        await scene.good("channel", "pause", "county-hospital", config=second.file)
        targets = [scene.hospitals[name].target for name in ("first", "second")]
        await until(lambda: listening(targets, 0), HEARD_SECONDS)
        await scene.good("channel", "resume", "county-hospital", config=first.file)
        await until(lambda: listening(targets, 2), HEARD_SECONDS)

        await scene.good("channel", "pause", "procurement")
        await until(lambda: paused(scene, "procurement"), HEARD_SECONDS)
        since = time.monotonic()
        await asyncio.sleep(LEASE_SECONDS + 1)
        assert scene.platform.seen(since) == set(), "nobody looks while the channel is paused"
        await scene.good("channel", "resume", "procurement")
        await until(lambda: polled(scene), LEASE_SECONDS)
        await polled_by_one(scene)
        assert [member.stop() for member in scene.members.values()] == [0, 0, 0]


async def test_a_command_beside_workers_only_opens_the_database_itself(
    postgres_url: str, tmp_path: Path
) -> None:
    async with fleet(tmp_path, postgres_url) as scene:
        worker = scene.add("worker", "worker")
        await worker.start()
        await scene.good("channel", "pause", "procurement", config=worker.file)
        await until(lambda: paused(scene, "procurement"), HEARD_SECONDS)
        assert worker.stop() == 0


async def test_a_worker_beside_a_hub_on_sqlite_is_told_who_has_the_file(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with fleet(tmp_path, sqlite_url, SERVE) as scene:
        hub, worker = scene.add("hub"), scene.add("worker", "worker")
        await hub.start()
        code, _, errors = await scene.hub("worker", config=worker.file)
        assert code == 2 and len(errors.splitlines()) == 1
        assert f"pid {hub.pid} at {hub.url}" in errors and "PostgreSQL" in errors
        assert hub.stop() == 0
        await worker.start()
        code, _, errors = await scene.hub("message", "list", config=worker.file)
        assert code == 3 and "worker" in errors and str(worker.pid) in errors
        assert worker.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_hub_that_is_told_to_end_waits_for_its_answers(database_url: str, tmp_path: Path) -> None:
    async with fleet(tmp_path, database_url, SERVE) as scene:
        hub = scene.add("hub")
        await hub.start()
        scene.insurer.faults.add("late", "2207A", seconds=1.5, times=4)
        await visits(scene, "hub", 0, 4)
        await until(lambda: booked(scene, 4))
        flowing = asyncio.create_task(visits(scene, "hub", 4, 6))
        await asyncio.sleep(0.05)
        assert hub.stop() == 0, hub.tail()
        assert " error " not in scene.log("hub") and " warning " not in scene.log("hub"), hub.tail()
        await hub.start()
        await flowing
        await scene.quiet(10)
        assert set(Counter(scene.standing()).values()) == {1} and len(scene.standing()) == 10
        counts = (await hub.get("/admin/deliveries/counts"))["counts"]
        assert {one["state"] for one in counts} == {"delivered"}, "no answer was cut off"
        assert hub.stop() == 0


async def polls(scene: Fleet, name: str) -> bool:
    return scene.holders() == [name]


async def polled(scene: Fleet) -> bool:
    return len(scene.holders()) == 1


async def shipped(scene: Fleet, count: int) -> bool:
    return await scene.count("SupplyDelivery") == count


async def booked(scene: Fleet, count: int) -> bool:
    return len(scene.insurer.books()["settlements"]) == count


async def paused(scene: Fleet, channel: str) -> bool:
    """In every living process."""
    found = [await scene.members[name].get("/health/ready") for name in scene.alive]
    return all(one["channels"][channel] == "paused" for one in found)


async def listening(targets: list[str], count: int) -> bool:
    return sum([await connects(target) for target in targets]) == count
