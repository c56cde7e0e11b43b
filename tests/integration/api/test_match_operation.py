"""$match: http://hl7.org/fhir/R4/patient-operation-match.html"""

from __future__ import annotations

from typing import Any

import httpx

from hub import r4
from hub.terminology.identifiers import ID_CARD_SYSTEM
from tests.integration.api.conftest import BASE, issue

CARD = "11010519491231002X"
WANTED: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": ID_CARD_SYSTEM, "value": CARD}],
    "name": [{"family": "林", "given": ["晓月"]}],
    "gender": "female",
    "birthDate": "1949-12-31",
    "telecom": [{"system": "phone", "value": "13800001234"}],
}


def only(*names: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient"} | {name: WANTED[name] for name in names} | more


STORED = {
    "card": only("identifier", name=[{"text": "林晓月"}]),
    "twin": only("name", "gender", "birthDate"),
    "text": {"resourceType": "Patient", "name": [{"text": "林晓月"}], "birthDate": "1949-12-31"},
    "namesake": only("name", "gender"),
    "son": only("telecom", name=[{"text": "林大山"}], birthDate="1975-01-01", gender="male"),
    "phone": only("telecom"),
    "stranger": {"resourceType": "Patient", "name": [{"text": "欧阳建国"}], "birthDate": "1949-12-31"},
    "placeholder": only(identifier=[{"system": ID_CARD_SYSTEM, "value": "000000"}]),
}


async def fill(client: httpx.AsyncClient) -> None:
    for id, patient in STORED.items():
        await client.put(f"/fhir/Patient/{id}", json=patient | {"id": id})


def asked(patient: dict[str, Any], **values: Any) -> dict[str, Any]:
    parameter: list[dict[str, Any]] = [{"name": "resource", "resource": patient}]
    for name, value in values.items():
        parameter.append({"name": name, "valueBoolean" if isinstance(value, bool) else "valueInteger": value})
    return {"resourceType": "Parameters", "parameter": parameter}


async def matches(client: httpx.AsyncClient, content: dict[str, Any]) -> list[tuple[str, float, str]]:
    answer = await client.post("/fhir/Patient/$match", json=content)
    assert answer.status_code == 200, answer.text
    r4.decode(answer.content, "Bundle")
    page = answer.json()
    assert page["type"] == "searchset"
    found = []
    for one in page.get("entry", []):
        if one["search"]["mode"] == "match":
            extension = one["search"]["extension"][0]
            assert extension["url"] == "http://hl7.org/fhir/StructureDefinition/match-grade"
            assert one["fullUrl"] == f"{BASE}/Patient/{one['resource']['id']}"
            found.append((one["resource"]["id"], one["search"]["score"], extension["valueCode"]))
    assert page["total"] == len(found)
    return found


async def test_matches_come_graded_with_the_best_first(client: httpx.AsyncClient) -> None:
    await fill(client)
    assert await matches(client, asked(WANTED)) == [
        ("card", 1.0, "certain"),
        ("twin", 0.75, "probable"),
        ("text", 0.7, "probable"),
        ("namesake", 0.45, "possible"),
        ("phone", 0.2, "possible"),
    ]
    assert await matches(client, WANTED) == await matches(client, asked(WANTED))


async def test_only_certain_ones_and_only_some(client: httpx.AsyncClient) -> None:
    await fill(client)
    assert await matches(client, asked(WANTED, onlyCertainMatches=True)) == [("card", 1.0, "certain")]
    assert [id for id, _, _ in await matches(client, asked(WANTED, count=2))] == ["card", "twin"]
    nobody = only("name", "birthDate", "gender")
    assert await matches(client, asked(nobody, onlyCertainMatches=True)) == []


async def test_a_telephone_alone_is_possible_at_most(client: httpx.AsyncClient) -> None:
    await fill(client)
    found = await matches(client, asked(only("telecom")))
    assert found == [("phone", 0.2, "possible"), ("son", 0.2, "possible")]


async def test_placeholders_find_nobody_and_say_so(client: httpx.AsyncClient) -> None:
    await fill(client)
    answer = await client.post("/fhir/Patient/$match", json=asked(STORED["placeholder"]))
    page = answer.json()
    assert page["total"] == 0
    assert [one["search"]["mode"] for one in page["entry"]] == ["outcome"]
    assert page["entry"][0]["resource"]["issue"][0]["severity"] == "warning"


async def test_an_identifier_is_found_behind_a_common_name(client: httpx.AsyncClient) -> None:
    for number in range(120):
        await client.put(f"/fhir/Patient/n{number}", json=only("name") | {"id": f"n{number}"})
    await fill(client)
    found = await matches(client, asked(WANTED))
    assert [id for id, _, _ in found[:3]] == ["card", "twin", "text"]
    assert len(found) == 50


async def test_match_takes_a_patient_only(client: httpx.AsyncClient) -> None:
    for bad in ({"resourceType": "Parameters"}, asked({"resourceType": "Basic", "code": {"text": "a"}})):
        answer = await client.post("/fhir/Patient/$match", json=bad)
        assert answer.status_code == 400 and issue(answer)
    assert (await client.get("/fhir/Patient/$match")).status_code == 400
    assert (await client.post("/fhir/Patient/$match", json=asked(WANTED, threshold=1))).status_code == 400
    assert (await client.post("/fhir/Observation/$match", json=asked(WANTED))).status_code == 404
