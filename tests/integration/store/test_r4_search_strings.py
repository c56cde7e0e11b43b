"""Strings as http://hl7.org/fhir/R4/search.html#string has them."""

from __future__ import annotations

import pytest

from hub.store import Store
from hub.store.search.planner import parse_query
from hub.store.search.query import InvalidSearch
from tests.integration.store.asking import ids, keep, page, patient


@pytest.fixture
async def people(store: Store) -> Store:
    await keep(
        store,
        patient(
            "a",
            name=[{"family": "Carreno Quinones", "given": ["Eve"], "prefix": ["Dr."], "suffix": ["III"]}],
        ),
        patient("b", name=[{"family": "O'Brien-Müller", "given": ["EVE"], "text": "Ann  O'Brien"}]),
        patient("c", name=[{"family": "Zeta Alpha", "given": ["Severine"], "use": "official"}]),
        patient("d", name=[{"text": "买买提·吐尔逊"}]),
        patient(
            "e",
            address=[
                {
                    "use": "home", "text": "Hangzhou, West Lake", "line": ["12, Long-Jing Rd.", "Flat 4"],
                    "city": "Hangzhou", "district": "Xihu", "state": "Zhejiang", "postalCode": "310000",
                    "country": "CN", "period": {"start": "2020"},
                }
            ],
        ),
        patient("f", name=[{"family": "-"}]),
    )  # fmt: skip
    return store


async def test_strings_by_case_accents_punctuation_and_parts(people: Store) -> None:
    questions = {
        "given=eve": "a b",
        "given:contains=eve": "a b c",
        "given:exact=Eve": "a",
        "given:exact=eve": "",
        # punctuation and white space that means nothing
        "family=obrien": "b",
        "family=O'Brien-Muller": "b",
        "family=OBrienMüller": "b",
        "name=ann o brien": "",
        "name=ann\to'brien": "b",
        "name:contains=brienmul": "b",
        "family:exact=O'Brien-Müller": "b",
        "family:exact=OBrien-Müller": "",
        "name=买买提吐": "d",
        "name:contains=提·吐": "d",
        "family=-": "f",
        "family:exact=-": "f",
        "family:contains=-": "b f",
        # the parts of a family name
        "family=Carreno": "a",
        "family=Quinones": "a",
        "name=quinones": "a",
        "family=Carreno Quinones": "a",
        "family:exact=Quinones": "",
        "family:contains=reno qui": "a",
        "family=quinones,zeta": "a c",
        # every part of a name, but not its use
        "name=dr": "a",
        "name=iii": "a",
        "name=severine": "c",
        "name=official": "",
        # every part of an address, but not its use or period
        "address=hangzhou west": "e",
        "address=12 longjing": "e",
        "address=flat": "e",
        "address=xihu": "e",
        "address=zhejiang": "e",
        "address=310": "e",
        "address=cn": "e",
        "address=home": "",
        "address=2020": "",
        "address-city=hang": "e",
        "address-use=home": "e",
        "name:missing=true": "e",
    }
    found = {asked: await ids(people, f"Patient?{asked}") for asked in questions}
    assert found == questions


async def test_words_of_a_family_name_are_no_values_to_sort_by(people: Store) -> None:
    for sort, expected in (("family", "fabc"), ("-family", "cbaf"), ("family,_id", "fabc")):
        hits = (await page(people, f"Patient?_sort={sort}&_id=a,b,c,f")).entries
        assert "".join(hit.id for hit in hits) == expected
        walked = (await page(people, f"Patient?_sort={sort}")).entries
        assert "".join(hit.id for hit in walked)[:4] == expected
    assert (await page(people, "Patient?family=c,q&_total=accurate")).total == 1


def test_text_of_nothing_is_refused() -> None:
    for name, value in (("name", " "), ("gender:text", "-"), ("name:contains", "  ")):
        with pytest.raises(InvalidSearch):
            parse_query("Patient", [(name, value)])
