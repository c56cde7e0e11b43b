"""Which Subscriptions are accepted, with which status, and what is said of the others."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from hub.errors import Misconfigured
from hub.settings import build
from hub.subscriptions import Endpoints
from tests.integration.subscriptions.conftest import opened
from tests.integration.subscriptions.endpoints import Endpoint
from tests.integration.subscriptions.scene import Scene, patient, subscription

LOCAL = "http://127.0.0.1:9"


TYPE, ENDPOINT, PAYLOAD = (f"Subscription.channel.{name}" for name in ("type", "endpoint", "payload"))
HEADER, CRITERIA = "Subscription.channel.header", "Subscription.criteria"


@pytest.mark.parametrize(
    ("change", "place", "code"),
    [
        ({"channel": {"type": "websocket"}}, TYPE, "not-supported"),
        ({"channel": {"type": "email", "endpoint": "mailto:a@b.example"}}, TYPE, "not-supported"),
        ({"channel": {"type": "sms"}}, TYPE, "not-supported"),
        ({"channel": {"type": "message"}}, TYPE, "not-supported"),
        ({"channel": {"type": "rest-hook"}}, ENDPOINT, "required"),
        ({"channel": {"endpoint": "https://his.example.org/hook"}}, ENDPOINT, "business-rule"),
        ({"channel": {"endpoint": "http://127.0.0.1:8080/admin/x"}}, ENDPOINT, "business-rule"),
        ({"channel": {"endpoint": "ftp://127.0.0.1/x"}}, ENDPOINT, "business-rule"),
        ({"channel": {"endpoint": "http://a:b@127.0.0.1:9/x"}}, ENDPOINT, "business-rule"),
        ({"channel": {"endpoint": f"{LOCAL}/x?y=1", "payload": "application/fhir+json"}}, ENDPOINT, "value"),
        ({"channel": {"payload": "text/plain"}}, PAYLOAD, "not-supported"),
        ({"channel": {"header": ["no colon"]}}, f"{HEADER}[0]", "value"),
        ({"channel": {"header": ["A: 1", "B: x\r\ny"]}}, f"{HEADER}[1]", "value"),
        ({"channel": {"header": ["Host: other"]}}, f"{HEADER}[0]", "business-rule"),
        ({"criteria": "Nothing?x=1"}, CRITERIA, "value"),
        ({"criteria": "Patient?nothing=1"}, CRITERIA, "not-supported"),
        ({"criteria": "Patient?birthdate=yesterday"}, CRITERIA, "invalid"),
        ({"criteria": "Patient?_cursor=x"}, CRITERIA, "not-supported"),
    ],
)
async def test_what_cannot_be_told_is_refused_with_the_reason(
    scene: Scene, change: dict[str, Any], place: str, code: str
) -> None:
    body = subscription(LOCAL)
    channel = change.get("channel", {})
    body |= change | {"channel": channel if "type" in channel else {**body["channel"], **channel}}
    answer = await scene.send("POST", "Subscription", body)
    assert answer.status_code == 422, answer.text
    (issue,) = answer.json()["issue"]
    assert (issue["expression"], issue["code"]) == ([place], code)
    assert issue["diagnostics"]


async def test_every_reason_is_told_at_once(scene: Scene) -> None:
    channel = {"payload": "text/plain", "header": ["x"]}
    body = subscription("https://his.example.org", "Patient?a=1&b=2", channel=channel)
    answer = await scene.send("POST", "Subscription", body)
    assert answer.status_code == 422
    assert [one["expression"][0] for one in answer.json()["issue"]] == [
        "Subscription.criteria", "Subscription.criteria", "Subscription.channel.endpoint",
        "Subscription.channel.payload", "Subscription.channel.header[0]",
    ]  # fmt: skip


async def test_what_is_no_subscription_at_all_is_a_bad_request(scene: Scene) -> None:
    body = subscription(LOCAL)
    del body["criteria"]
    assert (await scene.send("POST", "Subscription", body)).status_code == 400


@pytest.mark.parametrize("status", ["requested", "active", "error"])
async def test_whatever_a_client_says_but_off_the_hub_activates(scene: Scene, status: str) -> None:
    body = subscription(LOCAL, status=status, error="old news")
    answer = await scene.send("POST", "Subscription", body)
    assert answer.status_code == 201 and answer.json()["status"] == "active"
    assert "error" not in answer.json() and answer.json()["meta"]["versionId"] == "1"


async def test_a_client_may_submit_one_that_is_off(scene: Scene) -> None:
    body = subscription("https://his.example.org", status="off")
    answer = await scene.send("POST", "Subscription", body)
    assert answer.status_code == 201 and answer.json()["status"] == "off"
    await scene.store(patient("a"))
    assert await scene.rows() == []


async def test_the_same_request_again_makes_no_version(scene: Scene) -> None:
    body = {**subscription(LOCAL), "id": "s"}
    await scene.store(body)
    again = await scene.store(body)
    assert again.json()["meta"]["versionId"] == "1"


async def test_in_a_transaction_and_by_a_patch_it_is_checked_too(scene: Scene) -> None:
    entry = {
        "resource": subscription("https://his.example.org"),
        "request": {"method": "POST", "url": "Subscription"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    answer = await scene.client.post("/fhir", json=bundle, headers={"Content-Type": "application/fhir+json"})
    assert answer.status_code == 422, answer.text
    assert "Bundle.entry[0]" in answer.json()["issue"][0]["expression"][0]
    await scene.store({**subscription(LOCAL), "id": "s"})
    patch = [{"op": "replace", "path": "/channel/endpoint", "value": "https://his.example.org"}]
    answer = await scene.client.patch(
        "/fhir/Subscription/s", json=patch, headers={"Content-Type": "application/json-patch+json"}
    )
    assert answer.status_code == 422, answer.text


async def test_the_operator_says_where_notifications_may_go(
    settings: dict[str, Any], installed: Any, endpoint: Endpoint
) -> None:
    allow = {"subscriptions_allow": [f"{endpoint.address}/only/here"]}
    async with opened(settings | allow, installed) as scene:
        for path, status in (
            ("/only/here", 201),
            ("/only/here/too", 201),
            ("/only/hereafter", 422),
            ("/", 422),
        ):
            answer = await scene.send("POST", "Subscription", subscription(endpoint.address + path))
            assert answer.status_code == status, path


async def test_a_policy_that_became_stricter_stops_what_was_accepted(
    settings: dict[str, Any], installed: Any, endpoint: Endpoint
) -> None:
    async with opened(settings, installed) as scene:
        id = await scene.subscribe(subscription(endpoint.address))
    async with opened(settings | {"subscriptions_allow": []}, installed) as scene:
        await scene.store(patient("a"))
        found = await scene.status(id, "error")
        assert "does not allow" in found["error"]
    assert endpoint.asked == 0


@pytest.mark.parametrize(
    ("prefix", "endpoint", "allowed"),
    [
        ("http://localhost", "http://localhost:99/x", True),
        ("http://localhost", "HTTP://LOCALHOST/x", True),
        ("http://localhost", "https://localhost/x", False),
        ("http://localhost", "http://localhost.evil.example/", False),
        ("http://localhost", "http://localhost@evil.example/", False),
        ("http://127.0.0.1", "http://127.0.0.1.evil.example/", False),
        ("http://127.0.0.1", "http://2130706433/", False),
        ("http://[::1]", "http://[::1]:7/x", True),
        ("https://h.example:8443", "https://h.example/", False),
        ("https://h.example:443", "https://h.example/a", True),
        ("https://h.example/a/", "https://h.example/a/b", True),
        ("https://h.example/a", "https://h.example/ab", False),
        ("https://h.example/a", "https://h.example/a/../b", False),
        ("https://h.example/a", "https://h.example/a/%2e%2e/b", False),
        ("https://h.example/a", "https://h.example/a?to=b", True),
        ("https://h.example", "//h.example/a", False),
        ("https://h.example", "https://", False),
        ("https://h.example", "https://h.example:x/", False),
    ],
)
def test_an_endpoint_is_compared_part_by_part(prefix: str, endpoint: str, allowed: bool) -> None:
    assert (Endpoints([prefix]).refusal(endpoint) == "") is allowed


@pytest.mark.parametrize("value", ["127.0.0.1", "ftp://h", "http://u@h", "http://h:99999", "http://h?x", ""])
def test_a_prefix_that_is_no_url_is_told_at_the_start(value: str) -> None:
    with pytest.raises(Misconfigured, match="subscriptions_allow"):
        build({"subscriptions_allow": [value]})


def test_no_channel_may_take_the_name_of_the_hubs_own() -> None:
    with pytest.raises(Misconfigured, match="hub's own channel"):
        build({"channels": {"subscriptions": {"adapter": "his-hl7v2"}}})


async def test_headers_are_in_no_log_audit_or_listing(
    scene: Scene, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hub")
    endpoint.says = 401
    secret = {"header": ["Authorization: Bearer tell-nobody"]}
    id = await scene.subscribe(subscription(endpoint.address, "Patient?name=mei", channel=secret))
    await scene.store(patient("a", name=[{"text": "Mei"}]))
    await scene.status(id, "error")
    refused = await scene.send(
        "POST", "Subscription", subscription(LOCAL, channel={"header": ["Bearer tell-nobody"]})
    )
    assert refused.status_code == 422
    told = [refused.text, caplog.text]
    (row,) = await scene.rows()
    for path in ("audit", "deliveries", f"deliveries/{row.id}", "dead-letters", "subscriptions", "channels"):
        answer = await scene.client.get(f"/admin/{path}")
        assert answer.status_code == 200, path
        told.append(answer.text)
    assert not any("tell-nobody" in text or "mei" in text.lower() for text in told)
