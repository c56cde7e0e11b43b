"""Dates, numbers, quantities, references and uris: every example of http://hl7.org/fhir/R4/search.html."""

from __future__ import annotations

from typing import Any

import pytest

from hub.store import Store
from hub.store.search.planner import parse_query
from hub.store.search.query import InvalidSearch
from tests.integration.store.asking import ids, keep, observation, patient, reference

UCUM = "http://unitsofmeasure.org"
BASE = "http://127.0.0.1:8080/fhir"


async def _answers(store: Store, type_name: str, questions: dict[str, str]) -> dict[str, str]:
    return {asked: await ids(store, f"{type_name}?{asked}") for asked in questions}


async def test_dates_of_every_precision_and_open_periods(store: Store) -> None:
    """The times here have no zone, or the hub's own (+08:00), or another."""
    await keep(
        store,
        observation("day", effectiveDateTime="2013-01-14"),
        observation("start", effectiveDateTime="2013-01-14T00:00:00+08:00"),
        observation("ten", effectiveDateTime="2013-01-14T10:00:00+08:00"),
        observation("next", effectiveDateTime="2013-01-15T00:00:00+08:00"),
        observation("month", effectiveDateTime="2013-01"),
        observation("year", effectiveDateTime="2013"),
        observation("from", effectivePeriod={"start": "2013-01-21"}),
        observation("late", effectivePeriod={"start": "2013-03-15"}),
        observation("until", effectivePeriod={"end": "2013-01-13"}),
        observation("instant", effectiveInstant="2013-01-14T02:00:30.500Z"),  # ten o'clock here
        observation(
            "timing",
            effectiveTiming={"repeat": {"boundsPeriod": {"start": "2012-12-31", "end": "2013-01-02"}}},
        ),
    )  # fmt: skip
    questions = {
        "date=eq2013-01-14": "day instant start ten",
        "date=2013-01-14": "day instant start ten",
        "date=ne2013-01-14": "from late month next timing until year",
        "date=lt2013-01-14T10:00": "day month start timing until year",
        "date=gt2013-01-14T10:00": "day from late month next year",
        "date=2013-01-14T10:00": "instant ten",
        "date=2013-01-14T10:00:00": "ten",
        "date=2013-01-14T02:00Z": "instant ten",
        "date=2013-01-14T02:00:30.5Z": "instant",
        "date=2013-01-14T10:00:00+08:00": "ten",
        "date=2013-01-13T21:00:00-05:00": "ten",
        "date=ge2013-03-14": "from late year",
        "date=le2013-01-01": "month timing until year",
        "date=sa2013-03-14": "late",
        "date=eb2013-01-14": "timing until",
        "date=eb2013-01-13": "timing",
        "date=2013": "day instant month next start ten year",
        "date=2013-01": "day instant month next start ten",
        "date=ge2013-01-15&date=le2013-01-15": "month next year",
        "date=2012-12-31": "",
        "date=sa2012-12-30&date=eb2013-01-03": "timing",
        "date:missing=true": "",
    }
    assert await _answers(store, "Observation", questions) == questions


async def test_numbers_by_significant_digits(store: Store) -> None:
    def risk(id: str, probability: str) -> dict[str, Any]:
        about = {"status": "final", "subject": reference("Patient/a")}
        number = float(probability) if "." in probability else int(probability)
        return {
            "resourceType": "RiskAssessment",
            "id": id,
            **about,
            "prediction": [{"probabilityDecimal": number}],
        }

    def sequence(id: str, start: int) -> dict[str, Any]:
        window = {"windowStart": start, "windowEnd": start + 1}
        return {"resourceType": "MolecularSequence", "id": id, "coordinateSystem": 0, "referenceSeq": window}

    values = ("49.9", "50", "94.9", "95", "99.49", "99.5", "99.996", "100", "100.4", "100.5", "104.9", "105")
    await keep(store, *(risk(f"v{one}", one) for one in values), sequence("s2", 2), sequence("s3", 3))
    questions = {
        "probability=100": "v100 v100.4 v99.5 v99.996",
        "probability=100.00": "v100 v99.996",
        "probability=1e2": "v100 v100.4 v100.5 v104.9 v95 v99.49 v99.5 v99.996",
        "probability=1.00e2": "v100 v100.4 v99.5 v99.996",
        "probability=lt99.5": "v49.9 v50 v94.9 v95 v99.49",
        "probability=le95": "v49.9 v50 v94.9 v95",
        "probability=gt100": "v100.4 v100.5 v104.9 v105",
        "probability=ge105": "v105",
        "probability=gt1.049e2": "v105",
        "probability=sa104.9": "v105",
        "probability=eb50": "v49.9",
        "probability=ap50": "v49.9 v50",
        "probability=ne100": "v100.5 v104.9 v105 v49.9 v50 v94.9 v95 v99.49",
        "probability=50,105": "v104.9 v105 v49.9 v50",
    }
    assert await _answers(store, "RiskAssessment", questions) == questions
    whole = {
        "window-start=2": "s2",
        "window-start=2.0": "s2",
        "window-start=2.5": "",
        "window-start=gt2": "s3",
        "window-start=ne2": "s3",
    }
    assert await _answers(store, "MolecularSequence", whole) == whole


async def test_quantities_with_and_without_their_units(store: Store) -> None:
    def measured(id: str, value: float, **unit: str) -> dict[str, Any]:
        return observation(id, valueQuantity={"value": value, **unit})

    ucum = {"system": UCUM, "code": "mg", "unit": "milligram"}
    await keep(
        store,
        measured("a", 5.4, **ucum),
        measured("b", 5.44, **ucum),
        measured("c", 5.4, unit="mg"),
        measured("d", 5.4, system="http://acme.org", code="mg"),
        measured("e", 5.4),
        measured("f", 6, **ucum),
        measured("g", 0.0054, system=UCUM, code="g"),
        measured("h", 0.00541, system=UCUM, code="g"),
        measured("less", 5, comparator="<", **ucum),
        measured("more", 7, comparator=">", **ucum),
        observation("none"),
    )
    questions = {
        f"value-quantity=5.4|{UCUM}|mg": "a b",
        f"value-quantity=5.40|{UCUM}|mg": "a",
        f"value-quantity=5.40e-3|{UCUM}|g": "g",
        f"value-quantity=5.4e-3|{UCUM}|g": "g h",
        "value-quantity=5.4||mg": "a b c d",
        "value-quantity=5.4||milligram": "a b",
        "value-quantity=5.4": "a b c d e",
        "value-quantity=5.4||": "a b c d e",
        f"value-quantity=5.4|{UCUM}|": "a b",
        f"value-quantity=gt5.4|{UCUM}|": "b f more",
        f"value-quantity=le5.4|{UCUM}|mg": "a less",
        f"value-quantity=ap5.4|{UCUM}|mg": "a b less",
        f"value-quantity=lt5|{UCUM}|mg": "less",
        f"value-quantity=gt7|{UCUM}|mg": "more",
        f"value-quantity=6|{UCUM}|mg,5.4|http://acme.org|mg": "d f",
        f"value-quantity=6|{UCUM}|,5.4|http://acme.org|": "d f",
        f"value-quantity=5.4|{UCUM}|MG": "",
        "value-quantity:missing=true": "none",
    }
    assert await _answers(store, "Observation", questions) == questions


async def test_money_by_its_currency(store: Store) -> None:
    def invoice(id: str, value: float, currency: str) -> dict[str, Any]:
        return {
            "resourceType": "Invoice",
            "id": id,
            "status": "issued",
            "totalNet": {"value": value, "currency": currency},
        }

    await keep(store, invoice("a", 105.00, "CNY"), invoice("b", 105, "EUR"))
    questions = {
        "totalnet=105": "a b",
        "totalnet=105|urn:iso:std:iso:4217|CNY": "a",
        "totalnet=105||EUR": "b",
        "totalnet=105|urn:iso:std:iso:4217|": "a b",
        "totalnet=gt100||CNY": "a",
    }
    assert await _answers(store, "Invoice", questions) == questions


async def test_references_in_every_form(store: Store) -> None:
    identified = {"identifier": {"system": "http://acme.org/mrn", "value": "123456"}}
    await keep(
        store,
        patient("23"),
        observation("relative", subject=reference("Patient/23")),
        observation("absolute", subject=reference(f"{BASE}/Patient/23")),
        observation("versioned", subject=reference("Patient/23/_history/2")),
        observation("group", subject=reference("Group/23")),
        observation("foreign", subject=reference("http://example.org/fhir/Patient/23")),
        observation("urn", subject=reference("urn:oid:1.2.3")),
        observation("logical", subject=identified),
        observation("plain", subject={"identifier": {"value": "123456"}}),
    )
    ours = "absolute relative versioned"
    questions = {
        "subject=Patient/23": ours,
        f"subject={BASE}/Patient/23": ours,
        "subject:Patient=23": ours,
        "subject:Patient=Patient/23": ours,
        "patient=23": ours,
        "patient=Patient/23": ours,
        "subject:Group=23": "group",
        "subject:Group=Patient/23": "",
        "subject=http://example.org/fhir/Patient/23": "foreign",
        "subject=urn:oid:1.2.3": "urn",
        "subject=Patient/99": "",
        "subject=Group/23,urn:oid:1.2.3": "group urn",
        "subject:identifier=http://acme.org/mrn|123456": "logical",
        "subject:identifier=123456": "logical plain",
        "subject:identifier=|123456": "plain",
        "subject:identifier=http://acme.org/mrn|": "logical",
        "subject:identifier=http://acme.org/other|": "",
        "subject:missing=true": "",
        "subject.name=x": "",
    }
    assert await _answers(store, "Observation", questions) == questions


async def test_parameters_of_every_resource(store: Store) -> None:
    meta = {
        "tag": [{"system": "http://acme.org/codes", "code": "needs-review"}],
        "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}],
        "profile": ["http://acme.org/StructureDefinition/a|2.0", f"{BASE}/StructureDefinition/local"],
        "source": "http://acme.org/feed#17",
    }
    await keep(store, patient("a", meta=meta), patient("b"))
    questions = {
        "_id=a,b": "a b",
        "_id=a&_id=b": "",
        "_id:not=a": "b",
        "_id:missing=true": "",
        "_id:missing=false": "a b",
        "_lastUpdated:missing=true": "",
        "_lastUpdated:missing=false": "a b",
        "_lastUpdated=gt2010-10-01": "a b",
        "_lastUpdated=lt2010-10-01": "",
        "_tag=http://acme.org/codes|needs-review": "a",
        "_tag=needs-review": "a",
        "_tag=http://acme.org/codes|": "a",
        "_tag:not=needs-review": "b",
        "_tag:missing=true": "b",
        "_security=R": "a",
        "_security=r": "",
        "_profile=http://acme.org/StructureDefinition/a": "a",
        "_profile=http://acme.org/StructureDefinition/a|2.0": "a",
        "_profile=http://acme.org/StructureDefinition/a|3.0": "",
        f"_profile={BASE}/StructureDefinition/local": "a",
        "_profile=StructureDefinition/local": "a",
        "_profile:below=http://acme.org/StructureDefinition": "a",
        "_source=http://acme.org/feed#17": "a",
        "_source:below=http://acme.org/": "a",
        "_source:missing=true": "b",
    }
    assert await _answers(store, "Patient", questions) == questions


@pytest.mark.parametrize(
    ("type_name", "name", "value"),
    [
        ("Condition", "onset-date", "23 May 2009"),
        ("Condition", "onset-date:text", "1995"),
        ("Observation", "date", "2013-01-14T10"),
        ("Observation", "date", "-01-14"),
        ("Observation", "value-quantity", "5|a|b|c"),
        ("Observation", "code-value-quantity:missing", "true"),
        ("RiskAssessment", "probability", "many"),
        ("Patient", "name", r"xx\xx"),
        ("Patient", "_id:exact", "a"),
        ("Location", "near:missing", "true"),
        ("CarePlan", "instantiates-canonical:identifier", "http://acme.org|1"),
    ],
)
def test_what_r4_calls_wrong_is_refused(type_name: str, name: str, value: str) -> None:
    with pytest.raises(InvalidSearch):
        parse_query(type_name, [(name, value)])
