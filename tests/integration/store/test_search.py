"""What a search finds, on both databases alike (http://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hub.errors import NotSupported, status_of
from hub.store import Store, Tx
from hub.store.resources import delete, put, put_all, resolve
from hub.store.search.planner import Page, parse_query, search
from tests.integration.store.samples import IDENTITY, any_draft, identifier, patient

BASE = "http://127.0.0.1:8080/fhir"


async def _store(store: Store, *bodies: dict[str, Any]) -> None:
    drafts = [any_draft(store, body) for body in bodies]

    async def work(tx: Tx) -> None:
        await put_all(tx, drafts)

    await store.write(work)


async def _find(store: Store, asked: str, **options: Any) -> Page:
    type_name, _, rest = asked.partition("?")
    params = [tuple(part.split("=", 1)) for part in rest.split("&") if part]
    return await search(store, parse_query(type_name, params, **options))  # type: ignore[arg-type]


async def _ids(store: Store, asked: str) -> list[str]:
    return sorted(hit.id for hit in (await _find(store, asked)).entries)


def _patient(id: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id, **members}


def _observation(id: str, **members: Any) -> dict[str, Any]:
    code = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
    return {"resourceType": "Observation", "id": id, "status": "final", "code": code, **members}


@pytest.fixture
async def people(store: Store) -> Store:
    await _store(
        store,
        _patient(
            "a", gender="female", birthDate="1968-05-12", identifier=identifier("1"), name=[{"text": "王芳"}]
        ),
        _patient(
            "b", gender="male", birthDate="1968", identifier=identifier("2"), name=[{"family": "Müller"}]
        ),
        _patient(
            "c", gender="female", birthDate="1970-01", name=[{"family": "Muir", "given": ["Ann", "Mu"]}]
        ),
        _patient("d", active=True, identifier=[{"value": "1"}]),
        {"resourceType": "Organization", "id": "o", "name": "County Hospital"},
    )
    return store


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Patient", "abcd"),
        ("Patient?_id=a", "a"),
        ("Patient?_id=a,c,zz", "ac"),
        ("Patient?_id=a&_id=c", ""),
        ("Patient?_id=a,b&gender=male", "b"),
        ("Patient?gender=female", "ac"),
        ("Patient?gender=female,male", "abc"),
        ("Patient?gender:not=female", "bd"),
        ("Patient?gender:missing=true", "d"),
        ("Patient?gender:missing=false", "abc"),
        (f"Patient?identifier={IDENTITY}|1", "a"),
        ("Patient?identifier=1", "ad"),
        ("Patient?identifier=|1", "d"),
        (f"Patient?identifier={IDENTITY}|", "ab"),
        ("Patient?active=true", "d"),
        ("Patient?name=mu", "bc"),
        ("Patient?name=MÜLL", "b"),
        ("Patient?family:exact=Muir", "c"),
        ("Patient?family:exact=muir", ""),
        ("Patient?name:contains=ULL", "b"),
        ("Patient?name=王", "a"),
        ("Patient?name:contains=芳", "a"),
        ("Patient?name=mu&gender=female", "c"),
        ("Patient?name=wang,ann", "c"),
        ("Patient?birthdate=1968", "ab"),
        ("Patient?birthdate=1968-05-12", "a"),
        ("Patient?birthdate=eq1968-05", "a"),
        ("Patient?birthdate=ne1968", "c"),
        ("Patient?birthdate=gt1968-12-31", "c"),
        ("Patient?birthdate=ge1968-06", "bc"),
        ("Patient?birthdate=lt1968-03", "b"),
        ("Patient?birthdate=le1968-05-12", "ab"),
        ("Patient?birthdate=sa1968", "c"),
        ("Patient?birthdate=eb1970", "ab"),
        ("Patient?birthdate=ge1968&birthdate=lt1970", "ab"),
        ("Patient?birthdate=1968-05-12,1970-01", "ac"),
        ("Patient?_lastUpdated=gt2020", "abcd"),
        ("Patient?_lastUpdated=lt2020", ""),
        ("Patient?_lastUpdated=2026-02-02&gender=male", "b"),
    ],
)
async def test_finding_patients(people: Store, asked: str, expected: str) -> None:
    assert await _ids(people, asked) == list(expected)


async def test_references_are_found_in_every_way_they_can_be_written(store: Store) -> None:
    await _store(
        store,
        _patient("p"),
        _observation("relative", subject={"reference": "Patient/p"}),
        _observation("absolute", subject={"reference": f"{BASE}/Patient/p"}),
        _observation("versioned", subject={"reference": "Patient/p/_history/3"}),
        _observation("other", subject={"reference": "Group/p"}),
        _observation("logical", subject={"identifier": identifier("9")[0]}),
    )
    ours = ["absolute", "relative", "versioned"]
    assert await _ids(store, "Observation?subject=Patient/p") == ours
    assert await _ids(store, f"Observation?subject={BASE}/Patient/p") == ours
    assert await _ids(store, "Observation?subject:Patient=p") == ours
    assert await _ids(store, "Observation?patient=p") == ours
    assert await _ids(store, "Observation?subject=p") == [*ours[:1], "other", *ours[1:]]
    assert await _ids(store, f"Observation?subject:identifier={IDENTITY}|9") == ["logical"]


async def test_quantities_and_numbers_know_their_precision(store: Store) -> None:
    unit = {"system": "http://unitsofmeasure.org", "code": "mm[Hg]", "unit": "mmHg"}
    await _store(
        store,
        _observation("o1", valueQuantity={"value": 150.2, **unit}),
        _observation("o2", valueQuantity={"value": 149, **unit}),
        _observation("o3", valueQuantity={"value": 150}),
    )
    assert await _ids(store, "Observation?value-quantity=150") == ["o1", "o3"]
    assert await _ids(store, "Observation?value-quantity=150||mm[Hg]") == ["o1"]
    assert await _ids(store, "Observation?value-quantity=lt150|http://unitsofmeasure.org|mm[Hg]") == ["o2"]
    assert await _ids(store, "Observation?value-quantity=ge150") == ["o1", "o3"]
    assert await _ids(store, "Observation?code-value-quantity=http://loinc.org|8480-6$gt149.5") == [
        "o1",
        "o3",
    ]


async def test_a_chain_is_followed(store: Store) -> None:
    await _store(
        store,
        {"resourceType": "Organization", "id": "h", "name": "County Hospital"},
        _patient("p", identifier=identifier("7"), managingOrganization={"reference": "Organization/h"}),
        _patient("q", identifier=identifier("8")),
        _observation("op", subject={"reference": "Patient/p"}),
        _observation("oq", subject={"reference": "Patient/q"}),
    )
    assert await _ids(store, f"Observation?patient.identifier={IDENTITY}|7") == ["op"]
    assert await _ids(store, "Observation?subject:Patient.organization.name=county") == ["op"]
    assert await _ids(store, "Observation?patient.identifier=none") == []


async def test_includes(store: Store) -> None:
    await _store(
        store,
        _patient("p"),
        _observation("o", subject={"reference": "Patient/p"}),
        _observation("x", subject={"reference": "Patient/gone"}),
    )
    page = await _find(store, "Observation?status=final&_include=Observation:subject")
    assert sorted((hit.mode, hit.type, hit.id) for hit in page.entries) == [
        ("include", "Patient", "p"), ("match", "Observation", "o"), ("match", "Observation", "x"),
    ]  # fmt: skip
    page = await _find(store, "Patient?_id=p&_revinclude=Observation:subject")
    assert [(hit.mode, hit.id) for hit in page.entries] == [("match", "p"), ("include", "o")]
    page = await _find(store, "Observation?_include=Observation:subject:Group")
    assert {hit.mode for hit in page.entries} == {"match"}


@pytest.mark.parametrize(
    "asked",
    [
        "Patient?gender=male",
        "Patient?name=m",
        "Patient?birthdate=ge1900",
        "Patient",
        "Patient?_sort=_lastUpdated",
        "Patient?gender=male&_sort=-_lastUpdated",
    ],
)
async def test_pages_show_everything_once(store: Store, ticking: Any, asked: str) -> None:
    for number in range(25):
        ticking.advance(1)
        name = [{"family": "Ma", "given": ["Mi", f"Mo{number % 3}"]}]
        await _store(
            store, _patient(f"p{number:02}", gender="male", birthDate=f"19{60 + number % 7}", name=name)
        )
    seen: list[str] = []
    cursor: str | None = None
    while True:
        more = f"{'&' if '?' in asked else '?'}_count=7" + (f"&_cursor={cursor}" if cursor else "")
        page = await _find(store, asked + more)
        seen += [hit.id for hit in page.entries]
        cursor = page.next
        if cursor is None:
            break
    assert sorted(seen) == [f"p{number:02}" for number in range(25)]
    if "_sort=_" in asked:
        assert seen == sorted(seen)
    if "_sort=-" in asked:
        assert seen == sorted(seen, reverse=True)


async def test_the_total_is_counted_when_asked_for(people: Store) -> None:
    page = await _find(people, "Patient?gender=female&_total=accurate&_count=1")
    assert (len(page.entries), page.total) == (1, 2)
    page = await _find(people, "Patient?_summary=count")
    assert (page.entries, page.total) == ([], 4)
    assert (await _find(people, "Patient")).total is None


async def test_a_deleted_or_changed_resource_is_found_as_it_is_now(people: Store) -> None:
    async def work(tx: Tx) -> None:
        await delete(tx, "Patient", "a", owner="county-hospital")
        await put(tx, patient(tx, "c", gender="male"))

    await people.write(work)
    assert await _ids(people, "Patient") == ["b", "c", "d"]
    assert await _ids(people, "Patient?gender=female") == []
    assert await _ids(people, "Patient?gender=male") == ["b", "c"]
    assert await _ids(people, "Patient?_id=a") == []


@pytest.mark.parametrize(
    "asked",
    ["Patient?nonsense=1", "Patient?gender:wrong=x", "Patient?birthdate=yesterday",
     "Patient?birthdate=2026-13-45",
     "Patient?_count=-1", "Patient?_sort=nonsense", "Patient?_include=Patient:gender", "Patient?_cursor=%%%",
     "Observation?value-quantity=many", "Patient?gender:missing=maybe", "Patient?birthdate=2026-02-30"],
)  # fmt: skip
async def test_what_cannot_be_asked_is_a_400(people: Store, asked: str) -> None:
    with pytest.raises(NotSupported) as caught:
        await _find(people, asked)
    assert status_of(caught.value) == 400
    assert caught.value.issues


async def test_lenient_ignores_what_is_unknown_and_says_so(people: Store) -> None:
    query = parse_query("Patient", [("nonsense", "1"), ("gender", "male")], lenient=True)
    assert [issue.severity for issue in query.ignored] == ["warning"]
    assert query.used == [("gender", "male")]
    assert [hit.id for hit in (await search(people, query)).entries] == ["b"]


async def test_concurrent_conditional_creates_make_exactly_one(store: Store) -> None:
    async def create(number: int) -> str:
        made = patient(store, f"new{number}", identifier=identifier("1"))

        async def work(tx: Tx) -> str:
            found = await resolve(tx, "Patient", [("identifier", f"{IDENTITY}|1")])
            if found:
                return found[0]
            return (await put(tx, made, must_not_exist=True)).id

        return await store.write(work)

    answers = await asyncio.gather(*(create(number) for number in range(20)))
    assert len(set(answers)) == 1
    assert len(await _ids(store, "Patient")) == 1


async def test_a_plain_put_and_a_conditional_create_see_each_other(store: Store) -> None:
    async def plain() -> None:
        async def work(tx: Tx) -> None:
            await put(tx, patient(tx, "plain", identifier=identifier("5")))

        await store.write(work)

    async def conditional() -> list[str]:
        async def work(tx: Tx) -> list[str]:
            found = await resolve(tx, "Patient", [("identifier", f"{IDENTITY}|5")])
            if not found:
                await put(tx, patient(tx, "conditional", identifier=identifier("5")), must_not_exist=True)
            return found

        return await store.write(work)

    first, _ = await asyncio.gather(conditional(), plain())
    again = await conditional()
    assert sorted(again) == (["conditional", "plain"] if first == [] else ["plain"])
