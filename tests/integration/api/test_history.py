"""history of a resource, a type and everything, http://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI

from hub import content, plugins
from hub.app import Hub, create_app
from hub.settings import build
from tests.conftest import Ticking
from tests.integration.api.conftest import BASE, FHIR_JSON, issue


@pytest.fixture
async def timed(
    database_url: str,
    installed: plugins.Plugins,
    tmp_path: Any,
    ticking: Ticking,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a hub whose clock the test moves: it starts at 2026-02-02T02:40:00Z."""
    monkeypatch.setattr(content, "mappings", lambda: tmp_path)
    settings = build({"database_url": database_url})
    application: FastAPI = create_app(settings, hub=Hub(settings, found=installed, now=ticking))
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8080", headers=FHIR_JSON
        ) as client:
            yield client


async def put(client: httpx.AsyncClient, id: str, number: int, type_name: str = "Patient") -> None:
    """Store Patient/{id} with this number, or a Basic."""
    body: dict[str, Any] = {"resourceType": type_name, "id": id}
    body |= {"multipleBirthInteger": number} if type_name == "Patient" else {"code": {"text": str(number)}}
    assert (await client.put(f"/fhir/{type_name}/{id}", json=body)).status_code in (200, 201)


async def story(client: httpx.AsyncClient, ticking: Ticking) -> None:
    """02:40 a v1, Basic b v1 · 02:41 a v2 · 02:42 c v1 · 02:43 a deleted (v3) · 02:44 a v4"""
    await put(client, "a", 1)
    await put(client, "b", 1, "Basic")
    for minute in range(4):
        ticking.advance(60)
        if minute == 1:
            await put(client, "c", 1)
        elif minute == 2:
            await client.delete("/fhir/Patient/a")
        else:
            await put(client, "a", minute + 2)


async def versions(client: httpx.AsyncClient, url: str) -> list[str]:
    """`Patient/a/1` for every entry, over all pages."""
    found: list[str] = []
    following: str | None = url
    while following:
        answer = await client.get(following)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        for one in page.get("entry", []):
            number = one["response"]["etag"].removeprefix('W/"').rstrip('"')
            found.append(f"{one['fullUrl'].removeprefix(BASE + '/')}/{number}")
        links = {one["relation"]: one["url"] for one in page["link"]}
        following = links.get("next")
    return found


@pytest.mark.parametrize("count", [1, 2, 100])
@pytest.mark.parametrize(
    ("at", "of_a", "of_patients", "of_all"),
    [
        ("2026-02-02T02:39:00Z", [], [], []),
        ("2026-02-02T02:40:30Z", ["a/1"], ["a/1"], ["Basic/b/1", "Patient/a/1"]),
        ("2026-02-02T02:42:30Z", ["a/2"], ["c/1", "a/2"], ["Patient/c/1", "Patient/a/2", "Basic/b/1"]),
        ("2026-02-02T02:43:30Z", [], ["c/1"], ["Patient/c/1", "Basic/b/1"]),
        ("2026-02-02T02:44:30Z", ["a/4"], ["a/4", "c/1"], ["Patient/a/4", "Patient/c/1", "Basic/b/1"]),
        ("2026-02-02T02:43:00Z", ["a/3"], ["a/3", "c/1"], ["Patient/a/3", "Patient/c/1", "Basic/b/1"]),
        ("2026-02-02T10:43:00+08:00", ["a/3"], ["a/3", "c/1"], ["Patient/a/3", "Patient/c/1", "Basic/b/1"]),
        (
            "2026-02-02", ["a/4", "a/3", "a/2", "a/1"], ["a/4", "a/3", "c/1", "a/2", "a/1"],
            ["Patient/a/4", "Patient/a/3", "Patient/c/1", "Patient/a/2", "Basic/b/1", "Patient/a/1"],
        ),
        ("2026-02-03", ["a/4"], ["a/4", "c/1"], ["Patient/a/4", "Patient/c/1", "Basic/b/1"]),
    ],
)  # fmt: skip
async def test_at_gives_what_was_current_in_the_period(
    timed: httpx.AsyncClient,
    ticking: Ticking,
    at: str,
    of_a: list[str],
    of_patients: list[str],
    of_all: list[str],
    count: int,
) -> None:
    await story(timed, ticking)
    query = f"_at={quote(at)}&_count={count}"
    assert await versions(timed, f"/fhir/Patient/a/_history?{query}") == [f"Patient/{one}" for one in of_a]
    assert await versions(timed, f"/fhir/Patient/_history?{query}") == [
        f"Patient/{one}" for one in of_patients
    ]
    assert await versions(timed, f"/fhir/_history?{query}") == of_all


async def test_at_and_since_hold_together(timed: httpx.AsyncClient, ticking: Ticking) -> None:
    await story(timed, ticking)
    query = "_at=2026-02-02T02:42:30Z&_since=2026-02-02T02:41:30Z"
    assert await versions(timed, f"/fhir/Patient/_history?{query}") == ["Patient/c/1"]
    assert await versions(timed, f"/fhir/Patient/a/_history?{query}") == []
    assert await versions(timed, f"/fhir/_history?{query}") == ["Patient/c/1"]


async def test_since_gives_what_happened_from_then_on(timed: httpx.AsyncClient, ticking: Ticking) -> None:
    await story(timed, ticking)
    since = "_since=2026-02-02T02:42:00Z&_count=2"
    assert await versions(timed, f"/fhir/Patient/a/_history?{since}") == ["Patient/a/4", "Patient/a/3"]
    everything = ["Patient/a/4", "Patient/a/3", "Patient/c/1"]
    assert await versions(timed, f"/fhir/Patient/_history?{since}") == everything
    assert await versions(timed, f"/fhir/_history?{since}") == everything


async def test_the_history_of_a_resource_has_a_total_on_every_page(
    timed: httpx.AsyncClient, ticking: Ticking
) -> None:
    await story(timed, ticking)
    page = (await timed.get("/fhir/Patient/a/_history?_count=3")).json()
    assert (page["total"], len(page["entry"])) == (4, 3)
    following = {one["relation"]: one["url"] for one in page["link"]}["next"]
    assert (await timed.get(following)).json()["total"] == 4
    counted = (await timed.get("/fhir/Patient/a/_history?_count=0")).json()
    assert counted["total"] == 4 and "entry" not in counted
    assert {one["relation"] for one in counted["link"]} == {"self"}


async def test_pages_stay_right_while_data_changes(timed: httpx.AsyncClient, ticking: Ticking) -> None:
    await story(timed, ticking)
    following = []
    for url in ("/fhir/Patient/a/_history", "/fhir/Patient/_history", "/fhir/_history"):
        first = (await timed.get(f"{url}?_count=2")).json()
        following.append({one["relation"]: one["url"] for one in first["link"]}["next"])
    ticking.advance(60)
    await put(timed, "a", 7)
    await timed.delete("/fhir/Patient/c")
    assert await versions(timed, following[0]) == ["Patient/a/2", "Patient/a/1"]
    assert await versions(timed, following[1]) == ["Patient/c/1", "Patient/a/2", "Patient/a/1"]
    assert await versions(timed, following[2]) == [
        "Patient/c/1", "Patient/a/2", "Basic/b/1", "Patient/a/1",
    ]  # fmt: skip


async def test_every_entry_says_what_was_asked_and_what_came(
    timed: httpx.AsyncClient, ticking: Ticking
) -> None:
    created = await timed.post("/fhir/Patient", json={"resourceType": "Patient", "gender": "female"})
    id = created.json()["id"]
    ticking.advance(60)
    await timed.put(f"/fhir/Patient/{id}", json={"resourceType": "Patient", "id": id, "gender": "male"})
    ticking.advance(60)
    await timed.delete(f"/fhir/Patient/{id}")
    ticking.advance(60)
    await timed.put(f"/fhir/Patient/{id}", json={"resourceType": "Patient", "id": id})
    entries = (await timed.get(f"/fhir/Patient/{id}/_history")).json()["entry"]
    assert [one["request"] for one in entries] == [
        {"method": "PUT", "url": f"Patient/{id}"},
        {"method": "DELETE", "url": f"Patient/{id}"},
        {"method": "PUT", "url": f"Patient/{id}"},
        {"method": "POST", "url": "Patient"},
    ]
    assert [one["response"]["status"][:3] for one in entries] == ["201", "204", "200", "201"]
    assert [one["response"]["etag"] for one in entries] == ['W/"4"', 'W/"3"', 'W/"2"', 'W/"1"']
    assert [one["response"]["lastModified"] for one in entries] == [
        "2026-02-02T02:43:00.000Z", "2026-02-02T02:42:00.000Z",
        "2026-02-02T02:41:00.000Z", "2026-02-02T02:40:00.000Z",
    ]  # fmt: skip
    assert [one["fullUrl"] for one in entries] == [f"{BASE}/Patient/{id}"] * 4
    assert ["resource" in one for one in entries] == [True, False, True, True]


async def test_a_creation_under_the_clients_id_was_a_put(timed: httpx.AsyncClient) -> None:
    await put(timed, "a", 1)
    only = (await timed.get("/fhir/Patient/a/_history")).json()["entry"][0]
    assert only["request"] == {"method": "PUT", "url": "Patient/a"}
    assert only["response"]["status"] == "201 Created"
    bundle = {
        "resourceType": "Bundle", "type": "transaction",
        "entry": [
            {"request": {"method": "POST", "url": "Basic"},
             "resource": {"resourceType": "Basic", "code": {"text": "x"}}},
            {"request": {"method": "PUT", "url": "Basic/b"},
             "resource": {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}},
        ],
    }  # fmt: skip
    assert (await timed.post("/fhir", json=bundle)).status_code == 200
    entries = (await timed.get("/fhir/Basic/_history")).json()["entry"]
    assert sorted(one["request"]["method"] for one in entries) == ["POST", "PUT"]


@pytest.mark.parametrize(
    "query",
    ["_at=soon", "_at=2026-13-45", "_since=", "_count=-1", "_count=x", "_cursor=x", "_at=2026&_at=2027",
     "x=1", "_sort=_lastUpdated"],
)  # fmt: skip
async def test_a_wrong_history_parameter_is_400(timed: httpx.AsyncClient, query: str) -> None:
    await put(timed, "a", 1)
    for url in ("/fhir/Patient/a/_history", "/fhir/Patient/_history", "/fhir/_history"):
        answer = await timed.get(f"{url}?{query}")
        assert answer.status_code == 400, answer.text
        assert issue(answer)["diagnostics"]


async def test_a_resource_that_never_was_has_no_history(timed: httpx.AsyncClient) -> None:
    assert (await timed.get("/fhir/Patient/nobody/_history")).status_code == 404
    empty = await timed.get("/fhir/Patient/_history")
    assert (empty.status_code, empty.json()["total"]) == (200, 0)
