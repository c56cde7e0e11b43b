"""Parts of resources, and what the links of a search set say (http://hl7.org/fhir/R4/search.html#summary)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import BASE, issue

OBSERVATION = """{"resourceType":"Observation","id":"o",
 "meta":{"tag":[{"system":"urn:x","code":"kept"}]},
 "implicitRules":"http://example.org/rules",
 "text":{"status":"generated","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">x</div>"},
 "status":"final","code":{"text":"weight"},"subject":{"reference":"Patient/p"},
 "note":[{"text":"long"}],
 "component":[{"code":{"text":"part"},"interpretation":[{"text":"high"}],
  "valueQuantity":{"value":105.00,"unit":"kg"}}],
 "valueQuantity":{"value":1.50e1,"unit":"kg"}}"""
SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}


async def fill(client: httpx.AsyncClient) -> None:
    patient = {
        "resourceType": "Patient", "id": "p", "active": True, "birthDate": "1968-05-12",
        "photo": [{"title": "x"}], "contact": [{"name": {"text": "y"}}],
    }  # fmt: skip
    assert (await client.put("/fhir/Patient/p", json=patient)).status_code == 201
    assert (await client.put("/fhir/Observation/o", content=OBSERVATION)).status_code == 201


def members(resource: dict[str, Any]) -> set[str]:
    assert SUBSETTED in resource["meta"]["tag"]
    assert resource["meta"]["versionId"] == "1"
    return set(resource) - {"resourceType", "id", "meta"}


SHAPES = [
    ("_summary=true", {"implicitRules", "status", "code", "subject", "component", "valueQuantity"}),
    ("_summary=text", {"text", "status", "code"}),
    (
        "_summary=data",
        {"implicitRules", "status", "code", "subject", "note", "component", "valueQuantity"},
    ),
    ("_elements=note", {"implicitRules", "status", "code", "note"}),
    ("_elements=value", {"implicitRules", "status", "code", "valueQuantity"}),
    ("_elements=value[x],subject", {"implicitRules", "status", "code", "valueQuantity", "subject"}),
    ("_elements=Observation.note,Patient.name", {"implicitRules", "status", "code", "note"}),
    ("_elements=id", {"implicitRules", "status", "code"}),
]


@pytest.mark.parametrize(("asking", "expected"), SHAPES)
async def test_every_read_gives_the_part_that_is_asked_for(
    client: httpx.AsyncClient, asking: str, expected: set[str]
) -> None:
    await fill(client)
    for path in ("Observation/o", "Observation/o/_history/1"):
        one = (await client.get(f"/fhir/{path}?{asking}")).json()
        assert members(one) == expected
        assert {"system": "urn:x", "code": "kept"} in one["meta"]["tag"]
    for path in ("Observation?_id=o&", "Observation/o/_history?"):
        page = (await client.get(f"/fhir/{path}{asking}")).json()
        assert members(page["entry"][0]["resource"]) == expected


async def test_literals_stay_and_a_summary_looks_inside(client: httpx.AsyncClient) -> None:
    await fill(client)
    text = (await client.get("/fhir/Observation/o?_summary=true")).text
    assert '"value":105.00' in text and '"value":1.50e1' in text
    component = json.loads(text)["component"][0]
    assert set(component) == {"code", "valueQuantity"}
    whole = (await client.get("/fhir/Observation/o?_summary=false")).json()
    assert "note" in whole and SUBSETTED not in whole["meta"]["tag"]


async def test_elements_do_not_speak_of_what_is_included_and_summaries_do(client: httpx.AsyncClient) -> None:
    await fill(client)
    page = (await client.get("/fhir/Observation?_include=Observation:subject&_elements=subject")).json()
    assert "note" not in page["entry"][0]["resource"]
    assert "photo" in page["entry"][1]["resource"]
    page = (await client.get("/fhir/Observation?_include=Observation:subject&_summary=true")).json()
    assert members(page["entry"][1]["resource"]) == {"active", "birthDate"}


@pytest.mark.parametrize(
    "path",
    ["Observation?_summary=all", "Observation/o?_summary=count", "Observation?_elements=nothing",
     "Observation/o?_elements=Observation.nothing", "Observation?_summary=text&_include=Observation:subject",
     "Observation?_summary=true&_elements=note", "Observation/o/_history?_summary=x",
     "Observation?_total=many",
     "Observation?_contained=yes", "Observation?_containedType=x", "Observation?_count=ten",
     "Observation?_sort=nothing"],
)  # fmt: skip
async def test_an_unknown_value_is_400(client: httpx.AsyncClient, path: str) -> None:
    await fill(client)
    answer = await client.get(f"/fhir/{path}")
    assert answer.status_code == 400
    assert issue(answer)


async def test_links_say_what_was_used(client: httpx.AsyncClient) -> None:
    for number in range(5):
        body = {"resourceType": "Patient", "id": f"p{number}"}
        await client.put(f"/fhir/Patient/p{number}", json=body)

    def links(page: dict[str, Any]) -> dict[str, str]:
        return {one["relation"]: one["url"] for one in page["link"]}

    huge = (await client.get("/fhir/Patient?_count=1000000&_sort=-_id")).json()
    assert links(huge) == {"self": f"{BASE}/Patient?_count=1000&_sort=-_id"}
    first = (await client.get("/fhir/Patient?_count=2&_sort=-_id")).json()
    second = (await client.get(links(first)["next"])).json()
    assert [one["resource"]["id"] for one in second["entry"]] == ["p2", "p1"]
    assert links(second)["self"].startswith(f"{BASE}/Patient?_count=2&_sort=-_id")
    assert links(second)["first"] == f"{BASE}/Patient?_count=2&_sort=-_id"
    third = (await client.get(links(second)["next"])).json()
    assert [one["resource"]["id"] for one in third["entry"]] == ["p0"] and "next" not in links(third)
    none = (await client.get("/fhir/Patient?_count=0")).json()
    assert none["total"] == 5 and "entry" not in none and set(links(none)) == {"self"}


async def test_an_unknown_order_is_left_out_when_that_is_preferred(client: httpx.AsyncClient) -> None:
    await fill(client)
    lenient = {"Prefer": "handling=lenient"}
    page = (await client.get("/fhir/Patient?_sort=nothing", headers=lenient)).json()
    assert [one["search"]["mode"] for one in page["entry"]] == ["match", "outcome"]
    assert page["link"][0]["url"] == f"{BASE}/Patient"


async def test_a_contained_resource_has_the_url_of_its_container(client: httpx.AsyncClient) -> None:
    request: dict[str, Any] = {
        "resourceType": "MedicationRequest", "id": "r", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/p"}, "medicationReference": {"reference": "#m"},
        "contained": [{"resourceType": "Medication", "id": "m", "code": {"coding": [{"code": "abc"}]}}],
    }  # fmt: skip
    assert (await client.put("/fhir/MedicationRequest/r", json=request)).status_code == 201
    search = "/fhir/Medication?code=abc&_contained=true&_containedType=contained"
    entry = (await client.get(search)).json()["entry"]
    assert entry == [
        {
            "fullUrl": f"{BASE}/MedicationRequest/r#m",
            "resource": request["contained"][0],
            "search": {"mode": "match"},
        }
    ]
    container = (await client.get("/fhir/Medication?code=abc&_contained=true")).json()["entry"]
    assert [(one["fullUrl"], one["search"]["mode"]) for one in container] == [
        (f"{BASE}/MedicationRequest/r", "match")
    ]
