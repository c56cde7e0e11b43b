"""Search parameters that are posted take effect, whatever is written around them, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from hub import r4
from hub.errors import HubError, RuleBroken
from hub.store import Store, open_store
from hub.store.filling import CHUNK, Filler
from hub.store.parameters import Unfinished
from hub.store.resources import delete, put, put_all
from hub.store.search.planner import parse_query, search
from hub.store.statements import statement
from hub.store.tables import index_equal, index_range, index_text
from tests.integration.store.samples import any_draft, patient

OWNER = "county-hospital"
URL = "http://example.org/eye-colour"


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = await open_store(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def filler(store: Store) -> AsyncIterator[Filler]:
    """A filler that does nothing by itself."""
    one = Filler(store)
    await one.start(fill=False)
    yield one
    await one.stop()


def eyes(colour: str) -> list[dict[str, str]]:
    return [{"url": URL, "valueString": colour}]


def definition(id: str = "eyes", **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "id": id,
        "url": f"http://example.org/SearchParameter/{id}",
        "name": "Eyes",
        "status": "active",
        "description": "The colour of the eyes",
        "code": "eye-colour",
        "base": ["Patient"],
        "type": "string",
        "expression": f"Patient.extension.where(url = '{URL}').value",
        **members,
    }


async def write(store: Store, body: dict[str, Any]) -> None:
    one = any_draft(store, body)
    await store.write(lambda tx: put(tx, one))


async def people(store: Store, colours: dict[str, str]) -> None:
    drafts = [patient(store, id, extension=eyes(colour)) for id, colour in colours.items()]
    await store.write(lambda tx: put_all(tx, drafts))


async def found(store: Store, type: str = "Patient", **params: str) -> set[str]:
    asked = [(name.replace("_", "-"), value) for name, value in params.items()]
    page = await search(store, parse_query(type, [*asked, ("_count", "1000")], known=store.known))
    return {hit.id for hit in page.entries}


async def until(true: Callable[[], bool]) -> None:
    """Wait for what a task does in its own time."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def rows_of(store: Store, number: int) -> int:
    total = 0
    for table in (index_equal, index_text, index_range):
        made = statement(select(func.count()).where(table.c.param == number))
        total += (await store.rows(made))[0][0]
    return total


async def test_a_posted_parameter_finds_what_was_there_before_once_it_is_filled(
    store: Store, filler: Filler
) -> None:
    await people(store, {f"p{n}": "green" if n % 2 else "brown" for n in range(2 * CHUNK + 5)})
    await write(store, definition())
    with pytest.raises(Unfinished, match=r"Patient: the search parameter eye-colour .*\(0 %"):
        await found(store, eye_colour="green")
    assert await filler.step()
    with pytest.raises(Unfinished, match="47 %"):
        await found(store, eye_colour="green")
    await filler.settled()
    assert await found(store, eye_colour="green") == {f"p{n}" for n in range(1, 2 * CHUNK + 5, 2)}
    assert await found(store, eye_colour="Gre") == await found(store, eye_colour="green")
    assert await found(store, eye_colour="blue") == set()


async def test_what_is_written_during_and_after_the_fill_is_found(store: Store, filler: Filler) -> None:
    await people(store, {f"p{n:03}": "brown" for n in range(CHUNK + 10)})
    await write(store, definition())
    await filler.step()
    await people(store, {"a-new": "green", "p001": "green", "p055": "green", "z-new": "green"})
    await filler.settled()
    assert await found(store, eye_colour="green") == {"a-new", "p001", "p055", "z-new"}
    assert "p001" not in await found(store, eye_colour="brown")
    await people(store, {"p002": "green", "p055": "brown"})
    assert await found(store, eye_colour="green") == {"a-new", "p001", "p002", "z-new"}


async def test_a_draft_made_before_the_parameter_was_posted_is_indexed_for_it(
    store: Store, filler: Filler
) -> None:
    waiting = patient(store, "early", extension=eyes("green"))
    await write(store, definition())
    await filler.settled()
    await store.write(lambda tx: put(tx, waiting))
    assert await found(store, eye_colour="green") == {"early"}


async def test_a_fill_goes_on_where_another_process_left_it(store: Store, filler: Filler) -> None:
    await people(store, {f"p{n:03}": "green" for n in range(CHUNK + 10)})
    await write(store, definition())
    await filler.step()
    await filler.stop()
    store.changed.clear()
    second = Filler(store)
    second._owner = filler._owner  # the same process, started again
    await second.start(fill=False)
    await second.settled()
    assert len(await found(store, eye_colour="green")) == CHUNK + 10


async def test_the_task_fills_by_itself(store: Store) -> None:
    filler = Filler(store)
    await filler.start()
    await people(store, {"p1": "green"})
    await write(store, definition())
    async with asyncio.timeout(20):
        while True:
            try:
                assert await found(store, eye_colour="green") == {"p1"}
                break
            except Unfinished:
                await asyncio.sleep(0.01)
    await filler.stop()


async def test_a_deleted_parameter_is_not_offered_and_its_rows_go(store: Store, filler: Filler) -> None:
    await people(store, {"p1": "green"})
    await write(store, definition())
    await filler.settled()
    parameter = store.known.find("Patient", "eye-colour")
    assert parameter is not None
    assert parameter in store.known.of("Patient")
    assert await rows_of(store, parameter.number) > 0
    await store.write(lambda tx: delete(tx, "SearchParameter", "eyes", owner=OWNER))
    assert store.known.find("Patient", "eye-colour") is None
    assert parameter not in store.known.of("Patient")
    await filler.settled()
    assert await rows_of(store, parameter.number) == 0
    await people(store, {"p1": "brown"})
    assert await rows_of(store, parameter.number) == 0


async def test_a_retired_parameter_is_not_offered(store: Store, filler: Filler) -> None:
    await write(store, definition())
    await filler.settled()
    assert store.known.find("Patient", "eye-colour") is not None
    await write(store, definition(status="retired"))
    assert store.known.find("Patient", "eye-colour") is None


async def test_a_number_belongs_to_a_type_and_code_for_ever(store: Store, filler: Filler) -> None:
    numbers = []
    for id in ("eyes", "eyes", "other"):
        await write(store, definition(id))
        await filler.settled()
        parameter = store.known.find("Patient", "eye-colour")
        assert parameter is not None
        numbers.append(parameter.number)
        await store.write(lambda tx, id=id: delete(tx, "SearchParameter", id, owner=OWNER))  # type: ignore[misc]
    await write(store, definition("third", code="hair-colour"))
    await filler.settled()
    other = store.known.find("Patient", "hair-colour")
    assert other is not None
    assert numbers == [numbers[0]] * 3
    assert other.number != numbers[0]
    assert other.number > max(p.number for t in r4.TYPES for p in r4.search_parameters(t))


async def test_a_changed_expression_is_filled_again(store: Store, filler: Filler) -> None:
    await store.write(
        lambda tx: put(
            tx, patient(store, "p1", extension=[*eyes("green"), {"url": "u", "valueString": "red"}])
        )
    )
    await write(store, definition())
    await filler.settled()
    assert await found(store, eye_colour="green") == {"p1"}
    await write(store, definition(expression="Patient.extension.where(url = 'u').value"))
    with pytest.raises(Unfinished):
        await found(store, eye_colour="red")
    await filler.settled()
    assert await found(store, eye_colour="red") == {"p1"}
    assert await found(store, eye_colour="green") == set()


async def test_a_unit_that_fails_posts_nothing(store: Store, filler: Filler) -> None:
    one = any_draft(store, definition())

    async def work(tx: Any) -> None:
        await put(tx, one)
        raise HubError("no")

    with pytest.raises(HubError, match="no"):
        await store.write(work)
    await people(store, {"p1": "green"})
    await filler.refresh()
    assert store.known.find("Patient", "eye-colour") is None


VALUES: list[tuple[str, str, Any, str, str]] = [
    ("token", "Patient.maritalStatus", {"coding": [{"system": "urn:s", "code": "M"}]}, "urn:s|M", "urn:t|M"),
    ("token", "Patient.gender", "female", "http://hl7.org/fhir/administrative-gender|female", "|female"),
    ("token", "Patient.active", True, "true", "false"),
    ("token", "Patient.identifier", [{"system": "urn:s", "value": "7"}], "urn:s|7", "urn:s|8"),
    ("string", "Patient.contact.name", [{"name": {"family": "Ruan"}}], "ruan", "meyer"),
    ("date", "Patient.birthDate", "1970-05-17", "1970-05", "1971"),
    ("date", "Patient.name.period", [{"family": "x", "period": {"start": "2020"}}], "gt2021", "lt2019"),
    ("number", "Patient.multipleBirth", 2, "2", "3"),
    ("reference", "Patient.managingOrganization", {"reference": "Organization/o1"}, "Organization/o1", "o2"),
    ("uri", "Patient.implicitRules", "http://e.org/r", "http://e.org/r", "http://e.org/s"),
    (
        "quantity",
        "Patient.extension.where(url = 'u').value",
        [{"url": "u", "valueQuantity": {"value": 5.4, "system": "http://unitsofmeasure.org", "code": "kg"}}],
        "5.4|http://unitsofmeasure.org|kg",
        "5.4|http://unitsofmeasure.org|g",
    ),
]


@pytest.mark.parametrize(("kind", "expression", "value", "hit", "miss"), VALUES)
async def test_every_type_of_parameter_can_be_posted(
    store: Store, filler: Filler, kind: str, expression: str, value: Any, hit: str, miss: str
) -> None:
    member = expression.split(".")[1]
    name = "multipleBirthInteger" if member == "multipleBirth" else member
    body = {name: value}
    if member == "extension" or isinstance(value, list):
        body = {member: value}
    await store.write(lambda tx: put(tx, patient(store, "p1", **body)))
    await store.write(lambda tx: put(tx, patient(store, "p2")))
    await write(store, definition(code="own", type=kind, expression=expression))
    await filler.settled()
    assert await found(store, own=hit) == {"p1"}
    assert await found(store, own=miss) == set()


async def test_one_definition_serves_several_types(store: Store, filler: Filler) -> None:
    await write(
        store,
        definition(
            base=["Practitioner", "Patient"],
            expression="Patient.extension.value | Practitioner.extension.value",
        ),
    )
    await people(store, {"p1": "green"})
    await write(store, {"resourceType": "Practitioner", "id": "d1", "extension": eyes("green")})
    await filler.settled()
    assert await found(store, eye_colour="green") == {"p1"}
    assert await found(store, "Practitioner", eye_colour="green") == {"d1"}


@pytest.mark.parametrize(
    ("members", "place", "text"),
    [
        ({"code": "eye colour"}, "code", "letters"),
        ({"code": "_colour"}, "code", "letter"),
        ({"code": "gender"}, "code", "search parameter gender of R4"),
        ({"expression": "Patient.extension.where("}, "expression", "FHIRPath"),
        ({"expression": "Patient.nothingLike()"}, "expression", "nothingLike"),
        ({"type": "composite", "component": [{"definition": "u", "expression": "x"}]}, "type", "composite"),
        ({"type": "special"}, "type", "special"),
    ],
)
async def test_a_parameter_that_cannot_work_is_refused(
    store: Store, filler: Filler, members: dict[str, Any], place: str, text: str
) -> None:
    with pytest.raises(RuleBroken, match=text) as refused:
        await write(store, definition(**members))
    assert refused.value.issues[0].expression == f"SearchParameter.{place}"
    assert await found(store, "SearchParameter") == set()


async def test_a_code_that_another_definition_holds_is_refused(store: Store, filler: Filler) -> None:
    await write(store, definition())
    with pytest.raises(RuleBroken, match="SearchParameter/eyes"):
        await write(store, definition("more"))


async def test_a_definition_derived_from_one_of_r4_changes_nothing(store: Store, filler: Filler) -> None:
    standard = r4.search_parameter("Patient", "gender")
    assert standard is not None
    await write(store, definition(code="gender", type="token", derivedFrom=standard.url))
    assert store.known.find("Patient", "gender") == standard
    assert store.known.generation == 0


async def test_one_that_is_not_active_takes_no_effect(store: Store, filler: Filler) -> None:
    await write(store, definition(status="draft", code="eye colour", expression="("))
    assert store.known.find("Patient", "eye-colour") is None


async def test_an_expression_that_fails_on_a_resource_keeps_nobody_from_writing(
    store: Store, filler: Filler
) -> None:
    await write(store, definition(expression="Patient.name.given.single()"))
    await store.write(lambda tx: put(tx, patient(store, "p1", name=[{"given": ["a", "b"]}])))
    await store.write(lambda tx: put(tx, patient(store, "p2", name=[{"given": ["a"]}])))
    await filler.settled()
    assert await found(store, eye_colour="a") == {"p2"}


async def test_two_processes_miss_nothing_that_is_written_while_one_posts(postgres_url: str) -> None:
    """Writers of another process, which knows nothing yet, go on while the parameter is posted and filled."""
    here, there = await open_store(postgres_url), await open_store(postgres_url)
    filler, other = Filler(here), Filler(there)
    await filler.start()
    await other.start()
    try:
        stop = asyncio.Event()
        written: set[str] = set()

        async def writing(name: str) -> None:
            number = 0
            while not stop.is_set():
                id = f"{name}-{number}"
                await there.write(lambda tx: put(tx, patient(there, id, extension=eyes("green"))))  # noqa: B023
                written.add(id)
                number += 1

        writers = [asyncio.create_task(writing(name)) for name in ("a", "b", "c")]
        await asyncio.sleep(0.1)
        await write(here, definition())
        await asyncio.sleep(0.2)
        stop.set()
        await asyncio.gather(*writers)
        async with asyncio.timeout(30):
            await until(lambda: not here.known.open)
        assert written
        assert await found(here, eye_colour="green") == written
        async with asyncio.timeout(30):
            await until(lambda: not there.known.open and there.known.generation == here.known.generation)
        assert await found(there, eye_colour="green") == written
    finally:
        await filler.stop()
        await other.stop()
        await here.close()
        await there.close()


def test_the_definition_is_valid_r4() -> None:
    assert r4.decode(json.dumps(definition()).encode()).code == "eye-colour"


async def test_parameters_of_one_type_join_where_they_meet(store: Store, filler: Filler) -> None:
    """Ids as Python and both databases order them: by code point."""
    colours = dict.fromkeys(("A", "Z", "a", "z", "-", ".", "0"), "green")
    colours |= {f"p{n:03}": "green" for n in range(2 * CHUNK)}
    await people(store, colours)
    await write(store, definition())
    await filler.step()
    for id in sorted(colours)[:CHUNK]:
        await store.write(lambda tx, id=id: delete(tx, "Patient", id, owner=OWNER))  # type: ignore[misc]
        del colours[id]
    await write(store, definition("more", code="more"))
    await filler.settled()
    assert await found(store, eye_colour="green") == set(colours)
    assert await found(store, more="green") == set(colours)
