"""Chains and reverse chains of any depth (http://hl7.org/fhir/R4/search.html#chaining and #has)."""

from __future__ import annotations

from typing import Any

import pytest

from hub.errors import status_of
from hub.store import Store
from hub.store.search import linked
from hub.store.search.planner import parse_query
from hub.store.search.query import InvalidSearch
from tests.integration.store.asking import ids, keep, observation, page, patient, reference


def _organization(id: str, part_of: str = "", **members: Any) -> dict[str, Any]:
    whole = {"partOf": reference(f"Organization/{part_of}")} if part_of else {}
    return {"resourceType": "Organization", "id": id, **whole, **members}


def _audit(id: str, entity: str, agent: str) -> dict[str, Any]:
    return {
        "resourceType": "AuditEvent",
        "id": id,
        "type": {"code": "rest"},
        "recorded": "2026-02-02T08:00:00Z",
        "agent": [{"requestor": True, "who": reference(agent)}],
        "source": {"observer": reference("Device/d")},
        "entity": [{"what": reference(entity)}],
    }


@pytest.fixture(params=["by the index", "in batches"])
async def county(store: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Both ways of following: with few matches at the far end, and with more than are named to the index."""
    if request.param == "in batches":
        monkeypatch.setattr(linked, "MAX_FAR", 0)
    tag = {"tag": [{"system": "urn:tags", "code": "pilot"}]}
    await keep(
        store,
        _organization("o1", name="County", meta=tag),
        _organization("o2", "o1", name="Ward"),
        _organization("o3", "o2", name="Room"),
        patient(
            "p1",
            name=[{"family": "Wang"}],
            managingOrganization=reference("Organization/o1"),
            identifier=[{"system": "urn:mrn", "value": "1"}],
        ),
        patient("p2", name=[{"family": "Li"}], managingOrganization=reference("Organization/o3")),
        patient("p3", gender="male"),
        {"resourceType": "Group", "id": "p1", "type": "person", "actual": True, "name": "Wang"},
        observation("b1", subject=reference("Patient/p1"), valueQuantity={"value": 120}),
        observation("b2", subject=reference("http://127.0.0.1:8080/fhir/Patient/p2/_history/1")),
        observation("b3", subject=reference("Group/p1")),
        observation("b4", subject={"identifier": {"system": "urn:mrn", "value": "1"}}),
        observation(
            "b5", subject=reference("Patient/p3"), focus=[reference("Patient/p1"), reference("Patient/p2")]
        ),
        _audit("a1", "Observation/b1", "Practitioner/x"),
        _audit("a2", "Observation/b2", "Practitioner/y"),
        {"resourceType": "Practitioner", "id": "x", "name": [{"family": "Doe"}]},
        {
            "resourceType": "DiagnosticReport",
            "id": "r1",
            "status": "final",
            "code": {"text": "x"},
            "result": [reference("Observation/b1"), reference("Observation/b2")],
        },
    )
    return store


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Observation?subject:Patient.name=wang", "b1"),
        ("Observation?subject.name=wang", "b1"),
        ("Observation?patient.name=wang,li", "b1 b2"),
        ("Observation?patient.name=wang&patient.name=li", ""),
        ("Observation?patient.name:exact=wang", ""),
        ("Observation?patient.gender:missing=true", "b1 b2"),
        ("Observation?patient.gender:not=male", "b1 b2"),
        ("Observation?patient.identifier=urn:mrn|1", "b1"),
        ("Observation?patient._id=p1,p3", "b1 b5"),
        ("Observation?subject:Group._id=p1", "b3"),
        ("Observation?patient._lastUpdated=lt2000", ""),
        ("Observation?patient._lastUpdated=gt2000", "b1 b2 b5"),
        ("Observation?patient.organization._tag=urn:tags|pilot", "b1"),
        ("Observation?patient.organization.partof.partof.name=county", "b2"),
        ("Observation?focus:Patient.organization.name=county", "b5"),
        ("Observation?patient.organization:Organization.name=room&code=8480-6", "b2"),
        ("Observation?patient.name=nobody", ""),
        ("DiagnosticReport?result.subject:Patient.name=li", "r1"),
        ("DiagnosticReport?result.code-value-quantity=http://loinc.org|8480-6$gt100", "r1"),
        ("DiagnosticReport?result.code-value-quantity=http://loinc.org|8480-6$gt130", ""),
        ("Patient?_has:Observation:patient:code=8480-6", "p1 p2 p3"),
        ("Patient?_has:Observation:patient:code=nothing", ""),
        ("Patient?_has:Observation:patient:value-quantity=gt100", "p1"),
        ("Patient?_has:Observation:focus:code=8480-6", "p1 p2"),
        ("Patient?_has:Observation:patient:code=8480-6&_has:Observation:focus:code=8480-6", "p1 p2"),
        ("Patient?_has:Observation:patient:code=8480-6&gender=male", "p3"),
        ("Patient?_id=p1,p2&_has:Observation:patient:_id=b2,b5", "p2"),
        ("Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/x", "p1"),
        ("Patient?_has:Observation:patient:_has:AuditEvent:entity:agent.name=doe", "p1"),
        ("Patient?_has:Observation:patient:_has:DiagnosticReport:result:status=final", "p1 p2"),
        ("Organization?_has:Patient:organization:name=wang,li", "o1 o3"),
        ("Observation?patient._has:Observation:focus:status=final", "b1 b2"),
        ("AuditEvent?entity:Observation.patient.name=wang", "a1"),
    ],
)
async def test_following_references(county: Store, asked: str, expected: str) -> None:
    assert await ids(county, asked) == expected


async def test_a_contained_resource_is_asked_by_the_chain_that_leads_to_it(store: Store) -> None:
    """http://hl7.org/fhir/R4/search.html#contained"""

    def request(id: str, code: str, **members: Any) -> dict[str, Any]:
        ingredient = [{"itemCodeableConcept": {"coding": [{"system": "urn:drugs", "code": code}]}}]
        held = {"resourceType": "Medication", "id": "m", "ingredient": ingredient, **members}
        return {
            "resourceType": "MedicationRequest",
            "id": id,
            "contained": [held],
            "status": "active",
            "intent": "order",
            "subject": reference("Patient/a"),
            "medicationReference": reference("#m"),
        }

    await keep(
        store,
        _organization("maker", name="Maker"),
        request("r1", "abc", manufacturer=reference("Organization/maker")),
        request("r2", "xyz"),
    )
    assert await ids(store, "MedicationRequest?medication.ingredient-code=abc") == "r1"
    assert await ids(store, "MedicationRequest?medication.ingredient-code=abc,xyz") == "r1 r2"
    assert await ids(store, "MedicationRequest?medication.manufacturer.name=maker") == "r1"
    assert await ids(store, "Medication?ingredient-code=abc") == ""


async def test_the_resource_inside_a_bundle_is_asked_by_a_chain(store: Store) -> None:
    def document(id: str, title: str) -> dict[str, Any]:
        composition = {
            "resourceType": "Composition",
            "id": f"c{id}",
            "status": "final",
            "type": {"text": "x"},
            "date": "2026-01-01",
            "author": [reference("Practitioner/x")],
            "title": title,
        }
        entry = [{"fullUrl": f"http://acme.org/Composition/c{id}", "resource": composition}]
        return {
            "resourceType": "Bundle",
            "id": id,
            "type": "document",
            "timestamp": "2026-01-01T00:00:00Z",
            "identifier": {"system": "urn:d", "value": id},
            "entry": entry,
        }

    await keep(store, document("d1", "Discharge"), document("d2", "Letter"))
    assert await ids(store, "Bundle?composition.title=disch") == "d1"


@pytest.mark.parametrize("most", [0, 1000])
async def test_canonical_references_are_followed_both_ways(
    store: Store, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(linked, "MAX_FAR", most)

    def form(id: str, version: str, title: str) -> dict[str, Any]:
        about = {"status": "active", "version": version, "title": title}
        return {"resourceType": "Questionnaire", "id": id, "url": "http://acme.org/form", **about}

    def filled(id: str, to: str, status: str) -> dict[str, Any]:
        return {"resourceType": "QuestionnaireResponse", "id": id, "questionnaire": to, "status": status}

    await keep(
        store,
        form("q1", "1", "Old"),
        form("q2", "2", "New"),
        filled("r1", "http://acme.org/form|1", "completed"),
        filled("r2", "http://acme.org/form|2", "in-progress"),
        filled("r3", "http://acme.org/form", "amended"),
        filled("r4", "http://acme.org/other", "completed"),
    )
    assert await ids(store, "QuestionnaireResponse?questionnaire.title=old") == "r1 r3"
    assert await ids(store, "QuestionnaireResponse?questionnaire.title=new") == "r2 r3"
    assert await ids(store, "QuestionnaireResponse?questionnaire.title=other") == ""
    has = "Questionnaire?_has:QuestionnaireResponse:questionnaire:status="
    assert await ids(store, f"{has}completed") == "q1"
    assert await ids(store, f"{has}in-progress,completed") == "q1 q2"
    assert await ids(store, f"{has}amended") == "q1 q2"


async def test_pages_of_a_chain_go_on_when_the_far_end_grows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linked, "MAX_FAR", 3)
    await keep(store, *(patient(f"p{n}", name=[{"family": "Wang"}]) for n in range(3)))
    await keep(store, *(observation(f"b{n}", subject=reference(f"Patient/p{n % 3}")) for n in range(9)))
    first = await page(store, "Observation?patient.name=wang&_count=4")
    await keep(store, patient("p9", name=[{"family": "Wang"}]), patient("p8", name=[{"family": "Wang"}]))
    seen = [hit.id for hit in first.entries]
    cursor = first.next
    while cursor:
        more = await page(store, f"Observation?patient.name=wang&_count=4&_cursor={cursor}")
        seen += [hit.id for hit in more.entries]
        cursor = more.next
    assert sorted(seen) == [f"b{n}" for n in range(9)]


@pytest.mark.parametrize(
    "name",
    [
        "patient." * 20 + "name",
        "subject." * 20 + "name",
        "_has:Observation:patient:" * 20 + "code",
        "subject:Nothing.name",
        "code.name",
        "patient.",
        "patient.nothing",
        "patient.name:below",
        "_has:Observation",
        "_has:Observation:code:code",
        "_has:Nothing:patient:code",
        "_has:Observation:nothing:code",
        "_has",
    ],
)
def test_chains_that_lead_nowhere_or_too_far_are_refused(name: str) -> None:
    type_name = "Patient" if name.startswith("_has") else "Observation"
    with pytest.raises(InvalidSearch) as refused:
        parse_query(type_name, [(name, "x")])
    assert status_of(refused.value) == 400
    assert refused.value.issues[0].expression == name[:80]


def test_ten_steps_may_be_chained() -> None:
    assert parse_query("Organization", [("partof." * 10 + "name", "x")]).asked
    with pytest.raises(InvalidSearch):
        parse_query("Organization", [("partof." * 11 + "name", "x")])
