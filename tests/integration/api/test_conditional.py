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
