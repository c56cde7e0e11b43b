"""Rules of http://hl7.org/fhir/R4/http.html, and what clients of other servers send."""

from __future__ import annotations

import json
from typing import Any

import httpx
from lxml import etree

from tests.integration.api.conftest import BASE, issue
from tests.integration.api.invariants import sound

SYSTEM = "urn:oid:2.16.156.10011.1.3"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PATCH = {"Content-Type": "application/json-patch+json"}


def patient(value: str = "1", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], **more}


async def stored(client: httpx.AsyncClient) -> int:
    total: int = (await client.get("/fhir/Patient?_summary=count")).json()["total"]
    return total


async def test_a_condition_may_stand_behind_its_type_or_its_whole_url(client: httpx.AsyncClient) -> None:
    criteria = f"identifier={SYSTEM}|1"
    first = await client.post("/fhir/Patient", json=patient(), headers={"If-None-Exist": criteria})
    assert first.status_code == 201
    for before in ("?", "Patient?", "/Patient?", f"{BASE}/Patient?"):
        headers = {"If-None-Exist": before + criteria}
        again = await client.post("/fhir/Patient", json=patient(), headers=headers)
        assert (again.status_code, again.headers["location"]) == (200, first.headers["location"]), before
    request = {"method": "POST", "url": "Patient", "ifNoneExist": f"Patient?{criteria}"}
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": patient(), "request": request}],
    }
    answer = await client.post("/fhir", json=bundle)
    assert answer.json()["entry"][0]["response"]["status"] == "200 OK"
    assert await stored(client) == 1


async def test_a_condition_that_asks_nothing_or_another_type_creates_nothing(
    client: httpx.AsyncClient,
) -> None:
    criteria = f"identifier={SYSTEM}|1"
    for text in (
        "",
        "?",
        "Patient?",
        f"Person?{criteria}",
        f"http://elsewhere.example/fhir/Patient?{criteria}",
    ):
        answer = await client.post("/fhir/Patient", json=patient(), headers={"If-None-Exist": text})
        assert answer.status_code == 400 and "If-None-Exist" in issue(answer)["diagnostics"], text
        if text:
            request = {"method": "POST", "url": "Patient", "ifNoneExist": text}
            bundle = {
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [{"resource": patient(), "request": request}],
            }
            answer = await client.post("/fhir", json=bundle)
            assert answer.status_code == 400 and issue(answer)["expression"] == ["Bundle.entry[0]"], text
    assert await stored(client) == 0


async def test_preferences_are_read_in_any_case(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fhir/Patient", json=patient(), headers={"Prefer": "Return=minimal"})
    assert (answer.status_code, answer.content) == (201, b"")
    lenient = await client.get("/fhir/Patient?foo=1", headers={"Prefer": "HANDLING=lenient"})
    assert lenient.status_code == 200


async def test_a_slash_too_many_behind_the_base_is_passed_over(client: httpx.AsyncClient) -> None:
    created = await client.put("/fhir//Patient/p", json=patient(id="p"))
    assert created.status_code == 201 and created.headers["location"] == f"{BASE}/Patient/p/_history/1"
    for path in ("/fhir//Patient/p/", "/fhir//Patient/p/_history/1", "/fhir//metadata", "/fhir//"):
        assert (await client.get(path)).status_code == 200, path
    for path in ("/fhir/Patient//p", "/fhir/Patient//"):
        assert (await client.get(path)).status_code == 404, path


async def test_a_byte_order_mark_is_passed_over(client: httpx.AsyncClient) -> None:
    text = json.dumps(patient()).encode()
    created = await client.post("/fhir/Patient", content=b"\xef\xbb\xbf" + text)
    assert created.status_code == 201
    read = await client.get(f"/fhir/Patient/{created.json()['id']}")
    assert read.content.startswith(b'{"resourceType":"Patient"')


async def test_links_of_a_search_keep_the_format(client: httpx.AsyncClient) -> None:
    for value in "123":
        await client.post("/fhir/Patient", json=patient(value))
    names = {"f": "http://hl7.org/fhir"}
    page = await client.get("/fhir/Patient?_format=xml&_count=2")
    following = etree.fromstring(page.content).xpath(
        "string(f:link[f:relation/@value='next']/f:url/@value)", namespaces=names
    )
    rest = await client.get(str(following))
    assert rest.headers["content-type"].startswith("application/fhir+xml")
    assert len(etree.fromstring(rest.content).findall("f:entry", names)) == 1
    posted = await client.post("/fhir/Patient/_search", content="_format=json&_count=2", headers=FORM)
    assert posted.json()["link"][0] == {"relation": "self", "url": f"{BASE}/Patient?_count=2&_format=json"}


async def test_a_page_that_holds_every_match_says_how_many_there_are(client: httpx.AsyncClient) -> None:
    for value in "123":
        await client.put(f"/fhir/Patient/p{value}", json=patient(value, id=f"p{value}"))
    subject = {"subject": {"reference": "Patient/p1"}}
    flag = {"resourceType": "Flag", "status": "active", "code": {"text": "x"}, **subject}
    await client.post("/fhir/Flag", json=flag)
    assert (await client.get("/fhir/Patient")).json()["total"] == 3
    assert (await client.get("/fhir/Patient?_id=nobody")).json()["total"] == 0
    included = (await client.get("/fhir/Flag?_include=Flag:subject")).json()
    assert (included["total"], len(included["entry"])) == (1, 2)
    assert (await client.get("/fhir?_type=Patient,Flag")).json()["total"] == 4
    part = (await client.get("/fhir/Patient?_count=2")).json()
    last = (await client.get(next(one["url"] for one in part["link"] if one["relation"] == "next"))).json()
    assert "total" not in part and "total" not in last and len(last["entry"]) == 1
    assert "total" not in (await client.get("/fhir/Patient?_total=none")).json()


async def test_what_the_client_says_of_version_and_time_is_ignored_and_labels_are_kept(
    client: httpx.AsyncClient,
) -> None:
    tag = [{"system": "urn:example:tags", "code": "a"}]
    meta = {"versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z", "tag": tag, "source": "urn:example:s"}
    for method, path, body in (
        ("POST", "/fhir/Patient", patient(meta=meta, id="mine")),
        ("PUT", "/fhir/Patient/p", patient(meta=meta, id="p")),
    ):
        answer = await sound(client, method, path, json=body)
        found = answer.json()
        assert found["id"] != "mine" and found["meta"]["versionId"] == "1"
        assert not found["meta"]["lastUpdated"].startswith("2001")
        assert (found["meta"]["tag"], found["meta"]["source"]) == (tag, "urn:example:s")
    # an update says all there is: the server adds no label of its own or of the version before
    bare = await client.put("/fhir/Patient/p", json=patient(id="p"))
    assert set(bare.json()["meta"]) == {"versionId", "lastUpdated"}


REFUSED: list[tuple[str, str, Any, dict[str, str], int, str]] = [
    ("GET", "Patient/none", None, {}, 404, "not-found"),
    ("GET", "Patient/gone", None, {}, 410, "deleted"),
    ("GET", "Patient/gone/_history/2", None, {}, 410, "deleted"),
    ("GET", "Patient/p/_history/9", None, {}, 404, "not-found"),
    ("GET", "Patient/none/_history", None, {}, 404, "not-found"),
    ("GET", "Patient/a_b", None, {}, 400, "invalid"),
    ("GET", "Foo/1", None, {}, 404, "not-found"),
    ("GET", "patient/p", None, {}, 404, "not-found"),
    ("POST", "Patient/p", patient(), {}, 405, "not-supported"),
    ("PUT", "", patient(), {}, 405, "not-supported"),
    ("PUT", "Patient", patient(), {}, 400, "required"),
    ("DELETE", "Patient", None, {}, 400, "required"),
    ("PUT", "Patient/p", patient(), {}, 400, "invalid"),
    ("PUT", "Patient/p", patient(id="q"), {}, 400, "invalid"),
    ("PUT", "Patient/p", {"resourceType": "Person", "id": "p"}, {}, 400, "invalid"),
    ("PUT", "Patient/p", patient(id="p", foo=1), {}, 400, "structure"),
    ("PUT", "Patient/p", patient(id="p"), {"If-Match": 'W/"9"'}, 412, "conflict"),
    ("PUT", "Patient/p", patient(id="p"), {"If-Match": "nine"}, 400, "value"),
    ("PUT", "Patient/p", patient(id="p"), {"If-None-Match": "*"}, 412, "conflict"),
    ("PUT", "Patient/p", patient(id="p", active=True), {"If-None-Match": 'W/"9", W/"1"'}, 412, "conflict"),
    ("PATCH", "Patient/p", [], {**PATCH, "If-None-Match": 'W/"9", W/"1"'}, 412, "conflict"),
    ("PUT", "Patient/new", patient(id="new"), {"If-Match": 'W/"1"'}, 412, "conflict"),
    ("DELETE", "Patient/p", None, {"If-Match": 'W/"9"'}, 412, "conflict"),
    ("PATCH", "Patient/none", [], PATCH, 404, "not-found"),
    ("PATCH", "Patient/gone", [], PATCH, 410, "deleted"),
    ("PATCH", "Patient?identifier=none", [], PATCH, 404, "not-found"),
    ("PATCH", "Patient/p", {}, {"Content-Type": "application/xml-patch+xml"}, 415, "not-supported"),
    ("POST", "Patient", patient(), {"Content-Type": "text/plain"}, 415, "not-supported"),
    ("POST", "Patient/_search", {}, {"Content-Type": "application/json"}, 415, "not-supported"),
    ("GET", "Patient", None, {"Accept": "text/turtle"}, 406, "not-supported"),
    ("GET", "Patient?_format=ttl", None, {}, 406, "not-supported"),
    ("GET", "Patient?foo=1", None, {}, 400, "not-supported"),
    ("GET", "Patient/$foo", None, {}, 404, "not-supported"),
    ("GET", "Patient/p/$meta-add", None, {}, 405, "not-supported"),
    ("POST", "", patient(), {}, 400, "invalid"),
    ("POST", "", {"resourceType": "Bundle", "type": "searchset"}, {}, 400, "value"),
]


async def test_every_refusal_has_its_status_and_an_outcome(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=patient(id="p"))
    await client.put("/fhir/Patient/gone", json=patient("2", id="gone"))
    assert (await client.delete("/fhir/Patient/gone")).status_code == 204
    for method, path, body, headers, status, code in REFUSED:
        content = json.dumps(body) if body is not None else None
        answer = await sound(client, method, f"/fhir/{path}", content=content, headers=headers)
        assert (answer.status_code, issue(answer)["code"]) == (status, code), (method, path, answer.text)
    assert (await client.get("/fhir/Patient/p")).headers["etag"] == 'W/"1"'


async def test_headers_of_reads_and_writes(client: httpx.AsyncClient) -> None:
    created = await client.put("/fhir/Patient/p", json=patient(id="p"))
    assert (created.status_code, created.headers["location"]) == (201, f"{BASE}/Patient/p/_history/1")
    updated = await client.put("/fhir/Patient/p", json=patient(id="p", active=True))
    assert (updated.status_code, updated.headers["etag"]) == (200, 'W/"2"')
    for path, version in (("Patient/p", 2), ("Patient/p/_history/1", 1), ("Patient/p/_history/2", 2)):
        read, head = await client.get(f"/fhir/{path}"), await client.head(f"/fhir/{path}")
        assert read.headers["etag"] == f'W/"{version}"' and read.json()["meta"]["versionId"] == str(version)
        for name in ("etag", "last-modified", "content-type", "content-length"):
            assert head.headers[name] == read.headers[name]
        assert head.status_code == 200 and head.content == b""
    deleted = await client.delete("/fhir/Patient/p")
    assert (deleted.status_code, deleted.content, deleted.headers["etag"]) == (204, b"", 'W/"3"')
    for path in ("Patient/p", "Patient/never"):
        assert (await client.delete(f"/fhir/{path}")).status_code == 204
    back = await client.put("/fhir/Patient/p", json=patient(id="p"))
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"4"')


async def test_if_none_match_excludes_versions_of_every_write(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=patient(id="p"))
    for version, expected in ((1, 412), (7, 200)):
        changed = patient(id="p", active=version == 7)
        headers = {"If-None-Match": f'W/"{version}"'}
        for path in ("Patient/p", f"Patient?identifier={SYSTEM}|1"):
            answer = await client.put(f"/fhir/{path}", json=changed, headers=headers)
            assert answer.status_code == expected, answer.text
        request = {"method": "PUT", "url": "Patient/p", "ifNoneMatch": headers["If-None-Match"]}
        for kind in ("transaction", "batch"):
            bundle = {
                "resourceType": "Bundle",
                "type": kind,
                "entry": [{"resource": changed, "request": request}],
            }
            answer = await client.post("/fhir", json=bundle)
            if kind == "batch":
                status = answer.json()["entry"][0]["response"]["status"]
                assert status.startswith(str(expected)), answer.text
            else:
                assert answer.status_code == expected, answer.text
    assert (await client.get("/fhir/Patient/p")).headers["etag"] == 'W/"2"'


async def test_parameters_of_every_interaction_are_no_criteria_of_a_create(client: httpx.AsyncClient) -> None:
    for query in ("_format=json", "_pretty=true", "_summary=true", "_elements=id"):
        answer = await client.post(f"/fhir/Patient?{query}", json=patient())
        assert answer.status_code == 201, query
    refused = await client.post("/fhir/Patient?foo=bar", json=patient())
    assert refused.status_code == 400 and await stored(client) == 4
