"""A hub with its client, and what the tests of Subscriptions ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from hub.app import Hub
from hub.store import outbox
from hub.store.outbox import Row

FHIR = "application/fhir+json"


def subscription(endpoint: str, criteria: str = "Patient", **more: Any) -> dict[str, Any]:
    """A Subscription as a client submits it."""
    channel = {"type": "rest-hook", "endpoint": endpoint, **more.pop("channel", {})}
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "Tell the ward",
        "criteria": criteria,
        "channel": channel,
        **more,
    }


def patient(id: str, **more: Any) -> dict[str, Any]:
    """An invented person."""
    return {"resourceType": "Patient", "id": id, **more}


class Scene:
    """`client` speaks to the hub in the same process."""

    def __init__(self, hub: Hub, client: httpx.AsyncClient) -> None:
        self.hub = hub
        self.client = client

    def try_on(self) -> None:
        """No dead letter while this test goes on."""
        channel = self.hub.channels["subscriptions"]
        channel.settings = channel.settings.model_copy(update={"attempts": 10_000})

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """One request with a FHIR body."""
        given = {"Content-Type": FHIR, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self.client.request(method, f"/fhir/{path}", json=body, headers=given)

    async def subscribe(self, body: dict[str, Any]) -> str:
        """Submit a Subscription that is accepted; its id."""
        answer = await self.send("POST", "Subscription", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def store(self, body: dict[str, Any]) -> httpx.Response:
        """Store a resource under its id."""
        answer = await self.send("PUT", f"{body['resourceType']}/{body['id']}", body)
        assert answer.status_code in (200, 201), answer.text
        return answer

    async def read(self, id: str) -> dict[str, Any]:
        """A Subscription as it is now."""
        answer = await self.send("GET", f"Subscription/{id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def rows(self) -> list[Row]:
        """The outbox, oldest first."""
        found = await outbox.listing(self.hub.store, channel="subscriptions", most=10_000)
        return list(reversed(found))

    async def states(self) -> list[str]:
        """The states of its rows."""
        return [row.state for row in await self.rows()]

    async def settled(self, *states: str) -> None:
        """Wait until the outbox holds exactly these states."""

        async def holds() -> bool:
            return await self.states() == list(states)

        await self.until(holds)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait for something; AssertionError with the outbox when it does not come about."""
        for _ in range(1500):
            if await holds():
                return
            await asyncio.sleep(0.01)
        told = [(row.state, row.attempts, row.error) for row in await self.rows()]
        raise AssertionError(f"it did not come about: {told[-5:]}")

    async def status(self, id: str, status: str) -> dict[str, Any]:
        """Wait until a Subscription has a status; the Subscription."""
        found: dict[str, Any] = {}

        async def holds() -> bool:
            nonlocal found
            found = await self.read(id)
            return bool(found["status"] == status)

        await self.until(holds)
        return found
