"""Tokens as http://hl7.org/fhir/R4/search.html#token has them: every form, and where case counts."""

from __future__ import annotations

import pytest

from hub import r4
from hub.r4.terms import published, published_urls
from hub.store import Store, Tx
from hub.store.resources import resolve
from tests.integration.store.asking import ids, keep, observation, patient, reference

V2 = "http://terminology.hl7.org/CodeSystem/v2-0131"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


def test_case_counts_in_the_published_systems_that_say_so() -> None:
    urls = published_urls("CodeSystem")
    said = {url for url in urls if (published("CodeSystem", url) or {}).get("caseSensitive") is True}
    assert len(said) > 600
    assert {url for url in urls if r4.case_counts(url)} - said <= {
        "http://hl7.org/fhir/CodeSystem/example-supplement"
    }
    assert said <= {url for url in urls if r4.case_counts(url)}
    assert r4.case_counts("http://unitsofmeasure.org")
    assert not r4.case_counts("http://loinc.org") and not r4.case_counts("")


@pytest.fixture
async def tokens(store: Store) -> Store:
    def coded(id: str, **coding: str) -> dict[str, object]:
        return observation(id, code={"coding": [coding]})

    await keep(
        store,
        coded("hl7", system=ROLE, code="FTH"),
        coded("loose", system="http://acme.org/codes", code="ha125"),
        coded("upper", system="http://acme.org/codes", code="HA125"),
        coded("none", code="ha125"),
        coded("bare", system="http://acme.org/codes"),
        patient(
            "p",
            identifier=[{"system": "urn:mrn", "value": "AbC"}, {"value": "Xy"}],
            telecom=[{"system": "email", "use": "work", "value": "Fang.Wang@Example.org"}],
            gender="male",
            active=True,
        ),
        patient("q", identifier=[{"system": "urn:mrn", "value": "abc"}], active=False),
        {
            "resourceType": "Medication",
            "id": "m",
            "batch": {"lotNumber": "Lot-7A"},
        },
        {
            "resourceType": "DocumentReference",
            "id": "d",
            "status": "current",
            "content": [{"attachment": {"contentType": "application/PDF"}}],
        },
    )
    return store


@pytest.mark.parametrize(
    ("type_name", "questions"),
    [
        (
            "Observation",
            {
                # the four forms
                "code=ha125": "loose none upper",
                "code=http://acme.org/codes|ha125": "loose upper",
                "code=|ha125": "none",
                "code=http://acme.org/codes|": "bare loose upper",
                "code=http://acme.org/other|ha125": "",
                # case
                "code=HA125": "loose none upper",
                "code=http://acme.org/codes|Ha125": "loose upper",
                "code=|HA125": "none",
                "code=FTH": "hl7",
                "code=fth": "",
                f"code={ROLE}|FTH": "hl7",
                f"code={ROLE}|fth": "",
                "code:not=HA125": "bare hl7",
                "code:not=fth": "bare hl7 loose none upper",
                "code:not=http://acme.org/codes|ha125": "bare hl7 none",
                "code=fth,|ha125": "none",
            },
        ),
        (
            "Patient",
            {
                "identifier=AbC": "p",
                "identifier=abc": "q",
                "identifier=urn:mrn|AbC": "p",
                "identifier=urn:mrn|ABC": "",
                "identifier=|Xy": "p",
                "identifier=|xy": "",
                "identifier=urn:mrn|": "p q",
                "email=fang.wang@example.org": "p",
                "telecom=FANG.WANG@EXAMPLE.ORG": "p",
                "gender=male": "p",
                "gender=MALE": "",
                "gender=http://hl7.org/fhir/administrative-gender|male": "p",
                "active=true": "p",
                "active:not=true": "q",
                "_id=P": "",
            },
        ),
        ("Medication", {"lot-number=lot-7a": "m", "lot-number=LOT-7A": "m", "lot-number=lot-7": ""}),
        ("DocumentReference", {"contenttype=application/pdf": "d"}),
    ],
)
async def test_tokens_in_every_form_and_case(
    tokens: Store, type_name: str, questions: dict[str, str]
) -> None:
    found = {asked: await ids(tokens, f"{type_name}?{asked}") for asked in questions}
    assert found == questions


async def test_a_condition_of_a_write_knows_the_same_cases(tokens: Store) -> None:
    async def first(tx: Tx) -> list[list[str]]:
        return [
            await resolve(tx, "Observation", [("code", "http://acme.org/codes|HA125"), ("_id", "loose")]),
            await resolve(tx, "Observation", [("code", f"{ROLE}|fth")]),
            await resolve(tx, "Patient", [("identifier", "urn:mrn|AbC")]),
            await resolve(tx, "Patient", [("email", "fang.wang@EXAMPLE.org")]),
            await resolve(tx, "Medication", [("lot-number", "LOT-7a")]),
        ]

    assert await tokens.write(first) == [["loose"], [], ["p"], ["p"], ["m"]]


async def test_the_parts_of_a_composite_know_the_same_cases(store: Store) -> None:
    def measured(id: str, system: str, code: str) -> dict[str, object]:
        return observation(
            id, code={"coding": [{"system": system, "code": code}]}, valueQuantity={"value": 5}
        )

    await keep(store, measured("acme", "http://acme.org", "abc"), measured("role", ROLE, "FTH"))
    assert await ids(store, "Observation?code-value-quantity=http://acme.org|ABC$5") == "acme"
    assert await ids(store, "Observation?code-value-quantity=ABC$gt4") == "acme"
    assert await ids(store, "Observation?code-value-quantity=fth$5") == ""
    assert await ids(store, f"Observation?code-value-quantity={ROLE}|FTH$5") == "role"


async def test_not_speaks_of_the_whole_set(store: Store) -> None:
    """R4's example: Composition?section:not=48765-2."""

    def composition(id: str, *sections: str) -> dict[str, object]:
        return {
            "resourceType": "Composition", "id": id, "status": "final", "date": "2026", "title": "t",
            "type": {"text": "x"}, "author": [reference("Practitioner/a")],
            "section": [{"code": {"coding": [{"code": one}]}} for one in sections],
        }  # fmt: skip

    await keep(
        store, composition("a", "48765-2", "10160-0"), composition("b", "10160-0"), composition("c", "1")
    )
    assert await ids(store, "Composition?section=48765-2") == "a"
    assert await ids(store, "Composition?section:not=48765-2") == "b c"
    assert await ids(store, "Composition?section=48765-2&section=10160-0") == "a"
    assert await ids(store, "Composition?section=48765-2,10160-0") == "a b"
