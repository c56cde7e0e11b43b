"""The operators' routes, health and metrics."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from hub.app import Hub
from hub.errors import Issue
from hub.messages import Message
from hub.store import inbox, outbox
from hub.store.backend import Tx


async def keep(hub: Hub, key: str, body: bytes = b"MSH|", state: str = "invalid") -> int:
    message = Message(key=key, body=body, kind="ADT^A04", content_type="application/hl7-v2")

    async def work(tx: Tx) -> int:
        return await inbox.keep(
            tx, "ward", message, state, received=tx.now, issues=[Issue(diagnostics="PID is missing")]
        )

    return await hub.store.write(work)


async def bury(hub: Hub) -> int:
    async def work(tx: Tx) -> int:
        made = await outbox.add(
            tx,
            "insurer",
            conversation=0,
            step="settle",
            document="x/y",
            reply_document="",
            effect=True,
            ordering="k",
        )
        await outbox.mark(tx, made, "dead", error="refused connection")
        return made

    return await hub.store.write(work)


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_messages_are_listed_newest_first_with_filters(client: httpx.AsyncClient, hub: Hub) -> None:
    ids = [await keep(hub, str(number)) for number in range(3)]
    await keep(hub, "s", state="stored")
    rows = (await get(client, "/admin/messages?state=invalid&channel=ward"))["messages"]
    assert [row["id"] for row in rows] == ids[::-1]
    assert rows[0]["issues"][0]["diagnostics"] == "PID is missing" and "body" not in rows[0]
    page = (await get(client, f"/admin/messages?limit=1&before={ids[1]}"))["messages"]
    assert [row["id"] for row in page] == [ids[0]]
    counts = (await get(client, "/admin/messages/counts"))["counts"]
    assert {(row["state"], row["messages"], row["reply"]) for row in counts} == {
        ("invalid", 3, False),
        ("stored", 1, False),
    }


async def test_a_message_is_shown_as_it_came(client: httpx.AsyncClient, hub: Hub) -> None:
    text = await keep(hub, "1", "MSH|王珅".encode("gb18030"))
    binary = await keep(hub, "2", b"\x00\xff\xfe")
    assert (await get(client, f"/admin/messages/{text}"))["body"] == "MSH|王珅"
    assert (await get(client, f"/admin/messages/{binary}"))["body_base64"] == "AP/+"


async def test_what_is_not_there_is_404_and_what_is_no_id_400(client: httpx.AsyncClient) -> None:
    for path in ("messages/99", "deliveries/99", "journeys/none"):
        assert (await client.get(f"/admin/{path}")).status_code == 404
    for path in (
        "messages/99/replay",
        "dead-letters/99/replay",
        "channels/none/pause",
        "channels/none/resume",
    ):
        answer = await client.post(f"/admin/{path}")
        assert answer.status_code == 404 and answer.json()["error"]
    for path in ("messages/x", "messages?limit=0", "messages/99999999999999999999", "messages?limit=x"):
        assert (await client.get(f"/admin/{path}")).status_code == 400
    assert (await client.get("/nothing")).json() == {"error": "Not Found"}


async def test_dead_letters_are_replayed(client: httpx.AsyncClient, hub: Hub) -> None:
    id = await bury(hub)
    rows = (await get(client, "/admin/dead-letters"))["dead_letters"]
    assert [(row["id"], row["error"]) for row in rows] == [(id, "refused connection")]
    again = await client.post(f"/admin/dead-letters/{id}/replay")
    assert again.status_code == 200 and again.json()["state"] == "pending"
    assert (await client.post(f"/admin/dead-letters/{id}/replay")).status_code == 409
    assert (await get(client, "/admin/dead-letters"))["dead_letters"] == []
    assert (await get(client, "/admin/deliveries"))["deliveries"][0]["id"] == id
    assert (await get(client, "/admin/deliveries/counts"))["counts"][0]["deliveries"] == 1


@pytest.mark.parametrize("path", ["channels", "conversations", "adapters", "unmapped", "audit"])
async def test_every_listing_answers(client: httpx.AsyncClient, path: str) -> None:
    found = await get(client, f"/admin/{path}")
    assert isinstance(next(iter(found.values())), list)


async def test_actions_are_audited(client: httpx.AsyncClient, hub: Hub) -> None:
    id = await keep(hub, "1")
    await get(client, f"/admin/messages/{id}")
    rows = (await get(client, "/admin/audit"))["audit"]
    assert (rows[0]["action"], rows[0]["target"]) == ("admin", f"messages/{id}")


async def test_health_and_metrics(client: httpx.AsyncClient, hub: Hub) -> None:
    assert (await get(client, "/health/live"))["status"] == "live"
    assert (await get(client, "/health/ready"))["status"] == "ready"
    await client.get("/fhir/Patient/secret-id")
    await bury(hub)
    text = (await client.get("/metrics")).text
    assert 'hub_http_requests_total{interaction="read",status="404"} 1' in text
    assert 'hub_deliveries{state="dead"} 1' in text
    assert "hub_ready 1" in text and "secret-id" not in text


async def test_documentation_of_the_operators_routes(client: httpx.AsyncClient) -> None:
    paths = (await get(client, "/openapi.json"))["paths"]
    assert "/admin/messages/{id}/replay" in paths and "/health/ready" in paths
    answer = await client.get("/docs")
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "POST /admin/messages/{id}/replay" in answer.text and "<code>before</code>" in answer.text
    assert not re.findall(r"(?:https?:)?//[^\s]*|@import|url\(", answer.text), (
        "it loads nothing from anywhere"
    )
