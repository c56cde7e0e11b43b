"""Leases: one process polls a channel; who lost it cannot move the cursor."""

from __future__ import annotations

from typing import Any

import pytest

from hub.channels import Lease
from hub.store import Store, inbox, leases
from tests.integration.flow.parts import channel, pipeline, registration


async def take(store: Store, owner: str, seconds: float = 30) -> int:
    return await store.write(lambda tx: leases.take(tx, "platform", owner, seconds))


async def test_one_owner_at_a_time(store: Store, ticking: Any) -> None:
    assert await take(store, "a") == 1
    assert await take(store, "b") == 0
    assert await take(store, "a") == 1, "renewing keeps the fence"
    ticking.advance(31)
    assert await take(store, "b") == 2
    assert await take(store, "a") == 0


async def test_a_released_lease_is_free_at_once(store: Store, ticking: Any) -> None:
    await take(store, "a")
    await store.write(lambda tx: leases.release(tx, "platform", "a"))
    ticking.advance(0.001)
    assert await take(store, "b") == 2


async def test_who_lost_the_lease_cannot_move_the_cursor(store: Store, ticking: Any) -> None:
    flow, platform = pipeline(store), channel("platform")
    platform.lease = Lease("a", await take(store, "a"))
    assert (await flow.take(platform, "page-1", registration(control_id="1"))).code == "accepted"
    ticking.advance(31)
    await take(store, "b")
    late = await flow.take(platform, "page-2", registration(control_id="2"))
    assert late.code == "unavailable"
    assert await inbox.read_cursor(store, "platform") == "page-1"
    assert len(await inbox.listing(store)) == 1, "what it read is read again by the other one"


@pytest.mark.parametrize("owner", ["a", "b"])
async def test_a_stale_fence_is_refused(store: Store, ticking: Any, owner: str) -> None:
    fence = await take(store, "a")
    ticking.advance(31)
    await take(store, "b")
    with pytest.raises(leases.LeaseLost, match="another process"):
        await store.write(lambda tx: leases.check(tx, "platform", owner, fence))
