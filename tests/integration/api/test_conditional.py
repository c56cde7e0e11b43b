"""Conditional create, update and delete: http://hl7.org/fhir/R4/http.html#ccreate"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.integration.api.conftest import BASE, issue

SYSTEM = "urn:oid:2.16.156.10011.1.3"


def patient(value: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], **more}


async def test_if_none_exist_creates_once(client: httpx.AsyncClient) -> None:
    headers = {"If-None-Exist": f"identifier={SYSTEM}|1"}
    first = await client.post("/fhir/Patient", json=patient("1"), headers=headers)
    second = await client.post("/fhir/Patient", json=patient("1", active=True), headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert second.headers["location"] == first.headers["location"]


async def test_concurrent_conditional_creates_make_one(client: httpx.AsyncClient) -> None:
    headers = {"If-None-Exist": f"identifier={SYSTEM}|1"}
    answers = await asyncio.gather(
        *(client.post("/fhir/Patient", json=patient("1"), headers=headers) for _ in range(12))
    )
    assert sorted(one.status_code for one in answers) == [200] * 11 + [201]
    assert len({one.json()["id"] for one in answers}) == 1


async def test_several_matches_are_412(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        await client.post("/fhir/Patient", json=patient("1"))
    query = f"identifier={SYSTEM}|1"
    answers = [
        await client.post("/fhir/Patient", json=patient("1"), headers={"If-None-Exist": query}),
        await client.put(f"/fhir/Patient?{query}", json=patient("1")),
        await client.delete(f"/fhir/Patient?{query}"),
    ]
    assert [one.status_code for one in answers] == [412] * 3
    assert {issue(one)["code"] for one in answers} == {"multiple-matches"}
    assert all("more than one Patient" in issue(one)["diagnostics"] for one in answers)


async def test_conditional_update_creates_then_updates(client: httpx.AsyncClient) -> None:
    url = f"/fhir/Patient?identifier={SYSTEM}|1"
    first = await client.put(url, json=patient("1"))
    second = await client.put(url, json=patient("1", active=True))
    third = await client.put(url, json=patient("1", id="other"))
    named = await client.put(f"/fhir/Patient?identifier={SYSTEM}|2", json=patient("2", id="chosen"))
    assert (first.status_code, second.status_code, third.status_code) == (201, 200, 400)
    assert second.json()["id"] == first.json()["id"]
    assert named.headers["location"] == f"{BASE}/Patient/chosen/_history/1"


async def test_conditional_delete_takes_the_one_match(client: httpx.AsyncClient) -> None:
    id = (await client.post("/fhir/Patient", json=patient("1"))).json()["id"]
    assert (await client.delete(f"/fhir/Patient?identifier={SYSTEM}|1")).status_code == 204
    assert (await client.get(f"/fhir/Patient/{id}")).status_code == 410
    assert (await client.delete(f"/fhir/Patient?identifier={SYSTEM}|1")).status_code == 204


async def test_a_condition_needs_criteria(client: httpx.AsyncClient) -> None:
    await client.post("/fhir/Patient", json=patient("1"))
    for answer in (
        await client.delete("/fhir/Patient"),
        await client.put("/fhir/Patient", json=patient("1")),
        await client.delete("/fhir/Patient?_format=json"),
        await client.delete("/fhir/Patient?nonsense=1"),
        await client.delete("/fhir/Patient?identifier="),
        await client.delete("/fhir/Patient?identifier=&active=true"),
    ):
        assert answer.status_code == 400 and issue(answer)


async def test_a_conditional_update_keeps_to_the_ids_it_is_given(client: httpx.AsyncClient) -> None:
    url = f"/fhir/Patient?identifier={SYSTEM}|1"
    created = await client.put(url, json=patient("1", id="mine"))
    assert (created.status_code, created.headers["location"]) == (201, f"{BASE}/Patient/mine/_history/1")
    same = await client.put(url, json=patient("1", id="mine", active=True))
    assert (same.status_code, same.headers["etag"]) == (200, 'W/"2"')
    other = await client.put(url, json=patient("1", id="yours"))
    assert other.status_code == 400 and "Patient/mine" in issue(other)["diagnostics"]
    taken = await client.put(f"/fhir/Patient?identifier={SYSTEM}|2", json=patient("2", id="mine"))
    assert (taken.status_code, issue(taken)["code"]) == (409, "conflict")
    assert (await client.get("/fhir/Patient/mine")).headers["etag"] == 'W/"2"'


async def test_preconditions_hold_for_conditional_updates_too(client: httpx.AsyncClient) -> None:
    url = f"/fhir/Patient?identifier={SYSTEM}|1"
    nothing = await client.put(url, json=patient("1"), headers={"If-Match": 'W/"1"'})
    assert nothing.status_code == 412
    assert (await client.put(url, json=patient("1"), headers={"If-None-Match": "*"})).status_code == 201
    guarded = await client.put(url, json=patient("1", active=True), headers={"If-None-Match": "*"})
    assert guarded.status_code == 412
    stale = await client.put(url, json=patient("1", active=True), headers={"If-Match": 'W/"5"'})
    assert stale.status_code == 412
    fresh = await client.put(url, json=patient("1", active=True), headers={"If-Match": 'W/"1"'})
    assert fresh.status_code == 200


async def test_a_conditional_delete_of_an_older_version_is_412(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=patient("1", id="p"))
    url = f"/fhir/Patient?identifier={SYSTEM}|1"
    assert (await client.delete(url, headers={"If-Match": 'W/"2"'})).status_code == 412
    assert (await client.delete(url, headers={"If-Match": 'W/"1"'})).status_code == 204


async def test_a_delete_says_what_it_did_to_those_who_prefer_it(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=patient("1", id="p"))
    prefer = {"Prefer": "return=OperationOutcome"}
    for url in ("/fhir/Patient/p", "/fhir/Patient/p", f"/fhir/Patient?identifier={SYSTEM}|1"):
        answer = await client.delete(url, headers=prefer)
        assert (answer.status_code, answer.json()["resourceType"]) == (200, "OperationOutcome")
        assert answer.json()["issue"][0]["severity"] == "information"


async def test_the_condition_of_a_create_may_hold_a_question_mark(client: httpx.AsyncClient) -> None:
    body = {"resourceType": "Patient", "identifier": [{"system": "http://a.org/?x", "value": "1"}]}
    first = await client.post("/fhir/Patient", json=body)
    for criteria in ("identifier=http://a.org/?x|1", "Patient?identifier=http%3A%2F%2Fa.org%2F%3Fx%7C1"):
        again = await client.post("/fhir/Patient", json=body, headers={"If-None-Exist": criteria})
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


async def test_an_id_in_the_body_of_a_create_is_ignored(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=patient("1", id="p"))
    created = await client.post("/fhir/Patient", json=patient("2", id="p"))
    assert created.status_code == 201 and created.json()["id"] != "p"
    assert (await client.get("/fhir/Patient/p")).headers["etag"] == 'W/"1"'


async def test_an_update_names_one_id_that_can_be_one(client: httpx.AsyncClient) -> None:
    for url, body in (
        ("/fhir/Patient/p", patient("1")),
        ("/fhir/Patient/p", patient("1", id="q")),
        ("/fhir/Patient/p_q", patient("1", id="p_q")),
        (f"/fhir/Patient/{'x' * 65}", patient("1", id="x" * 65)),
    ):
        answer = await client.put(url, json=body)
        assert answer.status_code == 400 and issue(answer), url
