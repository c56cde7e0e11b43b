"""`_text`, `_content`, `_list`, `near`, `phonetic`, composites, quantities and searches across types.

http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hub.store import Store, Tx
from hub.store.search.across import parse_across
from hub.store.search.planner import parse_query, resolve
from hub.store.search.query import InvalidSearch
from tests.integration.store.asking import ids, keep, observation, page, patient, reference

UCUM = "http://unitsofmeasure.org"


async def test_text_and_content_look_into_the_body(store: Store) -> None:
    def told(id: str, div: str, **members: Any) -> dict[str, Any]:
        text = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'}
        return patient(id, text=text, **members)

    await keep(
        store,
        told("a", "<p>Bone metastases</p>", gender="female"),
        told("b", "<p>糖尿病二十年</p>", name=[{"text": "王芳"}]),
        patient("c", name=[{"text": "Bone"}]),
    )
    assert await ids(store, "Patient?_text=bone") == "a"
    assert await ids(store, "Patient?_text=糖尿病") == "b"
    assert await ids(store, "Patient?_text=bone,糖尿病") == "a b"
    assert await ids(store, "Patient?_text=(bone OR liver) and metastases&gender=female") == "a"
    assert await ids(store, "Patient?_content=bone") == "a c"
    assert await ids(store, "Patient?_content=王芳") == "b"
    assert await ids(store, "Patient?_content=female") == "a"
    assert (await page(store, "Patient?_content=bone&_total=accurate&_count=1")).total == 2


async def test_a_list_names_what_is_found(store: Store) -> None:
    def entry(to: str, **members: Any) -> dict[str, Any]:
        return {"item": reference(to), **members}

    entries = [
        entry("Patient/a"),
        entry("http://127.0.0.1:8080/fhir/Patient/b"),
        entry("Patient/c", deleted=True),
        entry("Group/d"),
    ]
    await keep(
        store,
        {"resourceType": "List", "id": "42", "status": "current", "mode": "changes", "entry": entries},
        *(patient(id) for id in "abcd"),
    )
    assert await ids(store, "Patient?_list=42") == "a b"
    assert await ids(store, "Patient?_list=42&_id=b,c") == "b"
    assert await ids(store, "Patient?_list=41") == ""
    with pytest.raises(InvalidSearch):
        parse_query("Patient", [("_list", "$current-allergies")])


async def test_places_are_found_by_their_distance(store: Store) -> None:
    def place(id: str, latitude: float, longitude: float) -> dict[str, Any]:
        return {
            "resourceType": "Location",
            "id": id,
            "position": {"latitude": latitude, "longitude": longitude},
        }

    await keep(
        store,
        place("hangzhou", 30.25, 120.17),
        place("shanghai", 31.23, 121.47),
        place("fiji", -17.0, 179.9),
        {"resourceType": "Location", "id": "nowhere"},
    )
    assert await ids(store, "Location?near=30.25|120.17") == "hangzhou"
    assert await ids(store, "Location?near=30.25|120.17|166") == "hangzhou shanghai"
    assert await ids(store, "Location?near=30.25|120.17|160|km") == "hangzhou"
    assert await ids(store, "Location?near=30.25|120.17|103|[mi_i]") == "hangzhou shanghai"
    assert await ids(store, "Location?near=30.25|120.17|160000|m,-17|-179.9|30") == "fiji hangzhou"
    for value in ("30.25", "91|0", "0|181", "30|120|5|parsec", "30|120|-1", "x|y", "1|2|3|km|5"):
        with pytest.raises(InvalidSearch):
            parse_query("Location", [("near", value)])


async def test_names_are_found_by_their_sound(store: Store) -> None:
    await keep(store, patient("a", name=[{"family": "Robert"}]), patient("b", name=[{"family": "Li"}]))
    assert await ids(store, "Patient?phonetic=rupert") == "a"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("value-quantity=5.4", "a b c d"),
        (f"value-quantity=5.4|{UCUM}|mg", "a"),
        ("value-quantity=5.4||mg", "a b"),
        ("value-quantity=5.40", "a b d"),
        ("value-quantity=gt5.4", "c e"),
        (f"value-quantity=ge5.4|{UCUM}|mg", "a e"),
        ("value-quantity=lt5.4", ""),
        ("value-quantity=ap5.0", "a b c d"),
        (f"value-quantity=9,5.4|{UCUM}|mg", "a e"),
        (f"value-quantity=5.4|{UCUM}|mg,5.4|{UCUM}|g", "a"),
        ("value-quantity=ne5.4", "e"),
        ("value-quantity=sa5.4", "c e"),
        ("value-quantity=eb5.42", "a b d"),
        ("code-value-quantity=http://loinc.org|8480-6$gt5.41", "c e"),
        (f"code-value-quantity=8480-6$le5.4|{UCUM}|mg", "a"),
        ("code-value-quantity=8480-6$9,8480-6$5.4||mg", "a b e"),
        ("code-value-quantity=other$5.4", ""),
        ("code-value-string=8480-6$high", "s"),
        ("code-value-string=http://loinc.org|8480-6$HIGH", "s"),
        ("code-value-string=8480-6$pressure", ""),
        ("code-value-date=8480-6$ge2026-01", "t"),
        ("code-value-date=8480-6$lt2026-01", ""),
        ("code-value-concept=8480-6$urn:v|x", "u"),
        ("code-value-concept=8480-6$y", ""),
    ],
)
async def test_quantities_and_composites(store: Store, asked: str, expected: str) -> None:
    def measured(id: str, value: float, **unit: str) -> dict[str, Any]:
        return observation(id, valueQuantity={"value": value, **unit})

    await keep(
        store,
        measured("a", 5.4, system=UCUM, code="mg", unit="milligram"),
        measured("b", 5.4, unit="mg"),
        measured("c", 5.44),
        measured("d", 5.4),
        measured("e", 9, system=UCUM, code="mg"),
        observation("s", valueString="High pressure"),
        observation("t", valueDateTime="2026-02-03"),
        observation("u", valueCodeableConcept={"coding": [{"system": "urn:v", "code": "x"}]}),
    )
    assert await ids(store, f"Observation?{asked}") == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("chromosome-variant-coordinate=1$lt345$gt123", "m"),
        ("chromosome-variant-coordinate=1$100$200", "m"),
        ("chromosome-variant-coordinate=1$gt100$200", ""),
        ("chromosome-variant-coordinate=2$100$200", ""),
    ],
)
async def test_composites_of_three_parts(store: Store, asked: str, expected: str) -> None:
    sequence = {
        "resourceType": "MolecularSequence",
        "id": "m",
        "coordinateSystem": 0,
        "referenceSeq": {"chromosome": {"coding": [{"code": "1"}]}, "windowStart": 1, "windowEnd": 900},
        "variant": [{"start": 100, "end": 200}],
    }
    await keep(store, sequence)
    assert await ids(store, f"MolecularSequence?{asked}") == expected


async def test_escapes_are_part_of_the_value(store: Store) -> None:
    def coded(id: str, code: str) -> dict[str, Any]:
        return observation(id, code={"coding": [{"system": "urn:s", "code": code}]})

    await keep(
        store, coded("a", "a,b"), coded("b", "a|b"), coded("c", "a$b"), coded("d", "a\\b"), coded("e", "a")
    )
    assert await ids(store, r"Observation?code=a\,b") == "a"
    assert await ids(store, r"Observation?code=urn:s|a\|b") == "b"
    assert await ids(store, r"Observation?code=a\$b") == "c"
    assert await ids(store, r"Observation?code=a\\b,a") == "d e"
    with pytest.raises(InvalidSearch):
        parse_query("Observation", [("code", r"a\b")])


async def test_everything_wrong_is_said_at_once() -> None:
    params = [("nothing", "1"), ("date", "2026-13-45"), ("code:exact", "x"), ("value-quantity", "much")]
    with pytest.raises(InvalidSearch) as refused:
        parse_query("Observation", params)
    assert [(one.expression, one.code) for one in refused.value.issues] == [
        ("nothing", "not-supported"),
        ("date", "invalid"),
        ("code:exact", "not-supported"),
        ("value-quantity", "invalid"),
    ]
    assert all("2026-13-45" not in one.diagnostics for one in refused.value.issues)
    lenient = parse_query("Observation", [("nothing", "1"), ("code", "x")], lenient=True)
    assert [one.expression for one in lenient.ignored] == ["nothing"] and lenient.used == [("code", "x")]


@pytest.mark.parametrize("code", ["code", "subject", "date", "value-quantity", "code-value-quantity"])
async def test_hundreds_of_values_are_one_question(store: Store, code: str) -> None:
    await keep(store, observation("a", subject=reference("Patient/p7"), effectiveDateTime="2026-01-07",
                                  valueQuantity={"value": 7}))  # fmt: skip
    values: dict[str, Callable[[int], str]] = {
        "code": lambda n: "8480-6" if n == 7 else f"c{n}",
        "subject": lambda n: f"p{n}",
        "date": lambda n: f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z" if n != 7 else "2026-01-07",
        "value-quantity": lambda n: str(n),
        "code-value-quantity": lambda n: f"8480-6${n}",
    }
    made = values[code]
    many = ",".join(made(n) for n in range(900))
    assert await ids(store, f"Observation?{code}={many}") == "a"
    assert await ids(store, f"Observation?{code}={many}&status=final&code=8480-6") == "a"
    with pytest.raises(InvalidSearch):
        parse_query("Observation", [(code, ",".join(made(n) for n in range(1001)))])


@pytest.fixture
async def many(store: Store) -> Store:
    tag = {"tag": [{"code": "x"}]}
    for n in range(3):
        await keep(store, patient(f"p{n}", gender="male", meta=tag))
        await keep(store, observation(f"b{n}", subject=reference(f"Patient/p{n}"), meta=tag))
        await keep(store, {"resourceType": "Organization", "id": f"o{n}", "name": "x"})
    return store


async def _pages(store: Store, asked: str) -> list[list[str]]:
    found, cursor = [], ""
    while True:
        one = await page(store, f"{asked}&_cursor={cursor}" if cursor else asked)
        found.append([hit.id for hit in one.entries])
        if not one.next:
            return found
        cursor = one.next


async def test_several_types_are_searched_one_after_the_other(many: Store) -> None:
    tagged = await _pages(many, "?_tag=x&_count=2")
    assert [[one[0] for one in some] for some in tagged] == [["b", "b"], ["b", "p"], ["p", "p"]]
    assert sorted(id for some in tagged for id in some) == ["b0", "b1", "b2", "p0", "p1", "p2"]
    both = await _pages(many, "?_type=Organization,Patient&_count=3")
    assert [sorted(some) for some in both] == [["o0", "o1", "o2"], ["p0", "p1", "p2"]]
    assert await ids(many, "?_id=p1,b1,o1,zz") == "b1 o1 p1"
    assert (await page(many, "?_tag=x&_total=accurate&_count=1")).total == 6
    assert (await page(many, "?_count=0")).total == 9
    assert await ids(many, "?_type=Observation,Encounter&subject=Patient/p1") == "b1"


async def test_several_types_are_sorted_together_by_last_update(many: Store) -> None:
    newest = [["o2", "b2", "p2", "o1"], ["b1", "p1", "o0", "b0"], ["p0"]]
    assert await _pages(many, "?_sort=-_lastUpdated&_count=4") == newest
    oldest = [["p0", "b0", "p1"], ["b1", "p2", "b2"]]
    assert await _pages(many, "?_sort=_lastUpdated&_tag=x&_count=3") == oldest


def test_across_types_only_what_all_of_them_know_may_be_asked() -> None:
    for params in (
        [("name", "x")],
        [("_type", "Patient,Observation"), ("gender", "male")],
        [("_type", "Nothing")],
        [("_type", "Patient"), ("_type", "Observation")],
        [("_type", "Patient,Observation"), ("_sort", "_id")],
    ):
        with pytest.raises(InvalidSearch):
            parse_across(params)
    lenient = parse_across([("_type", "Patient,Observation"), ("gender", "male")], lenient=True)
    assert [one.expression for one in lenient.shape.ignored] == ["gender"]
    assert lenient.shape.used == [("_type", "Patient,Observation")]
    assert not any(one.selects for one in lenient.queries)


async def test_a_condition_of_a_write_must_select_something(store: Store) -> None:
    for name, value in (("_count", "5"), ("identifier", "")):

        async def work(tx: Tx, name: str = name, value: str = value) -> list[str]:
            return await resolve(tx, "Patient", [(name, value)])

        with pytest.raises(InvalidSearch):
            await store.write(work)
