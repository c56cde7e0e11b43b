"""What a Subscription is told, and what it is not: http://hl7.org/fhir/R4/subscription.html"""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.store import Tx
from hub.store.resources import draft, put
from tests.integration.subscriptions.endpoints import Endpoint
from tests.integration.subscriptions.scene import Scene, patient, subscription


async def test_a_requested_subscription_is_active_and_told_once(scene: Scene, endpoint: Endpoint) -> None:
    header = ["X-Ward: 7", "Authorization: Bearer secret-token"]
    id = await scene.subscribe(subscription(f"{endpoint.address}/hook", channel={"header": header}))
    assert (await scene.read(id))["status"] == "active"
    await scene.store(patient("a"))
    await endpoint.until(1)
    await scene.settled("delivered")
    (got,) = endpoint.got
    assert (got.method, got.path, got.body) == ("POST", "/hook", b"")
    assert got.headers["x-ward"] == "7" and got.headers["authorization"] == "Bearer secret-token"
    assert got.headers["content-length"] == "0"


async def test_with_a_payload_the_version_is_sent_as_an_update(scene: Scene, endpoint: Endpoint) -> None:
    payload = {"payload": "application/fhir+json", "header": ["Authorization: Basic eDp5"]}
    await scene.subscribe(subscription(f"{endpoint.address}/base/", "Observation", channel=payload))
    body = (
        b'{"resourceType":"Observation","id":"o","status":"final","code":{"text":"t"},'
        b'"valueQuantity":{"value":105.00}}'
    )
    answer = await scene.client.put(
        "/fhir/Observation/o", content=body, headers={"Content-Type": "application/fhir+json"}
    )
    assert answer.status_code == 201
    await endpoint.until(1)
    (got,) = endpoint.got
    assert (got.method, got.path) == ("PUT", "/base/Observation/o")
    assert got.headers["content-type"] == "application/fhir+json"
    assert got.body == answer.content and b'"value":105.00' in got.body


async def test_xml_is_sent_where_it_is_asked_for(scene: Scene, endpoint: Endpoint) -> None:
    payload = {"payload": "application/fhir+xml"}
    await scene.subscribe(subscription(endpoint.address, channel=payload))
    await scene.store(patient("a", gender="female"))
    await endpoint.until(1)
    (got,) = endpoint.got
    assert got.headers["content-type"] == "application/fhir+xml"
    assert b'xmlns="http://hl7.org/fhir"' in got.body and b'<gender value="female"/>' in got.body


async def test_what_is_sent_is_the_version_that_called_for_it(scene: Scene, endpoint: Endpoint) -> None:
    scene.try_on()
    endpoint.faults.add("down", seconds=0.2)
    await scene.subscribe(subscription(endpoint.address, channel={"payload": "application/fhir+json"}))
    for gender in ("female", "male", "other"):
        await scene.store(patient("a", gender=gender))
    await endpoint.until(3)
    sent = [json.loads(one.body) for one in endpoint.got]
    assert [(one["meta"]["versionId"], one["gender"]) for one in sent] == [
        ("1", "female"), ("2", "male"), ("3", "other"),
    ]  # fmt: skip


async def test_an_update_that_still_matches_notifies_again_and_one_that_does_not_does_not(
    scene: Scene, endpoint: Endpoint
) -> None:
    await scene.subscribe(subscription(endpoint.address, "Patient?gender=female"))
    for gender in ("male", "female", "female", "male"):
        await scene.store(patient("a", gender=gender, birthDate="2001-01-01"))
    await scene.store(patient("a", gender="female", birthDate="2001-01-02"))
    await scene.store(patient("a", gender="female", birthDate="2001-01-03"))
    await endpoint.until(3)
    assert [row.business_id for row in await scene.rows()] == [
        "Patient/a/_history/2", "Patient/a/_history/4", "Patient/a/_history/5",
    ]  # fmt: skip


async def test_an_update_without_a_change_and_a_deletion_notify_nobody(
    scene: Scene, endpoint: Endpoint
) -> None:
    await scene.subscribe(subscription(endpoint.address))
    await scene.store(patient("a"))
    await scene.store(patient("a"))
    assert (await scene.send("DELETE", "Patient/a")).status_code in (200, 204)
    await scene.settled("delivered")
    await scene.store(patient("a"))
    await scene.settled("delivered", "delivered")
    assert len(endpoint.got) == 2, "one for the creation, one for what came back from deletion"


async def test_what_is_rolled_back_notifies_nobody(scene: Scene, endpoint: Endpoint) -> None:
    await scene.subscribe(subscription(endpoint.address))
    good = {"resource": patient("a"), "request": {"method": "PUT", "url": "Patient/a"}}
    bad = {
        "resource": patient("b"),
        "request": {"method": "PUT", "url": "Patient/b", "ifMatch": 'W/"7"'},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [good, bad]}
    answer = await scene.client.post("/fhir", json=bundle, headers={"Content-Type": "application/fhir+json"})
    assert answer.status_code == 412, answer.text

    async def undone(tx: Tx) -> None:
        await put(tx, draft(scene.hub.store, b'{"resourceType":"Patient","id":"c"}', owner="api"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await scene.hub.store.write(undone)
    assert await scene.rows() == []
    await scene.store(patient("d"))
    await scene.settled("delivered")


async def test_a_transaction_notifies_of_each_resource_in_it(scene: Scene, endpoint: Endpoint) -> None:
    await scene.subscribe(subscription(endpoint.address, "Observation?subject.gender=female"))
    person = {
        "fullUrl": "urn:uuid:8f3b1c62-65a1-4f0f-9b59-0d2b4a1f3c11",
        "resource": {"resourceType": "Patient", "gender": "female"},
        "request": {"method": "POST", "url": "Patient"},
    }
    seen = {
        "resource": {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "t"},
            "subject": {"reference": person["fullUrl"]},
        },
        "request": {"method": "POST", "url": "Observation"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [person, seen, seen]}
    answer = await scene.client.post("/fhir", json=bundle, headers={"Content-Type": "application/fhir+json"})
    assert answer.status_code == 200, answer.text
    await endpoint.until(2)
    assert [row.business_id.partition("/")[0] for row in await scene.rows()] == ["Observation"] * 2


CODE = "http://loinc.org|1975-2"


@pytest.mark.parametrize(
    ("criteria", "matches"),
    [
        ("Observation", True),
        ("Observation?", True),
        ("/Observation?code=http://loinc.org|1975-2&_format=json", True),
        ("http://127.0.0.1:8080/fhir/Observation?code=1975-2", True),
        ("Observation?code=http://loinc.org|1975-3", False),
        ("Observation?code=http%3A%2F%2Floinc.org%7C1975-2&status=final,amended", True),
        ("Observation?status:not=final", False),
        ("Observation?subject=Patient/p", True),
        ("Observation?subject:Patient=p", True),
        ("Observation?subject.name=mei", True),
        ("Observation?subject.name=hua", False),
        ("Observation?date=ge2026-01-01&date=lt2027-01-01", True),
        ("Observation?date=lt2026-01-01", False),
        ("Observation?value-quantity=gt5", True),
        ("Observation?value-quantity=gt5||umol/L", True),
        ("Observation?value-quantity=gt7", False),
        ("Observation?code-value-quantity=http://loinc.org|1975-2$gt6", True),
        ("Observation?category:missing=true", True),
        ("Observation?_id=o,x", True),
        ("Observation?_id=x", False),
        ("Observation?_tag=urgent", True),
        ("Observation?_count=1&_sort=-_lastUpdated&_include=Observation:subject", True),
        ("Observation?_lastUpdated=gt2020-01-01", True),
        ("Observation?_lastUpdated=lt2020-01-01", False),
        ("Patient?name=mei", False),
    ],
)
async def test_criteria_mean_what_they_mean_in_a_search(
    scene: Scene, endpoint: Endpoint, criteria: str, matches: bool
) -> None:
    await scene.store(patient("p", name=[{"family": "Li", "given": ["Mei"]}]))
    await scene.subscribe(subscription(endpoint.address, criteria))
    await scene.store(
        {
            "resourceType": "Observation",
            "id": "o",
            "meta": {"tag": [{"code": "urgent"}]},
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "1975-2"}]},
            "subject": {"reference": "Patient/p"},
            "effectiveDateTime": "2026-02-01T08:00:00+08:00",
            "valueQuantity": {"value": 6.2, "unit": "umol/L"},
        }
    )
    assert len(await scene.rows()) == (1 if matches else 0)


async def test_several_subscriptions_are_told_of_one_change(scene: Scene, endpoint: Endpoint) -> None:
    await scene.subscribe(subscription(f"{endpoint.address}/one"))
    await scene.subscribe(subscription(f"{endpoint.address}/two", "Patient?gender=female"))
    await scene.subscribe(subscription(f"{endpoint.address}/three", "Patient?gender=male"))
    await scene.store(patient("a", gender="female"))
    await endpoint.until(2)
    assert sorted(endpoint.paths) == ["/one", "/two"]


async def test_a_subscription_that_is_off_or_deleted_is_told_nothing_more(
    scene: Scene, endpoint: Endpoint
) -> None:
    off = await scene.subscribe(subscription(f"{endpoint.address}/off"))
    gone = await scene.subscribe(subscription(f"{endpoint.address}/gone"))
    await scene.hub.pause("subscriptions", "nothing is on its way")
    await scene.store(patient("a"))
    await scene.store({**subscription(f"{endpoint.address}/off"), "id": off, "status": "off"})
    assert (await scene.send("DELETE", f"Subscription/{gone}")).status_code in (200, 204)
    assert await scene.states() == ["cancelled", "cancelled"], "what waits is given up"
    await scene.hub.resume("subscriptions")
    await scene.store(patient("b"))
    assert len(await scene.rows()) == 2
    await scene.store({**subscription(f"{endpoint.address}/off"), "id": off})
    await scene.store(patient("c"))
    await endpoint.until(1)
    assert endpoint.paths == ["/off"], "turned on again, it is told of what comes from then on"


async def test_a_subscription_ends_when_it_said(
    scene: Scene, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await scene.subscribe(subscription(endpoint.address, end="2999-01-01T00:00:00+08:00"))
    await scene.store(patient("a"))
    await scene.settled("delivered")
    end = 32_472_115_200_000_000  # 2998-12-31T16:00:00Z in microseconds
    assert await scene.hub.subscriptions.end(scene.hub.store, end - 1) == 0
    assert await scene.hub.subscriptions.end(scene.hub.store, end) == 1
    assert (await scene.read(id))["status"] == "off"
    await scene.store(patient("b"))
    assert await scene.states() == ["delivered"]


async def test_a_running_hub_turns_off_what_ends_by_itself(
    scene: Scene, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await scene.subscribe(subscription(endpoint.address, end="2999-01-01T00:00:00+08:00"))
    monkeypatch.setattr(scene.hub.subscriptions, "now", lambda: 32_472_115_200_000_000)
    found = await scene.status(id, "off")
    assert found["meta"]["versionId"] == "2"
    assert (await scene.client.get("/admin/subscriptions")).json() == {"subscriptions": []}


async def test_past_its_end_it_is_told_nothing_even_before_it_is_turned_off(
    scene: Scene, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.subscribe(subscription(endpoint.address, end="2999-01-01T00:00:00+08:00"))
    monkeypatch.setattr(scene.hub.store, "_clock", lambda: 32_472_115_200_000_000)
    await scene.store(patient("a"))
    assert await scene.rows() == []


async def test_what_has_ended_is_accepted_as_off(scene: Scene, endpoint: Endpoint) -> None:
    id = await scene.subscribe(subscription("https://biliwatch.example/x", end="2021-01-01T00:00:00Z"))
    assert (await scene.read(id))["status"] == "off"


async def test_a_subscription_can_be_about_subscriptions(scene: Scene, endpoint: Endpoint) -> None:
    await scene.subscribe(subscription(f"{endpoint.address}/watch", "Subscription"))
    before = len(await scene.rows())
    await scene.subscribe(subscription(f"{endpoint.address}/other", "Basic"))
    assert len(await scene.rows()) == before + 1


async def test_other_criteria_count_from_the_next_change_on(scene: Scene, endpoint: Endpoint) -> None:
    id = await scene.subscribe(subscription(endpoint.address, "Patient?gender=male"))
    await scene.store(patient("a", gender="female"))
    body: dict[str, Any] = {**subscription(endpoint.address, "Patient?gender=female"), "id": id}
    await scene.store(body)
    await scene.store(patient("b", gender="female"))
    await scene.store(patient("c", gender="male"))
    assert [row.business_id for row in await scene.rows()] == ["Patient/b/_history/1"]
