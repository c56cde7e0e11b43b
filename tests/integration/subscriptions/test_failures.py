"""At least once, in order, retried, dead-lettered, replayed; and never a storm."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.integration.subscriptions.conftest import opened
from tests.integration.subscriptions.endpoints import Endpoint
from tests.integration.subscriptions.scene import Scene, patient, subscription

JSON = {"payload": "application/fhir+json"}


async def test_a_failing_endpoint_is_asked_again_until_it_takes_it(scene: Scene, endpoint: Endpoint) -> None:
    scene.try_on()
    endpoint.faults.add("http-500", times=3)
    await scene.subscribe(subscription(endpoint.address))
    await scene.store(patient("a"))
    await endpoint.until(1)
    await scene.settled("delivered")
    (row,) = await scene.rows()
    assert row.attempts == 4 and len(endpoint.got) == 1


async def test_order_is_kept_under_failures(scene: Scene, endpoint: Endpoint) -> None:
    scene.try_on()
    for what in ("http-500", "lose-request", "http-500", "http-500", "lose-request"):
        endpoint.faults.add(what, times=2)
    await scene.subscribe(subscription(endpoint.address, channel=JSON))
    for number in range(12):
        await scene.store(patient(f"p{number}"))
    await endpoint.until(12)
    assert [one.path.rpartition("/")[2] for one in endpoint.got] == [f"p{number}" for number in range(12)]


async def test_a_lost_answer_means_a_repeat_and_no_gap(scene: Scene, endpoint: Endpoint) -> None:
    scene.try_on()
    endpoint.faults.add("lose-reply", times=2)
    await scene.subscribe(subscription(endpoint.address, channel=JSON))
    for number in range(3):
        await scene.store(patient(f"p{number}"))
    await endpoint.until(5)
    await scene.settled("delivered", "delivered", "delivered")
    assert [one.path.rpartition("/")[2] for one in endpoint.got] == ["p0", "p0", "p0", "p1", "p2"]
    assert len({one.body for one in endpoint.got}) == 3, "a repeat sends the same bytes"


async def test_an_endpoint_that_fails_holds_up_no_other(scene: Scene, endpoint: Endpoint) -> None:
    scene.try_on()
    other = Endpoint()
    await other.start()
    try:
        endpoint.says = 503
        await scene.subscribe(subscription(f"{endpoint.address}/bad"))
        await scene.subscribe(subscription(f"{other.address}/good"))
        for number in range(5):
            await scene.store(patient(f"p{number}"))
        await other.until(5)
        assert endpoint.got == [] and endpoint.asked > 0
    finally:
        await other.stop()


async def test_a_redirect_is_not_followed(scene: Scene, endpoint: Endpoint) -> None:
    other = Endpoint()
    await other.start()
    try:
        endpoint.redirect = other.address
        id = await scene.subscribe(subscription(endpoint.address))
        await scene.store(patient("a"))
        found = await scene.status(id, "error")
        assert "307" in found["error"] and other.asked == 0
    finally:
        await other.stop()


async def test_after_the_last_attempt_it_is_a_dead_letter_that_can_be_replayed(
    scene: Scene, endpoint: Endpoint
) -> None:
    endpoint.says = 503
    id = await scene.subscribe(subscription(endpoint.address, channel=JSON))
    for name in ("a", "b"):
        await scene.store(patient(name))
    await scene.settled("dead", "pending")
    assert endpoint.asked == 4, "the one behind it waits"
    found = await scene.status(id, "error")
    assert found["error"] == "the endpoint answered with HTTP status 503 (4 attempts)"

    (letter,) = (await scene.client.get("/admin/dead-letters?channel=subscriptions")).json()["dead_letters"]
    assert letter["order"] == f"Subscription/{id}" and letter["business_id"] == "Patient/a/_history/1"
    endpoint.says = 200
    await scene.store(patient("c"))
    await asyncio.sleep(0.2)
    assert endpoint.got == [], "a dead letter holds back its own Subscription"
    answer = await scene.client.post(f"/admin/dead-letters/{letter['id']}/replay")
    assert answer.status_code == 200
    await endpoint.until(3)
    assert endpoint.paths == ["/Patient/a", "/Patient/b", "/Patient/c"]
    found = await scene.status(id, "active")
    assert "error" not in found


async def test_requesting_it_again_lets_it_go_on_at_the_mended_endpoint(
    scene: Scene, endpoint: Endpoint
) -> None:
    id = await scene.subscribe(subscription("http://127.0.0.1:1/nobody", channel=JSON))
    for name in ("a", "b"):
        await scene.store(patient(name))
    await scene.status(id, "error")
    await scene.settled("dead", "pending")
    await scene.store({**subscription(endpoint.address, channel=JSON), "id": id})
    await endpoint.until(2)
    assert endpoint.paths == ["/Patient/a", "/Patient/b"]
    assert (await scene.read(id))["status"] == "active"


async def test_while_it_fails_for_long_its_status_says_so_and_it_is_still_tried(
    scene: Scene, endpoint: Endpoint
) -> None:
    scene.try_on()
    endpoint.says = 500
    id = await scene.subscribe(subscription(endpoint.address))
    await scene.store(patient("a"))
    found = await scene.status(id, "error")
    assert found["meta"]["versionId"] == "2" and "500" in found["error"]
    before = endpoint.asked
    await scene.until(lambda: _more(endpoint, before + 3))
    assert (await scene.read(id))["meta"]["versionId"] == "2", "one version for one outage"
    endpoint.says = 204
    assert (await scene.status(id, "active"))["meta"]["versionId"] == "3"
    assert len(endpoint.got) == 1


async def _more(endpoint: Endpoint, asked: int) -> bool:
    return endpoint.asked >= asked


async def test_the_client_still_owns_what_the_hub_marked(scene: Scene, endpoint: Endpoint) -> None:
    endpoint.says = 500
    id = await scene.subscribe(subscription(endpoint.address))
    await scene.store(patient("a"))
    await scene.status(id, "error")
    assert (await scene.send("DELETE", f"Subscription/{id}")).status_code in (200, 204)


async def test_a_paused_channel_sends_nothing_and_resumes_where_it_stopped(
    scene: Scene, endpoint: Endpoint
) -> None:
    await scene.subscribe(subscription(endpoint.address))
    assert (await scene.client.post("/admin/channels/subscriptions/pause")).status_code == 200
    await scene.store(patient("a"))
    await asyncio.sleep(0.2)
    assert endpoint.asked == 0 and await scene.states() == ["pending"]
    assert (await scene.client.post("/admin/channels/subscriptions/resume")).status_code == 200
    await endpoint.until(1)


async def test_the_channel_is_listed_once_there_is_a_subscription(scene: Scene, endpoint: Endpoint) -> None:
    async def listed() -> list[str]:
        return [row["name"] for row in (await scene.client.get("/admin/channels")).json()["channels"]]

    assert await listed() == []
    answer = await scene.client.post("/admin/channels/subscriptions/pause")
    assert answer.json()["state"] == "paused" and await listed() == ["subscriptions"]
    answer = await scene.client.post("/admin/channels/subscriptions/resume")
    assert answer.json()["state"] == "running" and await listed() == []
    await scene.subscribe(subscription(endpoint.address))
    assert await listed() == ["subscriptions"]


async def test_after_a_restart_it_goes_on_without_a_storm(
    settings: dict[str, Any], installed: Any, endpoint: Endpoint
) -> None:
    async with opened(settings, installed) as scene:
        id = await scene.subscribe(subscription(endpoint.address, channel=JSON))
        for number in range(5):
            await scene.store(patient(f"p{number}"))
        await endpoint.until(5)
        await scene.settled(*["delivered"] * 5)
        assert (await scene.client.post("/admin/channels/subscriptions/pause")).status_code == 200
        for number in range(5, 10):
            await scene.store(patient(f"p{number}"))
    async with opened(settings, installed) as scene:
        assert (await scene.client.post("/admin/channels/subscriptions/resume")).status_code == 200
        await endpoint.until(10)
        await scene.store(patient("p10"))
        await endpoint.until(11)
        await scene.settled(*["delivered"] * 11)
        await asyncio.sleep(0.1)
        assert endpoint.paths == [f"/Patient/p{number}" for number in range(11)]
        assert (await scene.read(id))["status"] == "active"


async def test_a_thousand_changes_are_a_thousand_notifications_each_once(
    scene: Scene, endpoint: Endpoint
) -> None:
    await scene.subscribe(subscription(endpoint.address, channel=JSON))
    gate = asyncio.Semaphore(32)

    async def one(number: int) -> None:
        async with gate:
            await scene.store(patient(f"p{number}"))

    await asyncio.gather(*(one(number) for number in range(1000)))
    await endpoint.until(1000, seconds=90)
    await scene.until(lambda: _all_delivered(scene))
    assert sorted(endpoint.paths) == sorted(f"/Patient/p{number}" for number in range(1000))
    if not scene.hub.store.postgres:  # there, units that run side by side commit in an order of their own
        rows = await scene.rows()
        assert endpoint.paths == [f"/{row.business_id.partition('/_history')[0]}" for row in rows]
    assert scene.hub.metrics.value("hub_deliveries_total", "subscriptions", "delivered") == 1000


async def _all_delivered(scene: Scene) -> bool:
    return set(await scene.states()) == {"delivered"}


async def test_an_endless_answer_is_read_no_further_than_needed(scene: Scene) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"1000\r\n" + bytes(4096) + b"\r\n")
                await writer.drain()
        except OSError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await scene.subscribe(subscription(f"http://127.0.0.1:{port}/"))
        await scene.store(patient("a"))
        await scene.settled("delivered")


async def status_of(scene: Scene, path: str) -> list[dict[str, Any]]:
    """The parameters that $status gives of each Subscription."""
    answer = await scene.client.get(f"/fhir/{path}")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    found = []
    for entry in bundle.get("entry", []):
        assert entry["resource"]["resourceType"] == "Parameters"
        found.append(
            {
                one["name"]: next(value for key, value in one.items() if key.startswith("value"))
                for one in entry["resource"]["parameter"]
            }
        )
    return found


async def test_the_status_of_a_subscription_is_told(scene: Scene, endpoint: Endpoint) -> None:
    id = await scene.subscribe(subscription(endpoint.address))
    (fresh,) = await status_of(scene, f"Subscription/{id}/$status")
    assert fresh == {
        "subscription": {"reference": f"http://127.0.0.1:8080/fhir/Subscription/{id}"},
        "status": "active",
        "type": "query-status",
        "events-since-subscription-start": "0",
    }
    await scene.store(patient("a"))
    await endpoint.until(1)
    endpoint.says = 503
    for name in ("b", "c"):
        await scene.store(patient(name))
    await scene.settled("delivered", "dead", "pending")
    (failed,) = await status_of(scene, f"Subscription/{id}/$status")
    assert (failed["status"], failed["events-since-subscription-start"]) == ("error", "3")
    assert "503" in failed["error"]["text"]
    (row,) = (await scene.client.get("/admin/subscriptions")).json()["subscriptions"]
    assert (row["id"], row["type"], row["status"]) == (id, "Patient", "error")
    assert (row["delivered"], row["waiting"], row["dead_letters"]) == (1, 2, 1)
    metrics = (await scene.client.get("/metrics")).text
    assert 'hub_subscriptions{status="error"} 1' in metrics


async def test_the_status_of_several_is_told_by_id_or_by_status(scene: Scene, endpoint: Endpoint) -> None:
    first, second = [await scene.subscribe(subscription(endpoint.address)) for _ in range(2)]
    off = await scene.subscribe(subscription(endpoint.address, status="off"))

    async def ids(path: str) -> set[str]:
        return {one["subscription"]["reference"].rpartition("/")[2] for one in await status_of(scene, path)}

    assert await ids("Subscription/$status") == {first, second, off}
    assert await ids(f"Subscription/$status?id={first}&id={off}") == {first, off}
    assert await ids("Subscription/$status?status=active") == {first, second}
    assert await ids("Subscription/$status?id=nobody") == set()
    answer = await scene.client.get("/fhir/Subscription/nobody/$status")
    assert answer.status_code == 404
    assert (await scene.client.get("/fhir/Patient/$status")).status_code == 404
    body = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueId": first}]}
    posted = await scene.client.post(
        "/fhir/Subscription/$status", json=body, headers={"Content-Type": "application/fhir+json"}
    )
    assert posted.status_code == 200 and json.loads(posted.content)["total"] == 1
