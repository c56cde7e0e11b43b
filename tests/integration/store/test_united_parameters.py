"""`combo-` parameters of Observation, units, and `:missing=false`: answered from the rows of others.

http://hl7.org/fhir/R4/observation.html#search and http://hl7.org/fhir/R4/search.html#quantity
"""

from __future__ import annotations

from typing import Any

import pytest

from hub.store import Store
from tests.integration.store.asking import ids, keep, page

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def quantity(value: float, **members: str) -> dict[str, Any]:
    return {"value": value, **members}


def observation(id: str, code: str, *parts: tuple[str, dict[str, Any]], **members: Any) -> dict[str, Any]:
    def coded(one: str) -> dict[str, Any]:
        return {"coding": [{"system": LOINC, "code": one, "display": f"{one} reading"}]}

    component = [{"code": coded(one), "valueQuantity": value} for one, value in parts]
    held = {"component": component} if component else {}
    return {
        "resourceType": "Observation", "id": id, "status": "final", "code": coded(code), **held, **members,
    }  # fmt: skip


@pytest.fixture
async def readings(store: Store) -> Store:
    mmhg = {"system": UCUM, "code": "mm[Hg]", "unit": "mmHg"}
    await keep(
        store,
        observation("own", "8480-6", valueQuantity=quantity(150, **mmhg), effectiveDateTime="2026-01-01"),
        observation("part", "85354-9", ("8480-6", quantity(160, **mmhg)), effectiveDateTime="2026-01-02"),
        observation("both", "8480-6", ("8480-6", quantity(90, **mmhg)), valueQuantity=quantity(170, **mmhg)),
        observation("text", "8480-6", valueQuantity=quantity(155, unit="mm[Hg]")),
        observation("local", "8480-6", valueQuantity=quantity(156, system="urn:x", code="mm[Hg]")),
        {"resourceType": "Observation", "id": "words", "status": "final", "code": {"text": "pressure"}},
    )
    return store


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (f"combo-code={LOINC}|8480-6", "both local own part text"),
        ("combo-code=85354-9", "part"),
        ("combo-code:not=85354-9", "both local own text words"),
        ("combo-code:not=8480-6", "words"),
        ("combo-code:text=8480-6 read", "both local own part text"),
        ("combo-code:missing=false", "both local own part text words"),
        ("combo-code=8480-6&code=85354-9", "part"),
        ("code=85354-9&combo-code=8480-6", "part"),
        ("combo-code=8480-6&date=ge2026-01-02", "part"),
        ("combo-value-quantity=gt140", "both local own part text"),
        (f"combo-value-quantity=gt140|{UCUM}|mm[Hg]", "both own part"),
        (f"combo-value-quantity=lt100|{UCUM}|mm[Hg]", "both"),
        ("combo-value-quantity=gt140||mm[Hg]", "both local own part text"),
        ("combo-value-quantity:missing=true", "words"),
        (f"combo-code-value-quantity={LOINC}|8480-6$gt155", "both local part"),
        (f"combo-code-value-quantity=8480-6$gt155|{UCUM}|mm[Hg]", "both part"),
        (f"code-value-quantity=8480-6$gt155|{UCUM}|mm[Hg]", "both"),
        (f"component-code-value-quantity=8480-6$gt155|{UCUM}|mm[Hg]", "part"),
    ],
)
async def test_a_combo_parameter_finds_what_the_observation_or_a_component_has(
    readings: Store, asked: str, expected: str
) -> None:
    assert await ids(readings, f"Observation?{asked}") == expected
    assert (await page(readings, f"Observation?{asked}&_total=accurate")).total == len(expected.split())


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (f"gt1|{UCUM}|mm[Hg]", "both own"),
        ("gt1|urn:x|mm[Hg]", "local"),
        ("gt1||mm[Hg]", "both local own text"),
        ("gt1||mmHg", "both own"),
        (f"gt1|{UCUM}|mmHg", ""),
        ("gt152,lt151", "both local own text"),
    ],
)
async def test_a_unit_is_found_by_system_and_code_or_without_system_by_code_and_by_unit(
    readings: Store, asked: str, expected: str
) -> None:
    assert await ids(readings, f"Observation?value-quantity={asked}") == expected


async def test_amounts_are_found_by_currency_with_and_without_its_system(store: Store) -> None:
    await keep(
        store,
        {
            "resourceType": "Invoice", "id": "i", "status": "issued",
            "totalNet": {"value": 120.0, "currency": "CNY"},
        },
    )  # fmt: skip
    assert await ids(store, "Invoice?totalnet=120||CNY") == "i"
    assert await ids(store, "Invoice?totalnet=120|urn:iso:std:iso:4217|CNY") == "i"
    assert await ids(store, "Invoice?totalnet=120||EUR") == ""


async def test_sorting_by_a_combo_parameter_takes_the_value_from_either_place(readings: Store) -> None:
    found = await page(readings, "Observation?_sort=-combo-value-quantity")
    assert [one.id for one in found.entries] == ["both", "part", "local", "text", "own", "words"]


@pytest.mark.parametrize(
    "asked",
    ["combo-code=8480-6", "code:missing=false", "value-quantity:missing=false", "combo-value-quantity=gt1"],
)
async def test_pages_show_each_resource_once(readings: Store, asked: str) -> None:
    whole = await ids(readings, f"Observation?{asked}")
    seen: list[str] = []
    cursor = ""
    while True:
        one = await page(readings, f"Observation?{asked}&_count=1{cursor}")
        seen += [hit.id for hit in one.entries]
        if one.next is None:
            break
        cursor = f"&_cursor={one.next}"
    assert sorted(seen) == whole.split()


async def test_the_tables_hold_no_row_that_another_one_tells(readings: Store) -> None:
    from sqlalchemy import func, select

    from hub import r4
    from hub.store.statements import statement
    from hub.store.tables import index_composite, index_equal

    combo = r4.search_parameter("Observation", "combo-code-value-quantity")
    assert combo is not None
    count = select(func.count()).select_from(index_composite).where(index_composite.c.param == combo.number)
    assert (await readings.rows(statement(count)))[0][0] == 0
    present = select(func.count()).select_from(index_equal).where(index_equal.c.hash == 0)
    assert (await readings.rows(statement(present)))[0][0] == 0
