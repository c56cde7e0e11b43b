"""read, vread, create, update, delete, history: http://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from hub.app import Hub
from hub.store import audit
from tests.integration.api.conftest import BASE, issue

PATIENT = {"resourceType": "Patient", "name": [{"family": "王"}]}


async def create(client: httpx.AsyncClient, resource: dict[str, Any] = PATIENT) -> str:
    answer = await client.post(f"/fhir/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_create_says_where_and_which_version(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fhir/Patient", json=PATIENT | {"id": "mine"})
    id = answer.json()["id"]
    assert answer.status_code == 201
    assert id != "mine"
    assert answer.headers["location"] == f"{BASE}/Patient/{id}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert "last-modified" in answer.headers
    assert answer.json()["meta"]["versionId"] == "1"
    read = await client.get(f"/fhir/Patient/{id}")
    assert read.content == answer.content
    assert read.headers["content-type"] == "application/fhir+json; charset=utf-8"


async def test_literals_go_out_as_they_came_in(client: httpx.AsyncClient) -> None:
    text = (
        '{"resourceType":"Claim","id":"c","status":"active","use":"claim","type":{"text":"x"},'
        '"patient":{"reference":"Patient/1"},"created":"2026-02-01T09:00:00.100+08:00","provider":{"display":"p"},'
        '"priority":{"text":"n"},"insurance":[{"sequence":1,"focal":true,"coverage":{"display":"c"}}],'
        '"total":{"value":105.00,"currency":"CNY"},"item":[{"sequence":1,"productOrService":{"text":"\\u836f"},'
        '"factor":1e2}]}'
    )
    await client.put("/fhir/Claim/c", content=text)
    stored = (await client.get("/fhir/Claim/c")).text
    for literal in ("105.00", "1e2", "2026-02-01T09:00:00.100+08:00", "\\u836f"):
        assert literal in stored


@pytest.mark.parametrize("preference", ["minimal", "representation", "OperationOutcome"])
async def test_prefer_return_is_kept(client: httpx.AsyncClient, preference: str) -> None:
    answer = await client.post("/fhir/Patient", json=PATIENT, headers={"Prefer": f"return={preference}"})
    assert answer.status_code == 201
    assert "location" in answer.headers
    if preference == "minimal":
        assert answer.content == b""
    else:
        expected = "Patient" if preference == "representation" else "OperationOutcome"
        assert answer.json()["resourceType"] == expected


async def test_update_makes_versions_and_a_put_creates(client: httpx.AsyncClient) -> None:
    first = await client.put("/fhir/Patient/p", json=PATIENT | {"id": "p"})
    second = await client.put("/fhir/Patient/p", json=PATIENT | {"id": "p", "active": True})
    same = await client.put("/fhir/Patient/p", json=PATIENT | {"id": "p", "active": True})
    assert [one.status_code for one in (first, second, same)] == [201, 200, 200]
    assert [one.headers["etag"] for one in (first, second, same)] == ['W/"1"', 'W/"2"', 'W/"2"']
    old = await client.get("/fhir/Patient/p/_history/1")
    assert old.status_code == 200 and "active" not in old.json() and old.headers["etag"] == 'W/"1"'
    assert (await client.get("/fhir/Patient/p/_history/7")).status_code == 404
    assert (await client.get("/fhir/Patient/p/_history/x")).status_code == 404


async def test_update_needs_the_same_id_and_type(client: httpx.AsyncClient) -> None:
    for content in (PATIENT, PATIENT | {"id": "other"}, {"resourceType": "Group", "id": "p"}):
        answer = await client.put("/fhir/Patient/p", json=content)
        assert answer.status_code == 400 and issue(answer)
    assert (await client.get("/fhir/Patient/p")).status_code == 404


async def test_if_match_guards_against_lost_updates(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=PATIENT | {"id": "p"})
    good = await client.put(
        "/fhir/Patient/p", json=PATIENT | {"id": "p", "active": True}, headers={"If-Match": 'W/"1"'}
    )
    late = await client.put("/fhir/Patient/p", json=PATIENT | {"id": "p"}, headers={"If-Match": 'W/"1"'})
    wrong = await client.put("/fhir/Patient/p", json=PATIENT | {"id": "p"}, headers={"If-Match": "abc"})
    assert (good.status_code, late.status_code, wrong.status_code) == (200, 412, 400)
    gone = await client.delete("/fhir/Patient/p", headers={"If-Match": 'W/"1"'})
    assert gone.status_code == 412
    never = await client.put("/fhir/Patient/n", json=PATIENT | {"id": "n"}, headers={"If-Match": 'W/"1"'})
    assert never.status_code == 412
    guarded = await client.put("/fhir/Patient/p", json=PATIENT | {"id": "p"}, headers={"If-None-Match": "*"})
    assert guarded.status_code == 412


async def test_eight_writers_with_if_match_lose_nothing(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=PATIENT | {"id": "p", "multipleBirthInteger": 0})

    async def add(times: int) -> None:
        while times:
            read = await client.get("/fhir/Patient/p")
            body = read.json()
            body["multipleBirthInteger"] += 1
            answer = await client.put(
                "/fhir/Patient/p", json=body, headers={"If-Match": read.headers["etag"]}
            )
            assert answer.status_code in (200, 409, 412)
            times -= answer.status_code == 200

    await asyncio.gather(*(add(3) for _ in range(8)))
    assert (await client.get("/fhir/Patient/p")).json()["multipleBirthInteger"] == 24
    history = (await client.get("/fhir/Patient/p/_history")).json()
    assert [one["resource"]["meta"]["versionId"] for one in history["entry"]] == [
        str(n) for n in range(25, 0, -1)
    ]


async def test_delete_leaves_a_version_and_410(client: httpx.AsyncClient) -> None:
    id = await create(client)
    gone = await client.delete(f"/fhir/Patient/{id}")
    assert (gone.status_code, gone.headers["etag"], gone.content) == (204, 'W/"2"', b"")
    read = await client.get(f"/fhir/Patient/{id}")
    assert read.status_code == 410 and issue(read)["code"] == "deleted"
    assert (await client.get(f"/fhir/Patient/{id}/_history/2")).status_code == 410
    assert (await client.get(f"/fhir/Patient/{id}/_history/1")).status_code == 200
    assert (await client.delete(f"/fhir/Patient/{id}")).status_code == 204
    assert (await client.delete("/fhir/Patient/never-was")).status_code == 204
    again = await client.put(f"/fhir/Patient/{id}", json=PATIENT | {"id": id})
    assert (again.status_code, again.headers["etag"]) == (201, 'W/"3"')


async def test_history_is_newest_first_in_pages(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await client.put("/fhir/Patient/p", json=PATIENT | {"id": "p", "multipleBirthInteger": number})
    await client.delete("/fhir/Patient/p")
    page = (await client.get("/fhir/Patient/p/_history?_count=4")).json()
    assert page["type"] == "history" and len(page["entry"]) == 4
    assert page["entry"][0]["request"] == {"method": "DELETE", "url": "Patient/p"}
    assert "resource" not in page["entry"][0]
    links = {one["relation"]: one["url"] for one in page["link"]}
    assert links["self"] == f"{BASE}/Patient/p/_history?_count=4"
    rest = (await client.get(links["next"])).json()
    assert [one["response"]["etag"] for one in page["entry"] + rest["entry"]] == [
        f'W/"{n}"' for n in (6, 5, 4, 3, 2, 1)
    ]
    assert {one["relation"] for one in rest["link"]} == {"self"}
    assert (await client.get("/fhir/Patient/q/_history")).status_code == 404
    assert (await client.get("/fhir/Patient/p/_history?_since=yesterday")).status_code == 400
    since = (await client.get("/fhir/Patient/p/_history?_since=2100-01-01T00:00:00Z")).json()
    assert since["total"] == 0 and "entry" not in since


async def test_history_of_a_type_and_of_everything(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=PATIENT | {"id": "p"})
    await client.put(
        "/fhir/Group/g", json={"resourceType": "Group", "id": "g", "type": "person", "actual": True}
    )
    of_type = (await client.get("/fhir/Patient/_history")).json()
    of_all = (await client.get("/fhir/_history")).json()
    assert [one["fullUrl"] for one in of_type["entry"]] == [f"{BASE}/Patient/p"]
    assert [one["fullUrl"] for one in of_all["entry"]] == [f"{BASE}/Group/g", f"{BASE}/Patient/p"]


async def test_conditional_read(client: httpx.AsyncClient) -> None:
    id = await create(client)
    read = await client.get(f"/fhir/Patient/{id}")
    for headers in (
        {"If-None-Match": read.headers["etag"]},
        {"If-Modified-Since": read.headers["last-modified"]},
    ):
        answer = await client.get(f"/fhir/Patient/{id}", headers=headers)
        assert (answer.status_code, answer.content) == (304, b"")
    changed = await client.get(f"/fhir/Patient/{id}", headers={"If-None-Match": 'W/"9"'})
    assert changed.status_code == 200


async def test_head_and_options(client: httpx.AsyncClient) -> None:
    id = await create(client)
    get, head = await client.get(f"/fhir/Patient/{id}"), await client.head(f"/fhir/Patient/{id}")
    assert head.content == b"" and head.status_code == 200
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.headers["etag"] == get.headers["etag"]
    options = await client.options(f"/fhir/Patient/{id}")
    assert options.status_code == 204 and "PUT" in options.headers["allow"]
    refused = await client.post(f"/fhir/Patient/{id}", json=PATIENT)
    assert refused.status_code == 405 and "PUT" in refused.headers["allow"] and issue(refused)


async def test_pretty_and_format(client: httpx.AsyncClient) -> None:
    id = await create(client)
    pretty = await client.get(f"/fhir/Patient/{id}?_pretty=true&_format=json")
    assert "\n  " in pretty.text
    assert (await client.get(f"/fhir/Patient/{id}?_format=ttl")).status_code == 406
    ruled = await client.get(f"/fhir/Patient/{id}?_format=json", headers={"Accept": "application/fhir+xml"})
    assert ruled.status_code == 200


async def test_own_absolute_references_are_stored_relative(client: httpx.AsyncClient) -> None:
    group = {
        "resourceType": "Group",
        "type": "person",
        "actual": True,
        "member": [
            {"entity": {"reference": f"{BASE}/Patient/p"}},
            {"entity": {"reference": "http://elsewhere.example/fhir/Patient/p"}},
        ],
    }
    stored = (await client.post("/fhir/Group", json=group)).json()
    assert [one["entity"]["reference"] for one in stored["member"]] == [
        "Patient/p",
        "http://elsewhere.example/fhir/Patient/p",
    ]


async def test_every_request_leaves_an_audit_row(client: httpx.AsyncClient, hub: Hub) -> None:
    id = await create(client)
    await client.get(f"/fhir/Patient/{id}")
    await client.get("/fhir/Patient?name=secret")
    await client.get("/fhir/Patient/nobody")
    await hub.api.auditor.flush()
    rows = [(one.action, one.target, one.status, one.organisation) for _, one in await audit.trail(hub.store)]
    assert set(rows) >= {
        ("create", f"Patient/{id}", 201, "api"),
        ("read", f"Patient/{id}", 200, "api"),
        ("search", "Patient", 200, "api"),
        ("read", "Patient/nobody", 404, "api"),
    }
    assert "secret" not in str(await audit.trail(hub.store))


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9", "not-found"),
        ("Patient?identifier=urn:x|1", "not-supported"),
        ("#nobody", "invariant"),
    ],
)
async def test_a_reference_that_leads_nowhere_is_400(
    client: httpx.AsyncClient, reference: str, code: str
) -> None:
    body = {"resourceType": "Condition", "subject": {"reference": reference}}
    answers = [
        await client.post("/fhir/Condition", json=body),
        await client.put("/fhir/Condition/c", json=body | {"id": "c"}),
        await client.put("/fhir/Condition?identifier=urn:x|1", json=body),
    ]
    assert [one.status_code for one in answers] == [400] * 3
    assert {issue(one)["code"] for one in answers} == {code}
    assert "entry" not in (await client.get("/fhir/Condition")).json()


async def test_references_inside_a_resource_are_its_own(client: httpx.AsyncClient) -> None:
    link = {"other": {"reference": "#"}, "type": "seealso"}
    contained = {
        "resourceType": "Condition",
        "contained": [{"resourceType": "Patient", "id": "p", "link": [link]}],
        "subject": {"reference": "#p"},
    }
    assert (await client.post("/fhir/Condition", json=contained)).status_code == 201
    urn = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"
    entries = [
        {"fullUrl": urn, "resource": {"resourceType": "Patient"}},
        {"fullUrl": urn[:-1] + "8", "resource": contained | {"subject": {"reference": urn}}},
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert (await client.post("/fhir/Bundle", json=bundle)).status_code == 201
