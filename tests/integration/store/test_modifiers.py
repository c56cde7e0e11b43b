"""Every modifier of every type of search parameter (http://hl7.org/fhir/R4/search.html#modifiers)."""

from __future__ import annotations

from typing import Any

import pytest

from hub.errors import NotFound, status_of
from hub.store import Store
from hub.store.search.asking import MODIFIERS
from hub.store.search.planner import parse_query
from hub.store.search.query import InvalidSearch
from tests.integration.store.asking import ids, keep, page, patient, reference

UNICODE = "http://unitsofmeasure.org"
V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"


def _concept(*codes: str, text: str = "", display: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"coding": [{"system": "urn:codes", "code": code} for code in codes]}
    if display:
        found["coding"][0]["display"] = display
    return {**found, **({"text": text} if text else {})}


def _condition(id: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "id": id, "subject": reference("Patient/a"), **members}


@pytest.fixture
async def conditions(store: Store) -> Store:
    await keep(
        store,
        _condition("c1", code=_concept("a", "b", text="Severe headache", display="Headache, severe")),
        _condition("c2", code=_concept("b", display="偏头痛")),
        _condition("c3", code={"text": "Bone pain"}),
        _condition("c4"),
    )
    return store


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("code=a", "c1"),
        ("code:not=a", "c2 c3 c4"),
        ("code:not=a,b", "c3 c4"),
        ("code:not=a&code:not=b", "c3 c4"),
        ("code:missing=true", "c4"),
        ("code:missing=false", "c1 c2 c3"),
        ("code:text=headache", "c1"),
        ("code:text=SEVERE", "c1"),
        ("code:text=偏头", "c2"),
        ("code:text=bone,偏头痛", "c2 c3"),
        ("code:text=nothing", ""),
    ],
)
async def test_tokens_are_found_by_code_absence_and_text(
    conditions: Store, asked: str, expected: str
) -> None:
    assert await ids(conditions, f"Condition?{asked}") == expected


class _Terms:
    """A terminology that knows one value set and one hierarchy: a > b, a > c > d."""

    async def members(self, value_set: str) -> frozenset[tuple[str, str]]:
        if value_set in ("http://acme.org/vs|2", "http://acme.org/vs", "ValueSet/vs"):
            return frozenset({("urn:codes", "a"), ("urn:codes", "c")})
        if value_set == "http://acme.org/large":
            return frozenset(("urn:codes", f"n{n}") for n in range(3000)) | {("urn:codes", "b")}
        raise NotFound("this value set is not known here")

    async def below(self, system: str, code: str) -> frozenset[str]:
        return {"a": frozenset("abcd"), "c": frozenset("cd")}.get(code, frozenset({code}))

    async def above(self, system: str, code: str) -> frozenset[str]:
        return {"b": frozenset("ab"), "d": frozenset("acd")}.get(code, frozenset({code}))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("code:in=http://acme.org/vs", "c1"),
        ("code:in=http://acme.org/vs|2", "c1"),
        ("code:in=ValueSet/vs", "c1"),
        ("code:not-in=http://acme.org/vs", "c2 c3 c4"),
        ("code:in=http://acme.org/large", "c1 c2"),
        ("code:not-in=http://acme.org/large", "c3 c4"),
        ("code:below=urn:codes|a", "c1 c2"),
        ("code:below=urn:codes|c", ""),
        ("code:above=urn:codes|b", "c1 c2"),
        ("code:above=urn:codes|d", "c1"),
        ("code:above=urn:other|b", ""),
    ],
)
async def test_tokens_are_found_by_meaning(conditions: Store, asked: str, expected: str) -> None:
    conditions.terms = _Terms()
    assert await ids(conditions, f"Condition?{asked}") == expected


async def test_an_unknown_value_set_and_a_missing_terminology_are_said_to_be_so(conditions: Store) -> None:
    with pytest.raises(InvalidSearch) as without:
        await page(conditions, "Condition?code:in=http://acme.org/vs")
    assert without.value.issues[0].code == "not-supported"
    conditions.terms = _Terms()
    with pytest.raises(InvalidSearch) as unknown:
        await page(conditions, "Condition?code:in=http://acme.org/none")
    assert status_of(unknown.value) == 400
    assert unknown.value.issues[0].code == "not-found"
    with pytest.raises(InvalidSearch):
        parse_query("Condition", [("code:below", "a")])


async def test_identifiers_are_found_by_their_type(store: Store) -> None:
    kind = {"coding": [{"system": V2, "code": "MR"}], "text": "病案号"}
    await keep(
        store,
        patient("a", identifier=[{"type": kind, "system": "urn:mrn", "value": "446053"}]),
        patient("b", identifier=[{"system": "urn:mrn", "value": "446053"}]),
    )
    assert await ids(store, f"Patient?identifier:of-type={V2}|MR|446053") == "a"
    assert await ids(store, f"Patient?identifier:of-type={V2}|SS|446053") == ""
    assert await ids(store, "Patient?identifier:text=病案") == "a"
    for value in ("446053", f"{V2}|MR", f"{V2}||446053", "|MR|446053"):
        with pytest.raises(InvalidSearch):
            parse_query("Patient", [("identifier:of-type", value)])


async def test_strings_are_found_from_their_start_anywhere_and_exactly(store: Store) -> None:
    long = "x" * 500 + " Ende"
    await keep(
        store,
        patient("eve", name=[{"given": ["Eve"]}]),
        patient("evelyn", name=[{"given": ["Évelyn"], "use": "official"}]),
        patient("severine", name=[{"given": ["Severine"]}]),
        patient("none"),
        {"resourceType": "Organization", "id": "o", "name": long},
        {"resourceType": "Organization", "id": "p", "name": "y" * 500},
    )
    assert await ids(store, "Patient?given=eve") == "eve evelyn"
    assert await ids(store, "Patient?given=ève") == "eve evelyn"
    assert await ids(store, "Patient?given:contains=EVE") == "eve evelyn severine"
    assert await ids(store, "Patient?given:exact=Eve") == "eve"
    assert await ids(store, "Patient?given:exact=eve") == ""
    assert await ids(store, "Patient?given:exact=Evelyn") == ""
    assert await ids(store, "Patient?given:missing=true") == "none"
    assert await ids(store, "Patient?name:exact=official") == ""
    assert await ids(store, "Organization?name:contains=ende") == "o"
    assert await ids(store, f"Organization?name={'x' * 500}") == "o"
    assert await ids(store, f"Organization?name={'x' * 450}y") == ""


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("url=http://acme.org/fhir/ValueSet/123", "v1"),
        ("url=http://acme.org/fhir/valueset/123", ""),
        ("url=http://acme.org/fhir/ValueSet/123|2.0", "v1"),
        ("url=http://acme.org/fhir/ValueSet/123|3.0", ""),
        ("url=urn:oid:1.2.3.4.5", "v4"),
        ("url:below=http://acme.org/fhir/", "v1 v2"),
        ("url:below=http://acme.org/fhir", "v1 v2"),
        ("url:below=http://acme.org/fhi", ""),
        ("url:below=http://acme.org/fhir/ValueSet/123", "v1"),
        ("url:below=HTTP://acme.org/fhir", ""),
        ("url:above=http://acme.org/fhir/ValueSet/123/_history/5", "v1"),
        ("url:above=http://acme.org/fhir/ValueSet/1234", ""),
        ("url:above=http://acme.org/fhir2/x", "v3"),
        ("url:missing=true", "v5"),
        ("url=http://acme.org/fhir2,urn:oid:1.2.3.4.5", "v3 v4"),
    ],
)
async def test_uris_are_found_exactly_and_by_their_path(store: Store, asked: str, expected: str) -> None:
    def value_set(id: str, **members: Any) -> dict[str, Any]:
        return {"resourceType": "ValueSet", "id": id, "status": "active", **members}

    await keep(
        store,
        value_set("v1", url="http://acme.org/fhir/ValueSet/123", version="2.0"),
        value_set("v2", url="http://acme.org/fhir/ValueSet/12"),
        value_set("v3", url="http://acme.org/fhir2"),
        value_set("v4", url="urn:oid:1.2.3.4.5"),
        value_set("v5"),
    )
    assert await ids(store, f"ValueSet?{asked}") == expected


async def test_urns_have_nothing_above_or_below_them() -> None:
    for modifier in ("above", "below"):
        with pytest.raises(InvalidSearch):
            parse_query("ValueSet", [(f"url:{modifier}", "urn:oid:1.2.3")])


async def test_references_are_found_by_type_identifier_and_hierarchy(store: Store) -> None:
    def place(id: str, part_of: str = "") -> dict[str, Any]:
        whole = {"partOf": reference(part_of)} if part_of else {}
        return {"resourceType": "Location", "id": id, **whole}

    def procedure(id: str, location: str) -> dict[str, Any]:
        about = {"status": "completed", "subject": {"identifier": {"system": "urn:mrn", "value": "7"}}}
        return {"resourceType": "Procedure", "id": id, "location": reference(location), **about}

    await keep(
        store,
        place("42"),
        place("ward", "Location/42"),
        place("room", "http://127.0.0.1:8080/fhir/Location/ward"),
        place("other"),
        procedure("p42", "Location/42"),
        procedure("pward", "Location/ward"),
        procedure("proom", "Location/room"),
        procedure("pother", "Location/other"),
    )
    assert await ids(store, "Procedure?location=42") == "p42"
    assert await ids(store, "Procedure?location:Location=ward") == "pward"
    assert await ids(store, "Procedure?location:below=42") == "p42 proom pward"
    assert await ids(store, "Procedure?location:below=Location/ward") == "proom pward"
    assert await ids(store, "Procedure?location:above=room") == "p42 proom pward"
    assert await ids(store, "Procedure?location:above=other,42") == "p42 pother"
    assert await ids(store, "Procedure?location:missing=true") == ""
    assert await ids(store, "Procedure?subject:identifier=urn:mrn|7") == "p42 pother proom pward"
    assert await ids(store, "Procedure?subject:identifier=|7") == ""
    with pytest.raises(InvalidSearch) as refused:
        await page(store, "Procedure?subject:below=Patient/1")
    assert refused.value.issues[0].code == "not-supported"


async def test_canonical_references_are_found_below_a_version(store: Store) -> None:
    def plan(id: str, definition: str) -> dict[str, Any]:
        about = {"status": "draft", "intent": "plan", "subject": reference("Patient/a")}
        return {"resourceType": "CarePlan", "id": id, "instantiatesCanonical": [definition], **about}

    await keep(
        store,
        plan("a", "http://acme.org/plan|1.0"),
        plan("b", "http://acme.org/plan|1.1"),
        plan("c", "http://acme.org/plan|2.0"),
        plan("d", "http://acme.org/plans|1.0"),
    )
    assert await ids(store, "CarePlan?instantiates-canonical:below=http://acme.org/plan") == "a b c"
    assert await ids(store, "CarePlan?instantiates-canonical:below=http://acme.org/plan|1") == "a b"
    assert await ids(store, "CarePlan?instantiates-canonical=http://acme.org/plan|2.0") == "c"


async def test_mime_types_are_found_without_their_parameters(store: Store) -> None:
    def document(id: str, kind: str) -> dict[str, Any]:
        content = [{"attachment": {"contentType": kind}}]
        return {"resourceType": "DocumentReference", "id": id, "status": "current", "content": content}

    await keep(
        store, document("a", "text/xml"), document("b", "text/xml; charset=UTF-8"), document("c", "text/x")
    )
    assert await ids(store, "DocumentReference?contenttype=text/xml") == "a"
    assert await ids(store, "DocumentReference?contenttype:below=text/xml") == "a b"


SAMPLES = {
    "token": ("Patient", "gender", "male"),
    "reference": ("Observation", "subject", "Patient/1"),
    "string": ("Patient", "name", "x"),
    "uri": ("ValueSet", "url", "http://acme.org"),
    "date": ("Patient", "birthdate", "2026"),
    "number": ("RiskAssessment", "probability", "0.5"),
    "quantity": ("Observation", "value-quantity", "5"),
    "composite": ("Observation", "code-value-quantity", "8480-6$5"),
    "special": ("Location", "near", "30|120"),
}


@pytest.mark.parametrize("kind", sorted(MODIFIERS))
def test_a_modifier_that_a_type_does_not_take_is_refused_even_leniently(kind: str) -> None:
    """http://hl7.org/fhir/R4/search.html#modifiers: a server SHALL reject it."""
    type_name, code, value = SAMPLES[kind]
    every = set().union(*MODIFIERS.values()) | {"nonsense", "Patient"}
    allowed = MODIFIERS[kind] | ({"Patient"} if kind == "reference" else set())
    for modifier in every - allowed - {""}:
        for lenient in (False, True):
            with pytest.raises(InvalidSearch) as refused:
                parse_query(type_name, [(f"{code}:{modifier}", value)], lenient=lenient)
            found = refused.value.issues[0]
            assert found.code == "not-supported" and found.expression == f"{code}:{modifier}"
    assert parse_query(type_name, [(code, value)]).asked
