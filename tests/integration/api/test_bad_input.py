"""Whatever comes, the answer is 4xx with an OperationOutcome, and the hub lives on."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest

from hub.app import Hub
from tests.integration.api.conftest import issue

BODIES: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 400),
    "not json": (b"<Patient/>", 400),
    "array": (b"[]", 400),
    "null": (b"null", 400),
    "truncated": (b'{"resourceType":"Patient"', 400),
    "duplicate key": (b'{"resourceType":"Patient","active":true,"active":false}', 400),
    "duplicate key inside": (b'{"resourceType":"Patient","name":[{"text":"a","text":"b"}]}', 400),
    "NUL": (b'{"resourceType":"Patient","name":[{"text":"a\\u0000b"}]}', 400),
    "raw NUL": (b'{"resourceType":"Patient","name":[{"text":"a\x00b"}]}', 400),
    "lone surrogate": (b'{"resourceType":"Patient","name":[{"text":"\\ud800"}]}', 400),
    "not utf-8": (b'{"resourceType":"Patient","name":[{"text":"\xb2\xe2"}]}', 400),
    "two byte order marks": (b'\xef\xbb\xbf\xef\xbb\xbf{"resourceType":"Patient"}', 400),
    "deep": (b'{"resourceType":"Patient","extension":' + b'[{"url":"u","extension":' * 5000, 400),
    "deep and closed": (
        b'{"resourceType":"Patient"' + b',"contact":[{"extension":[{"url":"u"' * 1 + b"}]}]}"[:-1] + b"}",
        400,
    ),
    "NaN": (b'{"resourceType":"Patient","multipleBirthInteger":NaN}', 400),
    "type is a number": (b'{"resourceType":7}', 400),
    "no type": (b"{}", 400),
    "other type": (b'{"resourceType":"Group","type":"person","actual":true}', 400),
    "id is a number": (b'{"resourceType":"Patient","id":7}', 400),
    "unknown element": (b'{"resourceType":"Patient","foo":1}', 400),
    "wrong code": (b'{"resourceType":"Patient","gender":"x"}', 400),
    "date that is none": (b'{"resourceType":"Patient","birthDate":"2026-13-45"}', 400),
    "empty array": (b'{"resourceType":"Patient","name":[]}', 400),
}


@pytest.mark.parametrize("name", BODIES)
async def test_bad_bodies_are_refused(client: httpx.AsyncClient, name: str) -> None:
    body, status = BODIES[name]
    answer = await client.post("/fhir/Patient", content=body)
    assert answer.status_code == status, answer.text
    assert issue(answer)
    assert (await client.get("/fhir/Patient")).json().get("entry") is None


async def test_nesting_beyond_the_limit_is_400(client: httpx.AsyncClient) -> None:
    deep = b'{"resourceType":"Patient"' + b',"extension":[{"url":"u"' * 5000 + b"}]" * 5000 + b"}"
    answer = await client.post("/fhir/Patient", content=deep)
    assert answer.status_code == 400 and issue(answer)


@pytest.mark.parametrize(
    "path", ["/fhir/Nonsense", "/fhir/Nonsense/1", "/fhir/patient/1", "/fhir/Patient/1/x/y"]
)
async def test_wrong_urls_are_404(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404 and issue(answer)


@pytest.mark.parametrize("id", ["a b", "a" * 65, "王", "a_b", "%00", "a'b"])
async def test_ids_that_are_none_are_refused(client: httpx.AsyncClient, id: str) -> None:
    for answer in (
        await client.get(f"/fhir/Patient/{id}"),
        await client.put(f"/fhir/Patient/{id}", json={"resourceType": "Patient", "id": id}),
    ):
        assert answer.status_code == 400 and issue(answer)


async def test_formats_the_hub_does_not_speak(client: httpx.AsyncClient) -> None:
    for declared in ("text/plain", "application/fhir+json; charset=gbk", "text/turtle", ""):
        refused = await client.post("/fhir/Patient", content="{}", headers={"Content-Type": declared})
        assert refused.status_code == 415 and issue(refused)["code"] == "not-supported"
    accept = await client.get("/fhir/metadata", headers={"Accept": "text/turtle"})
    assert accept.status_code == 406 and issue(accept)
    version = await client.get("/fhir/metadata", headers={"Accept": "application/fhir+json; fhirVersion=5.0"})
    assert version.status_code == 406


XML: dict[str, bytes] = {
    "deep": b'<Patient xmlns="http://hl7.org/fhir">' + b'<extension url="u">' * 5000,
    "bomb": b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY c "&b;&b;">]>'
    b'<Patient xmlns="http://hl7.org/fhir"><name><text value="&c;"/></name></Patient>',
    "external": b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    b'<Patient xmlns="http://hl7.org/fhir"><name><text value="&a;"/></name></Patient>',
    "parameter entity": b'<!DOCTYPE l [<!ENTITY % a SYSTEM "http://127.0.0.1:1/x"> %a;]>'
    b'<Patient xmlns="http://hl7.org/fhir"/>',
    "utf-16": '<Patient xmlns="http://hl7.org/fhir"/>'.encode("utf-16"),
    "other namespace": b'<Patient xmlns="urn:hl7-org:v3"/>',
    "truncated": b'<Patient xmlns="http://hl7.org/fhir"><name>',
    "other type": b'<Group xmlns="http://hl7.org/fhir"><type value="person"/><actual value="true"/></Group>',
    "script": b'<Patient xmlns="http://hl7.org/fhir"><text><status value="generated"/>'
    b'<div xmlns="http://www.w3.org/1999/xhtml"><script>x()</script></div></text></Patient>',
}


@pytest.mark.parametrize("name", XML)
async def test_bad_xml_is_refused(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post(
        "/fhir/Patient", content=XML[name], headers={"Content-Type": "application/fhir+xml"}
    )
    assert answer.status_code == 400 and issue(answer)
    assert (await client.get("/fhir/Patient")).json().get("entry") is None


async def test_thousands_of_parameters_are_refused(client: httpx.AsyncClient) -> None:
    query = "&".join(f"name=a{number}" for number in range(5000))
    assert (await client.get(f"/fhir/Patient?{query}")).status_code == 400
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    posted = await client.post("/fhir/Patient/_search", content=query, headers=form)
    assert posted.status_code == 400 and issue(posted)


async def test_a_body_that_is_too_long_is_413(client: httpx.AsyncClient, hub: Hub) -> None:
    hub.api.max_body = 1000
    declared = await client.post("/fhir/Patient", content=b" " * 2000)

    async def drip() -> object:
        for _ in range(20):
            yield b" " * 100

    streamed = await client.post("/fhir/Patient", content=drip())
    for answer in (declared, streamed):
        assert answer.status_code == 413 and issue(answer)["code"] == "too-long"


async def test_an_unexpected_failure_tells_nothing_of_the_inside(
    client: httpx.AsyncClient, hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*args: object) -> object:
        raise RuntimeError("张三 310110194906250015")

    monkeypatch.setattr("hub.store.resources.get", broken)
    with caplog.at_level(logging.ERROR, "hub.api"):
        answer = await client.get("/fhir/Patient/p")
    assert answer.status_code == 500
    found = issue(answer)
    assert "张三" not in answer.text and "RuntimeError" not in answer.text
    reference = found["diagnostics"].rsplit(" ", 1)[1]
    assert caplog.records[0].reference == reference  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
        {"Host": "hub.example"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
    ],
)
async def test_an_open_hub_answers_this_machine_only(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for path in ("/fhir/Patient", "/admin/messages", "/metrics"):
        answer = await client.get(path, headers=headers)
        assert answer.status_code == 403, path


async def test_many_at_once(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(client.post("/fhir/Patient", json={"resourceType": "Patient"}) for _ in range(100))
    )
    assert {one.status_code for one in answers} == {201}
    assert len({one.json()["id"] for one in answers}) == 100
