"""What http://hl7.org/fhir/R4/search.html says of results: who is in them, once, with what beside them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import BASE

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LOINC = "http://loinc.org"


def _to(reference: str) -> dict[str, str]:
    return {"reference": reference}


def _observation(id: str, code: str, **members: Any) -> dict[str, Any]:
    coded = {"coding": [{"system": LOINC, "code": code}]}
    return {"resourceType": "Observation", "id": id, "status": "final", "code": coded, **members}


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Two patients, observations that hang together, a report, a request with a contained medication."""
    ordered = {"status": "active", "intent": "order", "subject": _to("Patient/p1")}
    potassium = {"value": 5.5, "system": "http://unitsofmeasure.org", "code": "mmol/L"}
    kind, owner = {"coding": [{"code": "gender"}]}, {"coding": [{"code": "owner"}]}
    group = {"resourceType": "Group", "type": "person", "actual": True}
    focus = {"system": "http://terminology.hl7.org/CodeSystem/usage-context-type", "code": "focus"}
    for body in (
        {"resourceType": "Organization", "id": "org", "name": "County Hospital"},
        {
            "resourceType": "Patient", "id": "p1", "name": [{"family": "Peter"}, {"given": ["Peter"]}],
            "managingOrganization": _to("Organization/org"), "gender": "female",
        },
        {"resourceType": "Patient", "id": "p2", "link": [{"other": _to("Patient/p1"), "type": "seealso"}]},
        _observation("o1", "2823-3", subject=_to("Patient/p1"), valueQuantity=potassium),
        _observation("o2", "8480-6", subject=_to("Patient/p1"), hasMember=[_to("Observation/o1")]),
        _observation("o3", "8480-6", subject=_to("Patient/p2"), hasMember=[_to("Observation/o2")]),
        {
            "resourceType": "DiagnosticReport", "id": "d", "status": "final", "code": {"text": "x"},
            "subject": _to("Patient/p1"), "result": [_to("Observation/o1")],
        },
        {
            "resourceType": "MedicationRequest", "id": "m", **ordered, "medicationReference": _to("#inside"),
            "contained": [{
                "resourceType": "Medication", "id": "inside", "code": {"coding": [{"code": "abc"}]},
            }],
        },
        {"resourceType": "List", "id": "l", "status": "current", "mode": "working",
         "entry": [{"item": _to("Patient/p1")}]},
        {**group, "id": "g", "characteristic": [
            {"code": kind, "valueCodeableConcept": {"coding": [{"code": "mixed"}]}, "exclude": False},
            {"code": owner, "valueCodeableConcept": kind, "exclude": False},
        ]},
        {"resourceType": "Questionnaire", "id": "q", "status": "active", "useContext": [
            {"code": focus, "valueCodeableConcept": {"coding": [
                {"system": "http://snomed.info/sct", "code": "408934002"}]}}]},
    ):  # fmt: skip
        answer = await client.put(f"/fhir/{body['resourceType']}/{body['id']}", json=body)
        assert answer.status_code == 201, answer.text
    return client


async def _page(client: httpx.AsyncClient, asked: str) -> dict[str, Any]:
    answer = await client.get(f"/fhir/{asked}")
    assert answer.status_code == 200, (asked, answer.text)
    found: dict[str, Any] = answer.json()
    return found


async def _found(client: httpx.AsyncClient, asked: str) -> str:
    """The entries, each with the sign of its mode; an entry that comes twice shows."""
    entries = (await _page(client, asked)).get("entry", [])
    sign = {"match": "", "include": "+", "outcome": "!"}
    names = [sign[one["search"]["mode"]] + one["fullUrl"].removeprefix(f"{BASE}/") for one in entries]
    return " ".join(sorted(names))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        # both values, both names: the resource once
        ("Patient?name=peter", "Patient/p1"),
        ("Patient?gender=female,unknown&name=pet,peter", "Patient/p1"),
        ("Observation?code=8480-6,2823-3&subject=Patient/p1", "Observation/o1 Observation/o2"),
        # chains
        ("DiagnosticReport?subject.name=peter", "DiagnosticReport/d"),
        ("DiagnosticReport?subject:Patient.name=peter", "DiagnosticReport/d"),
        ("DiagnosticReport?subject:Group.code=peter", ""),
        ("DiagnosticReport?subject:Patient.organization.name=county", "DiagnosticReport/d"),
        ("DiagnosticReport?patient.organization.name=county&patient.gender=male", ""),
        ("MedicationRequest?medication.code=abc", "MedicationRequest/m"),
        ("Medication?code=abc", ""),
        ("Medication?code=abc&_contained=true", "MedicationRequest/m"),
        ("Medication?code=abc&_contained=both&_containedType=contained", "MedicationRequest/m#inside"),
        # reverse chains
        ("Patient?_has:Observation:patient:code=2823-3", "Patient/p1"),
        ("Patient?_has:Observation:patient:code=2823-3,8480-6", "Patient/p1 Patient/p2"),
        (
            "Patient?_has:Observation:patient:code=2823-3&_has:Observation:patient:code=8480-6",
            "Patient/p1",
        ),
        ("Patient?_has:Observation:patient:_has:DiagnosticReport:result:status=final", "Patient/p1"),
        # composites
        (f"DiagnosticReport?result.code-value-quantity={LOINC}|2823-3$gt5.4|http://unitsofmeasure.org|mmol/L",
         "DiagnosticReport/d"),
        (f"DiagnosticReport?result.code-value-quantity={LOINC}|2823-3$gt5.5", ""),
        ("Group?characteristic-value=gender$mixed", "Group/g"),
        ("Group?characteristic-value=gender$mixed,owner$Eve", "Group/g"),
        ("Group?characteristic-value=owner$mixed", ""),
        ("Questionnaire?context-type-value=focus$http://snomed.info/sct|408934002", "Questionnaire/q"),
        # lists, missing, escapes
        ("Patient?_list=l", "Patient/p1"),
        ("Patient?_list=l&gender=male", ""),
        ("Patient?gender=female&gender:missing=true", ""),
        ("Observation?code=8480-6\\,2823-3", ""),
        # includes: never a match again, never twice, only as far as asked
        ("Observation?_id=o3&_include=Observation:has-member", "+Observation/o2 Observation/o3"),
        (
            "Observation?_id=o3&_include:iterate=Observation:has-member",
            "+Observation/o1 +Observation/o2 Observation/o3",
        ),
        ("Observation?_include=Observation:has-member", "Observation/o1 Observation/o2 Observation/o3"),
        (
            "Observation?_id=o1,o2&_include=Observation:subject&_include=Observation:patient",
            "+Patient/p1 Observation/o1 Observation/o2",
        ),
        ("Observation?_id=o1&_include=Observation:subject:Group", "Observation/o1"),
        (
            "DiagnosticReport?_include=DiagnosticReport:*",
            "+Observation/o1 +Patient/p1 DiagnosticReport/d",
        ),
        ("Organization?_revinclude=Patient:organization", "+Patient/p1 Organization/org"),
        (
            "Organization?_revinclude=Patient:organization&_revinclude:iterate=DiagnosticReport:patient",
            "+DiagnosticReport/d +Patient/p1 Organization/org",
        ),
        ("Organization?_revinclude=Patient:*", "+Patient/p1 Organization/org"),
        # several types: what one brings along is a match of another
        (
            "?_type=Observation,Patient&_include=Observation:subject",
            "Observation/o1 Observation/o2 Observation/o3 Patient/p1 Patient/p2",
        ),
        (
            "?_type=DiagnosticReport,Observation&_include=DiagnosticReport:result&_include=DiagnosticReport:subject",
            "+Patient/p1 DiagnosticReport/d Observation/o1 Observation/o2 Observation/o3",
        ),
        ("?_type=Patient&_id=p1", "Patient/p1"),
        ("?_id=p1", "Patient/p1"),
        # compartments
        ("Patient/p2/Observation", "Observation/o3"),
        ("Patient/p1/*?_type=DiagnosticReport", "DiagnosticReport/d"),
    ],
)  # fmt: skip
async def test_who_is_found(filled: httpx.AsyncClient, asked: str, expected: str) -> None:
    assert await _found(filled, asked) == expected


async def test_counts_totals_and_links(filled: httpx.AsyncClient) -> None:
    included = await _page(
        filled, "Observation?_count=2&_include=Observation:subject&_total=accurate&_sort=_id"
    )
    modes = [one["search"]["mode"] for one in included["entry"]]
    assert (included["total"], modes.count("match"), modes.count("include")) == (3, 2, 1)
    nothing = await _page(filled, "Observation?_count=0&_include=Observation:subject")
    counted = await _page(filled, "Observation?_summary=count")
    for one in (nothing, counted):
        assert (one["total"], one.get("entry"), [link["relation"] for link in one["link"]]) == (
            3,
            None,
            ["self"],
        )
    last = await _page(filled, "Observation?_sort=-_id&_count=1")
    assert [one["resource"]["id"] for one in last["entry"]] == ["o3"]
    links = {one["relation"]: one["url"] for one in last["link"]}
    assert links["self"] == f"{BASE}/Observation?_sort=-_id&_count=1"
    assert "_count=1" in links["next"] and "_sort=-_id" in links["next"]


async def test_get_and_post_are_one(filled: httpx.AsyncClient) -> None:
    for path, query in (
        (
            "Observation",
            "code=8480-6&_sort=-_id&_include=Observation:subject&_total=accurate&_elements=subject",
        ),
        ("Patient", "name=peter&_summary=true"),
        ("", "_type=Patient&_id=p1,p2"),
        ("Patient/p1/Observation", "code=8480-6"),
    ):
        got = await filled.get(f"/fhir/{path}?{query}")
        posted = await filled.post(f"/fhir/{path}/_search".replace("//", "/"), content=query, headers=FORM)
        assert (got.status_code, posted.status_code) == (200, 200), (path, posted.text)
        assert posted.json()["entry"] == got.json()["entry"]
        assert posted.json()["link"] == got.json()["link"]


async def test_what_is_deleted_is_not_found_by_anything(filled: httpx.AsyncClient) -> None:
    assert (await filled.delete("/fhir/Observation/o1")).status_code in (200, 204)
    for asked, expected in (
        ("Observation?_id=o1", ""),
        ("Observation?code=2823-3", ""),
        ("Observation?_lastUpdated=ge2000", "Observation/o2 Observation/o3"),
        ("Patient?_has:Observation:patient:code=2823-3", ""),
        ("DiagnosticReport?result.code=2823-3", ""),
        ("DiagnosticReport?result=Observation/o1", "DiagnosticReport/d"),
        ("DiagnosticReport?_include=DiagnosticReport:result", "DiagnosticReport/d"),
        ("Patient?_id=p1&_revinclude=Observation:subject", "+Observation/o2 Patient/p1"),
        ("Patient/p1/Observation", "Observation/o2"),
        ("?_id=o1", ""),
    ):
        assert await _found(filled, asked) == expected, asked
    assert (await _page(filled, "Observation?_total=accurate"))["total"] == 2
