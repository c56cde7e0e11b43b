"""`_sort` by every kind of parameter (http://hl7.org/fhir/R4/search.html#sort)."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hub.errors import NotSupported
from hub.store import Store
from hub.store.search import counting, ordering
from tests.integration.store.results import asked, ids, pages, stored


def _person(id: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id, **members}


@pytest.fixture
async def people(store: Store) -> Store:
    await stored(
        store,
        _person("a", gender="male", birthDate="1970-05", name=[{"family": "Zhou", "given": ["Bo"]}]),
        _person("b", gender="female", birthDate="1980-01-01", name=[{"family": "an"}, {"family": "Yu"}]),
        _person("c", gender="female", birthDate="1960", name=[{"family": "Meng"}]),
        _person("d", name=[{"use": "old"}], generalPractitioner=[{"reference": "Practitioner/2"}]),
        _person("e", gender="male", generalPractitioner=[{"reference": "Practitioner/1"}]),
    )
    return store


@pytest.fixture(params=["collected", "walked"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Few matches are collected, many are walked in order: both must give the same."""
    if request.param == "walked":
        monkeypatch.setattr(ordering, "ENOUGH", 0)
    return str(request.param)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("birthdate", "cabde"),
        ("-birthdate", "bacde"),
        ("family", "bcade"),
        ("-family", "abcde"),
        ("_id", "abcde"),
        ("-_id", "edcba"),
        ("gender,birthdate", "cbaed"),
        ("-gender,-birthdate", "aebcd"),
        ("general-practitioner", "edabc"),
        ("birthdate,-_id", "cabed"),
        ("gender,-_id", "cbead"),
    ],
)
async def test_every_order_puts_what_has_no_value_last(
    people: Store, way: str, order: str, expected: str
) -> None:
    assert "".join(await ids(people, f"Patient?_sort={order}")) == expected
    one_by_one = [id for page in await pages(people, f"Patient?_sort={order}&_count=1") for id in page]
    assert "".join(one_by_one) == expected


async def test_criteria_hold_in_every_order(people: Store, way: str) -> None:
    assert await ids(people, "Patient?gender=female&_sort=birthdate") == ["c", "b"]
    assert await ids(people, "Patient?gender=female&_sort=-family") == ["b", "c"]
    assert await ids(people, "Patient?birthdate=ge1965&_sort=family") == ["b", "a"]
    assert await ids(people, "Patient?gender:missing=true&_sort=birthdate") == ["d"]
    assert await ids(people, "Patient?_id=a,c,e&_sort=birthdate") == ["c", "a", "e"]


async def test_a_resource_with_several_values_stands_where_the_first_of_them_does(people: Store) -> None:
    """`b` has an and Yu: the first going up, and behind Zhou only going down."""
    assert (await ids(people, "Patient?_sort=family"))[0] == "b"
    assert (await ids(people, "Patient?_sort=-family"))[:2] == ["a", "b"]


async def test_last_update_orders_both_ways(store: Store, ticking: Any) -> None:
    for id in "cab":
        ticking.advance(1)
        await stored(store, _person(id))
    assert await ids(store, "Patient?_sort=_lastUpdated") == ["c", "a", "b"]
    assert await ids(store, "Patient?_sort=-_lastUpdated") == ["b", "a", "c"]


async def test_numbers_quantities_and_uris_are_ordered_by_value(store: Store) -> None:
    risk = {"resourceType": "RiskAssessment", "status": "final", "subject": {"reference": "Patient/p"}}
    await stored(
        store,
        *(
            {**risk, "id": f"r{n}", "prediction": [{"probabilityDecimal": p}]}
            for n, p in enumerate((9, 10, 0.5))
        ),
        *(
            {
                "resourceType": "Observation",
                "id": f"o{n}",
                "status": "final",
                "code": {"text": "x"},
                "valueQuantity": {"value": v},
            }
            for n, v in enumerate((100, 20.5, -3))
        ),
        *(
            {"resourceType": "ValueSet", "id": f"v{n}", "status": "draft", "url": url}
            for n, url in enumerate(("http://b", "http://c", "http://a"))
        ),
    )
    assert await ids(store, "RiskAssessment?_sort=probability") == ["r2", "r0", "r1"]
    assert await ids(store, "Observation?_sort=-value-quantity") == ["o0", "o1", "o2"]
    assert await ids(store, "ValueSet?_sort=url") == ["v2", "v0", "v1"]


async def test_pages_in_any_order_show_everything_once(store: Store, way: str) -> None:
    chance = random.Random(7)
    bodies = []
    for number in range(60):
        members: dict[str, Any] = {}
        if chance.random() < 0.8:
            members["birthDate"] = chance.choice(["1970", "1970-01-01", "1971-02", "1969-12-31"])
        if chance.random() < 0.8:
            members["gender"] = chance.choice(["male", "female"])
        members["name"] = [{"family": chance.choice(["Ma", "Mo", "Mi"])} for _ in range(chance.randint(0, 2))]
        bodies.append(_person(f"p{number:02}", **{k: v for k, v in members.items() if v}))
    await stored(store, *bodies)
    whole = {
        order: await ids(store, f"Patient?_sort={order}&_count=100")
        for order in ("birthdate", "-birthdate,family", "family,-birthdate,gender", "-gender", "-family")
    }
    for order, expected in whole.items():
        assert sorted(expected) == [f"p{number:02}" for number in range(60)], order
        found = [id for page in await pages(store, f"Patient?_sort={order}&_count=7") for id in page]
        assert found == expected, order


@pytest.mark.parametrize("order", ["date", "-date", "-date,status", "date,-_id"])
async def test_an_equality_is_walked_in_the_order_of_the_main_date(
    store: Store, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """Moments within one second, periods open at either end and no date at all stand as when sorted."""
    chance = random.Random(11)
    when = [
        {"effectiveDateTime": "2020-01-01T10:00:00.5Z"}, {"effectiveDateTime": "2020-01-01T10:00:00.25Z"},
        {"effectiveDateTime": "2020-01-01T10:00:00Z"}, {"effectiveDateTime": "2020"}, {},
        {"effectivePeriod": {"end": "2020-06"}}, {"effectivePeriod": {"start": "2020-01-01T10:00:00Z"}},
        {"effectivePeriod": {"end": "2019"}}, {"effectiveDateTime": "1969-12-31"},
        {"effectiveDateTime": "1970-01-01T00:00:00Z"}, {"effectivePeriod": {"extension": [
            {"url": "http://example.org/unknown", "valueBoolean": True}]}},
    ]  # fmt: skip
    bodies = [
        {
            "resourceType": "Observation", "id": f"o{number:02}",
            "code": {"coding": [{"code": "ab"[number % 2]}]},
            "status": chance.choice(["final", "amended"]), **chance.choice(when),
        }
        for number in range(60)
    ]  # fmt: skip
    await stored(store, *bodies)
    text = f"Observation?code=a&_sort={order}"
    sorted_ = await ids(store, f"{text}&_count=100")
    assert len(sorted_) == 30
    monkeypatch.setattr(ordering, "DATED", 0)
    assert await ids(store, f"{text}&_count=100") == sorted_
    assert [id for page in await pages(store, f"{text}&_count=4") for id in page] == sorted_


async def test_a_sort_that_no_index_helps_is_bounded(people: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "MAX_SORTED", 4)
    with pytest.raises(NotSupported) as caught:
        await ids(people, "Patient?_sort=gender")
    assert caught.value.issues[0].code == "too-costly"
    assert await ids(people, "Patient?_sort=birthdate") == list("cabde")


async def test_sizes_are_counted_once_and_believed_for_a_while(
    people: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = 0
    original = counting.counted

    async def count(*arguments: Any) -> int:
        nonlocal counted
        counted += 1
        return await original(*arguments)

    monkeypatch.setattr(counting, "counted", count)
    for _ in range(3):
        await asked(people, "Patient?gender=male&family=zh")
    assert 1 <= counted <= 2
