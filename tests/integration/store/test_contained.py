"""`_contained`: resources inside others (http://hl7.org/fhir/R4/search.html#contained)."""

from __future__ import annotations

from typing import Any

import pytest

from hub.store import Store
from tests.integration.store.results import asked, stored


def _medication(code: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": "Medication", "code": {"coding": [{"code": code}]}, **members}


def _request(id: str, *codes: str) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": id,
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p"},
        "medicationReference": {"reference": "#m0"},
        "contained": [_medication(code, id=f"m{number}") for number, code in enumerate(codes)],
        "supportingInformation": [{"reference": f"#m{number}"} for number in range(len(codes))],
    }


@pytest.fixture
async def pharmacy(store: Store) -> Store:
    await stored(
        store,
        _medication("abc", id="own"),
        _medication("xyz", id="other"),
        _request("r1", "abc"),
        _request("r2", "xyz", "abc"),
        _request("r3", "abc", "abc"),
        _request("r4", "xyz"),
    )
    return store


async def _names(store: Store, text: str) -> list[str]:
    """Every match of every page of two."""
    found: list[str] = []
    cursor = None
    while True:
        page = await asked(store, f"{text}&_count=2", cursor)
        found += [f"{one.type}/{one.id}" + (f"#{one.inside}" if one.inside else "") for one in page.entries]
        cursor = page.next
        if cursor is None:
            return found


async def test_contained_resources_are_found_by_what_contains_them(pharmacy: Store) -> None:
    assert await _names(pharmacy, "Medication?code=abc") == ["Medication/own"]
    assert await _names(pharmacy, "Medication?code=abc&_contained=false") == ["Medication/own"]
    assert sorted(await _names(pharmacy, "Medication?code=abc&_contained=true")) == [
        "MedicationRequest/r1", "MedicationRequest/r2", "MedicationRequest/r3",
    ]  # fmt: skip
    both = await _names(pharmacy, "Medication?code=abc&_contained=both")
    assert both[0] == "Medication/own" and len(both) == 4


async def test_the_contained_resource_itself_can_be_asked_for(pharmacy: Store) -> None:
    text = "Medication?code=abc&_contained=true&_containedType=contained"
    assert sorted(await _names(pharmacy, text)) == [
        "MedicationRequest/r1#m0", "MedicationRequest/r2#m1",
        "MedicationRequest/r3#m0", "MedicationRequest/r3#m1",
    ]  # fmt: skip
    page = await asked(pharmacy, "Medication?_id=m1&code=xyz,abc&_contained=true&_containedType=contained")
    assert all(b'"resourceType"' in one.body and b"MedicationRequest" not in one.body for one in page.entries)
    assert sorted(one.inside for one in page.entries) == ["m1", "m1"]
    both = await _names(pharmacy, "Medication?code=xyz&_contained=both&_containedType=contained")
    assert sorted(both) == ["Medication/other", "MedicationRequest/r2#m0", "MedicationRequest/r4#m0"]


async def test_totals_count_what_would_be_shown(pharmacy: Store) -> None:
    for asking, total in (
        ("true", 3), ("both", 4), ("false", 1), ("true&_containedType=contained", 4),
    ):  # fmt: skip
        text = f"Medication?code=abc&_contained={asking}&_summary=count"
        assert (await asked(pharmacy, text)).total == total


async def test_a_container_that_matches_itself_is_shown_once(store: Store) -> None:
    group = {"resourceType": "Group", "type": "person", "actual": True}
    link = [{"entity": {"reference": "#g"}}]
    await stored(store, {**group, "id": "outer", "contained": [{**group, "id": "g"}], "member": link})
    assert await _names(store, "Group?type=person&_contained=both") == ["Group/outer"]
    assert await _names(store, "Group?type=person&_contained=true") == ["Group/outer"]
