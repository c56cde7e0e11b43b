"""Many clients at once: nothing lost, nothing twice, no deadlock (http://hl7.org/fhir/R4/http.html#concurrency).

Each rule stands beside a control, which shows that the requests really met.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

import httpx

from tests.integration.api.test_bundles import SYSTEM, entry, patient, send

WRITERS = 8
ROUNDS = 4


async def read(client: httpx.AsyncClient) -> tuple[dict[str, Any], str]:
    """Patient/p and its ETag."""
    answer = await client.get("/fhir/Patient/p")
    body: dict[str, Any] = answer.json()
    return body, answer.headers["etag"]


async def versions(client: httpx.AsyncClient, name: str) -> list[str]:
    """The version ids in the history, newest first."""
    page = (await client.get(f"/fhir/{name}/_history?_count=1000")).json()
    return [one["response"]["etag"] for one in page["entry"]]


def counting_down(last: int) -> list[str]:
    return [f'W/"{number}"' for number in range(last, 0, -1)]


async def test_eight_writers_with_if_match_lose_nothing_and_leave_no_gap(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=patient("1", id="p", multipleBirthInteger=0))
    refused = 0

    async def writer() -> None:
        nonlocal refused
        left = ROUNDS
        while left:
            body, etag = await read(client)
            body["multipleBirthInteger"] += 1
            answer = await client.put("/fhir/Patient/p", json=body, headers={"If-Match": etag})
            assert answer.status_code in (200, 412), answer.text
            left -= answer.status_code == 200
            refused += answer.status_code == 412

    await asyncio.gather(*(writer() for _ in range(WRITERS)))
    body, etag = await read(client)
    assert (body["multipleBirthInteger"], etag) == (WRITERS * ROUNDS, f'W/"{WRITERS * ROUNDS + 1}"')
    assert await versions(client, "Patient/p") == counting_down(WRITERS * ROUNDS + 1)
    assert refused, "nobody was ever in anybody's way"


async def test_control_without_if_match_updates_are_lost(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=patient("1", id="p", multipleBirthInteger=0))

    async def writer() -> None:
        for _ in range(ROUNDS):
            body, _ = await read(client)
            body["multipleBirthInteger"] += 1
            assert (await client.put("/fhir/Patient/p", json=body)).status_code == 200

    await asyncio.gather(*(writer() for _ in range(WRITERS)))
    body, _ = await read(client)
    assert body["multipleBirthInteger"] < WRITERS * ROUNDS


async def test_eight_patchers_add_to_one_list_without_any_precondition(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=patient("0", id="p"))

    async def patcher(number: int) -> None:
        change = [{"op": "add", "path": "/identifier/-", "value": {"system": SYSTEM, "value": f"p{number}"}}]
        answer = await client.patch(
            "/fhir/Patient/p", json=change, headers={"Content-Type": "application/json-patch+json"}
        )
        assert answer.status_code == 200, answer.text

    await asyncio.gather(*(patcher(number) for number in range(WRITERS)))
    body, etag = await read(client)
    assert {one["value"] for one in body["identifier"]} == {"0", *(f"p{n}" for n in range(WRITERS))}
    assert etag == f'W/"{WRITERS + 1}"'
    assert await versions(client, "Patient/p") == counting_down(WRITERS + 1)


async def test_conditional_creates_of_one_identifier_make_exactly_one(client: httpx.AsyncClient) -> None:
    criteria = f"identifier={SYSTEM}|1"

    async def by_header() -> httpx.Response:
        return await client.post("/fhir/Patient", json=patient("1"), headers={"If-None-Exist": criteria})

    async def by_update() -> httpx.Response:
        return await client.put(f"/fhir/Patient?{criteria}", json=patient("1"))

    async def by_bundle() -> httpx.Response:
        answer: httpx.Response = await send(
            client, entry("POST", "Patient", patient("1"), ifNoneExist=criteria)
        )
        return answer

    answers = await asyncio.gather(*(one() for one in (by_header, by_update, by_bundle) * WRITERS))
    assert {answer.status_code for answer in answers} <= {200, 201}
    found = (await client.get(f"/fhir/Patient?{criteria}")).json()
    assert len(found["entry"]) == 1
    assert await versions(client, f"Patient/{found['entry'][0]['resource']['id']}") == ['W/"1"']


async def test_control_plain_creates_of_one_identifier_make_many(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post("/fhir/Patient", json=patient("1")) for _ in range(WRITERS)))
    assert {answer.status_code for answer in answers} == {201}
    assert len((await client.get(f"/fhir/Patient?identifier={SYSTEM}|1")).json()["entry"]) == WRITERS


async def test_one_of_many_creates_under_one_id_wins(client: httpx.AsyncClient) -> None:
    async def writer(number: int) -> int:
        body = patient(str(number), id="p")
        answer = await client.put("/fhir/Patient/p", json=body, headers={"If-None-Match": "*"})
        return answer.status_code

    statuses = Counter(await asyncio.gather(*(writer(number) for number in range(WRITERS))))
    assert statuses == {201: 1, 412: WRITERS - 1}
    assert await versions(client, "Patient/p") == ['W/"1"']


async def test_transactions_in_opposite_orders_end_whole_or_say_try_again(client: httpx.AsyncClient) -> None:
    names = [f"r{number}" for number in range(6)]

    async def one(number: int) -> int:
        order = names if number % 2 else names[::-1]
        entries = [
            entry("PUT", f"Patient/{n}", patient(f"{n}-{number}", id=n, multipleBirthInteger=number))
            for n in order[number % 3 :]
        ]
        entries.append(entry("PUT", f"Patient?identifier={SYSTEM}|shared", patient("shared", active=True)))
        while True:
            answer = await send(client, *entries)
            if answer.status_code != 409:
                status: int = answer.status_code
                return status
            assert answer.json()["issue"][0]["code"] in ("conflict", "transient")

    statuses = await asyncio.wait_for(asyncio.gather(*(one(number) for number in range(24))), 120)
    assert set(statuses) == {200}
    total = 0
    for name in names:
        known = await versions(client, f"Patient/{name}")
        assert known == counting_down(len(known))
        total += len(known)
    assert total == sum(len(names) - number % 3 for number in range(24))
    assert len((await client.get(f"/fhir/Patient?identifier={SYSTEM}|shared")).json()["entry"]) == 1


async def test_deletes_and_updates_at_once_leave_a_history_that_can_be_read(
    client: httpx.AsyncClient,
) -> None:
    await client.put("/fhir/Patient/p", json=patient("1", id="p", multipleBirthInteger=0))

    async def one(number: int) -> int:
        if number % 2:
            return (await client.delete("/fhir/Patient/p")).status_code
        body = patient("1", id="p", multipleBirthInteger=number + 1)
        return (await client.put("/fhir/Patient/p", json=body)).status_code

    statuses = await asyncio.gather(*(one(number) for number in range(16)))
    assert set(statuses) <= {200, 201, 204}
    page = (await client.get("/fhir/Patient/p/_history")).json()
    assert [one["response"]["etag"] for one in page["entry"]] == counting_down(len(page["entry"]))
    verbs = [one["request"]["method"] for one in page["entry"]]
    assert verbs.count("PUT") == 9
    assert not any(pair == ("DELETE", "DELETE") for pair in itertools.pairwise(verbs))
