"""Whichever condition drives a search, the same resources are found."""

from __future__ import annotations

import random
from typing import Any

from hub.store import Store, Tx
from hub.store.resources import put_all
from hub.store.search.candidates import Plan, candidates
from hub.store.search.counting import can_drive
from hub.store.search.criteria import conditions_of
from hub.store.search.planner import parse_query, search_found
from tests.integration.store.samples import any_draft, identifier

_FAMILIES = ["Zhao", "Qian", "Sun", "Li", "Zhou", "Müller", "Muir"]
_ASKED = [
    ("gender", "male"), ("gender", "female,other"), ("gender:not", "male"), ("gender:missing", "true"),
    ("active", "true"), ("identifier", "3"), ("identifier", "1,2,3,4"), ("name", "m"), ("name", "zh,q"),
    ("family:exact", "Li"), ("name:contains", "u"), ("given", "a"), ("birthdate", "1970"),
    ("birthdate", "ge1969-06"), ("birthdate", "lt1968,gt1971"), ("birthdate", "ne1970"),
    ("_lastUpdated", "ge2026"), ("death-date:missing", "true"),
]  # fmt: skip


def _person(chance: random.Random, number: int) -> dict[str, Any]:
    members: dict[str, Any] = {"resourceType": "Patient", "id": f"p{number}"}
    if chance.random() < 0.9:
        members["gender"] = chance.choice(["male", "female", "other"])
    if chance.random() < 0.7:
        year, rest = chance.randint(1967, 1972), chance.choice(["", "-03", "-06-15"])
        members["birthDate"] = f"{year}{rest}"
    members["active"] = chance.random() < 0.5
    given = chance.sample(["Ann", "Min", "Mu", "Li"], chance.randint(0, 2)) or ["Bo"]
    members["name"] = [{"family": chance.choice(_FAMILIES), "given": given}]
    members["identifier"] = identifier(str(number % 9))
    return members


async def test_every_driver_finds_the_same(store: Store) -> None:
    chance = random.Random(20260202)
    drafts = [any_draft(store, _person(chance, number)) for number in range(120)]

    async def work(tx: Tx) -> None:
        await put_all(tx, drafts)

    await store.write(work)
    for _ in range(40):
        asked = chance.sample(_ASKED, chance.randint(1, 3))
        query = parse_query("Patient", asked)
        conditions = await conditions_of(store, query, search_found)
        assert conditions is not None
        expected = None
        for number in range(-1, len(conditions)):
            if number >= 0 and not can_drive(conditions[number]):
                continue
            found = []
            async for some in candidates(store, Plan("Patient", conditions, number), None, None):
                found += [hit.id for hit in some]
            assert len(found) == len(set(found)), (asked, number)
            if expected is None:
                expected = set(found)
            assert set(found) == expected, (asked, number)


_CODED = [
    *("ge2020-06", "gt2020", "lt2020-06", "le2020-03-05", "eq2020-06"),
    *("sa2020", "eb2020", "ap2020", "ne2020"),
]


def _measured(chance: random.Random, number: int) -> dict[str, Any]:
    def moment() -> str:
        year, rest = chance.randint(2018, 2022), chance.choice(["", "-06", "-03-05", "-06-15T10:00:00Z"])
        return f"{year}{rest}"

    made: dict[str, Any] = {
        "resourceType": "Observation", "id": f"o{number}", "status": "final",
        "code": {"coding": [{"code": chance.choice("ab")}]},
    }  # fmt: skip
    kind = chance.random()
    if kind < 0.5:
        made["effectiveDateTime"] = moment()
    elif kind < 0.9:
        ends = sorted(f"{chance.randint(2018, 2022)}-0{chance.randint(1, 9)}-11" for _ in range(2))
        period = dict(zip(("start", "end"), ends, strict=True))
        if chance.random() < 0.5:
            del period[chance.choice(["start", "end"])]
        made["effectivePeriod"] = period
    return made


async def test_an_equality_narrowed_by_the_main_date_misses_nothing(store: Store) -> None:
    """Dates of every width, open at either end, or none at all."""
    chance = random.Random(7)
    drafts = [any_draft(store, _measured(chance, number)) for number in range(150)]

    async def work(tx: Tx) -> None:
        await put_all(tx, drafts)

    await store.write(work)
    for first in _CODED:
        for second in ["", *_CODED]:
            asked = [("code", "a"), ("date", first), *([("date", second)] if second else [])]
            query = parse_query("Observation", asked)
            conditions = await conditions_of(store, query, search_found)
            assert conditions is not None
            results = []
            for number in (0, -1):
                found = []
                async for some in candidates(store, Plan("Observation", conditions, number), None, None):
                    found += [hit.id for hit in some]
                assert len(found) == len(set(found)), asked
                results.append(set(found))
            assert results[0] == results[1], asked
