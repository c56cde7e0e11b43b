"""`next` stays right while data changes: what goes on matching is shown once, no more and no less."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hub.errors import NotSupported
from hub.store import Store, Tx, open_store
from hub.store.resources import put_all
from tests.integration.store.results import asked, deleted, stored
from tests.integration.store.samples import any_draft

COUNT = 24


def _person(number: int, **members: Any) -> dict[str, Any]:
    found = {
        "resourceType": "Patient",
        "id": f"p{number:02}",
        "gender": "male",
        "birthDate": f"19{60 + number % 7}-0{1 + number % 9}-11",
        "name": [{"family": f"Ma{number % 5}", "given": [f"Mi{number % 3}"]}],
    }
    return {**found, **members}


SEARCHES = [
    "Patient",
    "Patient?gender=male",
    "Patient?gender=male,female",
    "Patient?name=m",
    "Patient?birthdate=ge1950",
    "Patient?birthdate=lt1999",
    "Patient?_lastUpdated=ge2020",
    "Patient?gender:not=female",
    "Patient?_sort=_lastUpdated",
    "Patient?_sort=-_lastUpdated",
    "Patient?_sort=birthdate",
    "Patient?_sort=-birthdate,family",
    "Patient?_sort=family",
    "Patient?_sort=-gender,-_id",
    "Patient?gender=male&_sort=-birthdate",
]


@pytest.mark.parametrize("search", SEARCHES)
async def test_changes_between_pages_neither_skip_nor_double(store: Store, ticking: Any, search: str) -> None:
    """Between any two pages one is deleted, one is new, and others get another place in every order."""
    for number in range(COUNT):
        ticking.advance(1)
        await stored(store, _person(number))
    lasting = {f"p{number:02}" for number in range(COUNT)}
    seen: list[str] = []
    cursor: str | None = None
    turn = 0
    while True:
        page = await asked(store, f"{search}{'&' if '?' in search else '?'}_count=4", cursor)
        seen += [hit.id for hit in page.entries]
        cursor = page.next
        if cursor is None:
            break
        ticking.advance(1)
        gone = f"p{(turn * 7 + 3) % COUNT:02}"
        lasting.discard(gone)
        await deleted(store, "Patient", gone)
        await stored(store, _person(50 + turn))
        for moved in (turn * 5 + 1, turn * 11 + 2):
            if f"p{moved % COUNT:02}" in lasting:
                change = {
                    "birthDate": f"19{70 + (moved * 3) % 20}-02-0{1 + turn}",
                    "name": [{"family": f"M{'zaoe'[turn % 4]}"}],
                }
                await stored(store, _person(moved % COUNT, **change))
        turn += 1
    assert turn >= 4
    assert len(seen) == len(set(seen))
    assert lasting <= set(seen)


async def test_what_no_longer_matches_is_not_shown(store: Store, ticking: Any) -> None:
    for number in range(8):
        await stored(store, _person(number))
    page = await asked(store, "Patient?gender=male&_sort=_id&_count=3")
    ticking.advance(1)
    await stored(store, _person(5, gender="female"), _person(6, active=True))
    rest = await asked(store, "Patient?gender=male&_sort=_id&_count=10", page.next)
    assert [hit.id for hit in rest.entries] == ["p03", "p04", "p06", "p07"]
    assert b'"active":true' in rest.entries[2].body.replace(b" ", b"")


async def test_so_many_changes_that_they_are_not_followed_still_give_pages(
    store: Store, ticking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.store.search.paging.MAX_MOVED", 2)
    for number in range(8):
        await stored(store, _person(number))
    page = await asked(store, "Patient?_count=3")
    ticking.advance(1)
    await stored(store, *(_person(number, active=True) for number in range(8)))
    rest = await asked(store, "Patient?_count=10", page.next)
    assert [hit.id for hit in rest.entries] == [f"p0{number}" for number in range(3, 8)]


async def test_a_cursor_leads_on_in_its_own_search_only(store: Store) -> None:
    for number in range(6):
        await stored(store, _person(number))
    for search in ("Patient?gender=male", "Patient?_sort=birthdate", "Patient"):
        mark = "&" if "?" in search else "?"
        cursor = (await asked(store, f"{search}{mark}_count=2")).next
        assert cursor is not None
        other_size = await asked(store, f"{search}{mark}_count=3&_total=accurate", cursor)
        assert (len(other_size.entries), other_size.total) == (3, 6)
        for other in ("Patient?gender=female", "Observation", "Patient?_sort=-birthdate"):
            with pytest.raises(NotSupported):
                await asked(store, other, cursor)
    for broken in ("", "x", "AAAA", "%%%", "gMDAwMDA"):
        if broken:
            with pytest.raises(NotSupported):
                await asked(store, "Patient", broken)


@pytest.mark.parametrize(
    ("search", "total"),
    [
        ("Patient", 8),
        ("Patient?gender=male", 6),
        ("Patient?gender=male,female", 8),
        ("Patient?gender=male&active=true", 3),
        ("Patient?name=ma", 8),
        ("Patient?birthdate=ge1963", 4),
        ("Patient?birthdate=ge1963&gender=female", 1),
        ("Patient?_id=p00,p01,zz", 2),
        ("Patient?gender:not=male", 2),
        ("Patient?family:contains=a1", 2),
    ],
)
async def test_the_total_counts_every_match_once(store: Store, search: str, total: int) -> None:
    for number in range(8):
        members: dict[str, Any] = {"gender": "female"} if number in (0, 4) else {}
        await stored(store, _person(number, active=number < 4, **members))
    mark = "&" if "?" in search else "?"
    for want in ("accurate", "estimate"):
        assert (await asked(store, f"{search}{mark}_count=1&_total={want}")).total == total
    assert (await asked(store, f"{search}{mark}_total=none")).total is None
    only = await asked(store, f"{search}{mark}_count=0")
    assert (only.entries, only.total, only.next) == ([], total, None)


@pytest.mark.parametrize(
    ("search", "birthdate"),
    [
        ("Patient?_sort=birthdate&_count=3", "1999-01-01"),
        ("Patient?_sort=-birthdate&_count=3", "1930-01-01"),
        ("Patient?birthdate=ge1900&_count=3", "1999-01-01"),
        ("Patient?_sort=_lastUpdated&_count=3", "1999-01-01"),
    ],
)
async def test_what_was_being_written_when_a_search_began_is_neither_skipped_nor_doubled(
    postgres_url: str, ticking: Any, search: str, birthdate: str
) -> None:
    """A transaction has its place in commit order, another one with a later place is committed, a search
    begins, and only then is the first one committed. It moves one resource down and one up."""
    store = await open_store(postgres_url, base_url="http://127.0.0.1:8080/fhir", clock=ticking)
    try:
        for number in range(9):
            ticking.advance(1)
            await stored(store, _person(number, birthDate=f"196{number}-01-01"))
        moved = [_person(1, birthDate=birthdate), _person(7, birthDate="1965-06-01")]
        drafts = [any_draft(store, body) for body in moved]
        written, release = asyncio.Event(), asyncio.Event()

        async def slow(tx: Tx) -> None:
            await put_all(tx, drafts)
            written.set()
            await release.wait()

        ticking.advance(1)
        writing = asyncio.create_task(store.write(slow))
        await written.wait()
        await stored(store, _person(20, birthDate="1920-01-01"))
        first = await asked(store, search)
        release.set()
        await writing
        seen = [hit.id for hit in first.entries]
        cursor = first.next
        while cursor is not None:
            page = await asked(store, search, cursor)
            seen += [hit.id for hit in page.entries]
            cursor = page.next
        assert sorted(one for one in seen if one != "p20") == [f"p0{number}" for number in range(9)]
    finally:
        await store.close()
