"""Search across types and in compartments over HTTP.

http://hl7.org/fhir/R4/http.html#search and http://hl7.org/fhir/R4/compartmentdefinition.html
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import BASE, issue

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _reference(to: str) -> dict[str, str]:
    return {"reference": to}


def _observation(id: str, code: str, **members: Any) -> dict[str, Any]:
    coded = {"coding": [{"system": "http://loinc.org", "code": code}]}
    return {"resourceType": "Observation", "id": id, "status": "final", "code": coded, **members}


@pytest.fixture
async def ward(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Two patients, one with three observations (one of them made by the patient) and an encounter."""
    period = {"status": "finished", "class": {"code": "AMB"}, "subject": _reference("Patient/1")}
    for body in (
        {"resourceType": "Patient", "id": "1", "gender": "female"},
        {
            "resourceType": "Patient",
            "id": "2",
            "link": [{"other": _reference("Patient/1"), "type": "seealso"}],
        },
        {"resourceType": "Encounter", "id": "e", **period},
        _observation("a", "8480-6", subject=_reference("Patient/1"), encounter=_reference("Encounter/e")),
        _observation("b", "8462-4", subject=_reference("Patient/1")),
        _observation("c", "8480-6", subject=_reference("Patient/2"), performer=[_reference("Patient/1")]),
        _observation("d", "8480-6", subject=_reference("Patient/2")),
        {"resourceType": "Medication", "id": "m"},
    ):
        answer = await client.put(f"/fhir/{body['resourceType']}/{body['id']}", json=body)
        assert answer.status_code == 201, answer.text
    return client


def _names(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", [])
    return " ".join(sorted(one["fullUrl"].removeprefix(f"{BASE}/") for one in entries))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Patient/1/Observation", "Observation/a Observation/b Observation/c"),
        ("Patient/1/Observation?code=8480-6", "Observation/a Observation/c"),
        ("Patient/1/Observation?code=8480-6&status=amended", ""),
        ("Patient/1/Observation/_search?code=8462-4", "Observation/b"),
        ("Patient/2/Observation", "Observation/c Observation/d"),
        ("Patient/1/Patient", "Patient/1 Patient/2"),
        ("Patient/1/*?_type=Encounter,Patient", "Encounter/e Patient/1 Patient/2"),
        ("Patient/1/*", "Encounter/e Observation/a Observation/b Observation/c Patient/1 Patient/2"),
        ("Encounter/e/Observation", "Observation/a"),
        ("Encounter/e/*", "Encounter/e Observation/a"),
        ("Patient/none/Observation", ""),
        ("?_type=Encounter,Medication", "Encounter/e Medication/m"),
        ("?_id=1,m", "Medication/m Patient/1"),
        ("_search?_type=Observation&code=8462-4", "Observation/b"),
    ],
)
async def test_what_belongs_together_is_found(ward: httpx.AsyncClient, path: str, expected: str) -> None:
    assert _names(await ward.get(f"/fhir/{path}")) == expected


async def test_forms_and_urls_are_read_together(ward: httpx.AsyncClient) -> None:
    posted = await ward.post(
        "/fhir/Patient/1/Observation/_search?status=final", content="code=8462-4", headers=FORM
    )
    assert _names(posted) == "Observation/b"
    across = await ward.post("/fhir/_search?_type=Observation", content="code=8462-4", headers=FORM)
    assert _names(across) == "Observation/b"
    wrong = await ward.post("/fhir/_search", content="{}", headers={"Content-Type": "application/fhir+json"})
    assert wrong.status_code == 415


@pytest.mark.parametrize("path", ["", "Patient/1/*", "Patient/1/Observation"])
async def test_pages_lead_to_each_other(ward: httpx.AsyncClient, path: str) -> None:
    whole = _names(await ward.get(f"/fhir/{path}"))
    seen: list[str] = []
    url = f"/fhir/{path}?_count=2&_total=accurate"
    while url:
        page = (await ward.get(url)).json()
        assert page["total"] == len(whole.split()) and len(page["entry"]) <= 2
        seen += [one["fullUrl"].removeprefix(f"{BASE}/") for one in page["entry"]]
        links = {one["relation"]: one["url"] for one in page["link"]}
        assert links["self"].split("?")[0] == f"{BASE}/{path}"
        url = links.get("next", "")
    assert sorted(seen) == whole.split()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("?name=x", 400),
        ("?_type=Nothing", 400),
        ("Patient/1/Medication", 400),
        ("Patient/1/Observation?nothing=1", 400),
        ("Organization/1/Observation", 404),
        ("Patient/1/Nothing", 404),
        ("?_cursor=abc", 400),
        ("Patient/1/*?_cursor=abc", 400),
    ],
)
async def test_what_cannot_be_asked_is_said(ward: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await ward.get(f"/fhir/{path}")
    assert answer.status_code == status
    assert issue(answer)["severity"] == "error"


async def test_entries_of_a_batch_ask_across_types_and_compartments(ward: httpx.AsyncClient) -> None:
    urls = ["?_type=Encounter", "Patient/1/Observation?code=8462-4", "Encounter/e/*?_type=Observation"]
    entry = [{"request": {"method": "GET", "url": url}} for url in urls]
    answer = await ward.post("/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": entry})
    found = [one["resource"]["entry"][0]["resource"]["id"] for one in answer.json()["entry"]]
    assert found == ["e", "b", "a"]


@pytest.mark.parametrize(
    "query",
    [
        "date=2026-13-45",
        "derived-from:Observation." * 20 + "code=x",
        "code:nothing=x",
        "value-quantity=x",
        "code=a\\b",
    ],
)
async def test_a_malformed_parameter_is_400_and_named(ward: httpx.AsyncClient, query: str) -> None:
    for lenient in ({}, {"Prefer": "handling=lenient"}):
        answer = await ward.get("/fhir/Observation", params=query, headers=lenient)
        assert answer.status_code == 400
        assert issue(answer)["expression"] == [query.split("=")[0][:80]]
