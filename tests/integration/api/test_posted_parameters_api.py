"""SearchParameters over the API (http://hl7.org/fhir/R4/searchparameter.html)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from hub.app import Hub
from tests.integration.api.conftest import issue

HAIR = "http://example.org/hair-colour"


def definition(**members: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "url": "http://example.org/SearchParameter/hair",
        "name": "Hair",
        "status": "active",
        "description": "The colour of the hair",
        "code": "hair-colour",
        "base": ["Patient"],
        "type": "token",
        "expression": f"Patient.extension.where(url = '{HAIR}').value",
        **members,
    }


def patient(code: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "extension": [{"url": HAIR, "valueCoding": {"code": code}}]}


async def offered(client: httpx.AsyncClient) -> dict[str, str]:
    statement = (await client.get("/fhir/metadata")).json()
    (mine,) = [one for one in statement["rest"][0]["resource"] if one["type"] == "Patient"]
    return {one["name"]: one["definition"] for one in mine["searchParam"]}


async def matches(client: httpx.AsyncClient, query: str) -> list[str]:
    async with asyncio.timeout(20):
        while (answer := await client.get(f"/fhir/Patient?{query}")).status_code == 503:
            assert issue(answer)["code"] == "transient"
            assert answer.headers["retry-after"]
            await asyncio.sleep(0.01)
    assert answer.status_code == 200, answer.text
    return [one["resource"]["id"] for one in answer.json().get("entry", [])]


async def test_a_posted_parameter_is_searched_by_and_listed(client: httpx.AsyncClient) -> None:
    id = (await client.post("/fhir/Patient", json=patient("grey"))).json()["id"]
    assert (await client.get("/fhir/Patient?hair-colour=grey")).status_code == 400
    posted = await client.post("/fhir/SearchParameter", json=definition())
    assert posted.status_code == 201
    assert await matches(client, "hair-colour=grey") == [id]
    assert (await offered(client))["hair-colour"] == "http://example.org/SearchParameter/hair"
    other = (await client.post("/fhir/Patient", json=patient("red"))).json()["id"]
    assert await matches(client, "hair-colour=red") == [other]
    gone = await client.delete(f"/fhir/SearchParameter/{posted.json()['id']}")
    assert gone.status_code in (200, 204)
    assert (await client.get("/fhir/Patient?hair-colour=grey")).status_code == 400
    assert "hair-colour" not in await offered(client)


async def test_a_search_that_needs_an_unfinished_parameter_says_so(
    client: httpx.AsyncClient, hub: Hub
) -> None:
    await hub.filler.stop()
    await client.post("/fhir/Patient", json=patient("grey"))
    await client.post("/fhir/SearchParameter", json=definition())
    answer = await client.get("/fhir/Patient?hair-colour=grey")
    assert answer.status_code == 503
    assert issue(answer)["code"] == "transient"
    assert "hair-colour" in issue(answer)["diagnostics"]
    assert "0 %" in issue(answer)["diagnostics"]
    assert answer.headers["retry-after"]
    lenient = await client.get("/fhir/Patient?hair-colour=grey", headers={"Prefer": "handling=lenient"})
    assert lenient.status_code == 503
    assert "hair-colour" not in await offered(client)
    await hub.filler.settled()
    assert len(await matches(client, "hair-colour=grey")) == 1


async def test_a_transaction_can_post_one_beside_what_it_finds(client: httpx.AsyncClient) -> None:
    entries = [
        {"resource": definition(), "request": {"method": "POST", "url": "SearchParameter"}},
        {"resource": patient("grey"), "request": {"method": "PUT", "url": "Patient/p1"}},
    ]
    entries[1]["resource"] = {**patient("grey"), "id": "p1"}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = await client.post("/fhir", json=bundle)
    assert answer.status_code == 200, answer.text
    assert await matches(client, "hair-colour=grey") == ["p1"]


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"code": "gender"}, "gender of R4"),
        ({"expression": "Patient.extension.where("}, "FHIRPath"),
        ({"base": ["Patient", "Nothing"]}, "resource type"),
        ({"expression": "Patient.hairColour"}, "Patient has no member hairColour"),
        ({"expression": "Patient.name.giveen | Practitioner.name"}, "has no member giveen"),
    ],
)
async def test_one_that_cannot_work_is_refused_with_the_reason(
    client: httpx.AsyncClient, members: dict[str, Any], text: str
) -> None:
    answer = await client.post("/fhir/SearchParameter", json=definition(**members))
    assert answer.status_code in (400, 422), answer.text
    assert issue(answer)["severity"] == "error"
    if "base" not in members:
        assert answer.status_code == 422
        assert text in issue(answer)["diagnostics"]
    found = await client.get("/fhir/SearchParameter?code=hair-colour,gender")
    assert found.json().get("entry", []) == []
