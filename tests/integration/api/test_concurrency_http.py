"""Pages that are read while others write: what stays is shown once, whatever the order
(http://hl7.org/fhir/R4/search.html#sort and http.html#paging)."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx
import pytest

STAYING = 40
WRITERS = 3
ORDERS = [
    "",
    "gender=male&",
    "birthdate=ge1900&",
    "family=m&",
    "_sort=birthdate&",
    "_sort=-birthdate&",
    "_sort=family&",
    "_sort=-family,birthdate&",
    "_sort=_lastUpdated&",
    "_sort=-_lastUpdated&",
    "gender=male&_sort=-_id&",
]


def person(id: str, chance: random.Random) -> dict[str, Any]:
    """Somebody who meets every criterion of ORDERS."""
    return {
        "resourceType": "Patient",
        "id": id,
        "gender": "male",
        "birthDate": f"19{chance.randint(10, 99)}-0{chance.randint(1, 9)}-1{chance.randint(0, 9)}",
        "name": [{"family": f"M{chance.choice('aeiou')}{chance.choice('lmn')}"}],
    }


async def put(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await client.put(f"/fhir/Patient/{body['id']}", json=body)
    assert answer.status_code in (200, 201), answer.text


async def write_on(client: httpx.AsyncClient, number: int, done: asyncio.Event) -> int:
    """Create, move and delete other patients until the reader is done; how many writes that were."""
    chance, count = random.Random(number), 0
    while not done.is_set():
        id = f"moving-{number}-{chance.randint(0, 9)}"
        if chance.random() < 0.3:
            assert (await client.delete(f"/fhir/Patient/{id}")).status_code == 204
        else:
            await put(client, person(id, chance))
        count += 1
        await asyncio.sleep(0)
    return count


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.strip("&") or "unsorted")
async def test_what_stays_is_on_one_page_while_others_come_go_and_move(
    client: httpx.AsyncClient, order: str
) -> None:
    chance = random.Random(1)
    for number in range(STAYING):
        await put(client, person(f"staying-{number:02}", chance))
        if not number % 2:
            await put(client, person(f"moving-{number % WRITERS}-{number % 10}", chance))
    done = asyncio.Event()
    writers = [asyncio.create_task(write_on(client, number, done)) for number in range(WRITERS)]
    seen: list[str] = []
    path: str | None = f"/fhir/Patient?{order}_count=5"
    turns = 0
    while path and turns < 200:
        page = (await client.get(path)).json()
        seen += [one["resource"]["id"] for one in page.get("entry", ())]
        path = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        turns += 1
        await asyncio.sleep(0.01)  # time for others
    done.set()
    written = sum(await asyncio.gather(*writers))
    assert path is None, "the pages had no end"
    assert written > turns, "nobody wrote between the pages"
    staying = sorted(id for id in seen if id.startswith("staying"))
    assert staying == [f"staying-{number:02}" for number in range(STAYING)]
    assert len(seen) == len(set(seen))


async def test_history_read_in_pages_while_others_write_has_no_gap(client: httpx.AsyncClient) -> None:
    chance = random.Random(2)
    for number in range(STAYING):
        await put(client, person(f"staying-{number:02}", chance))
    done = asyncio.Event()
    writers = [asyncio.create_task(write_on(client, number, done)) for number in range(WRITERS)]
    await asyncio.sleep(0.05)
    seen: list[tuple[str, str]] = []
    path: str | None = "/fhir/Patient/_history?_count=7"
    while path:
        page = (await client.get(path)).json()
        seen += [(one["fullUrl"], one["response"]["etag"]) for one in page["entry"]]
        path = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    done.set()
    await asyncio.gather(*writers)
    whole = (await client.get("/fhir/Patient/_history?_count=1000")).json()["entry"]
    everything = [(one["fullUrl"], one["response"]["etag"]) for one in whole]
    first = everything.index(seen[0])
    assert seen == everything[first:]
