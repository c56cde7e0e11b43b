"""JSON and XML over HTTP, compressed or not, and what the headers say: http://hl7.org/fhir/R4/http.html"""
# ruff: noqa: E501 (documents)

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import httpx
import pytest
from lxml import etree

from hub.api import converting
from hub.app import Hub
from hub.r4 import xml
from tests.integration.api.conftest import issue

FHIR = "{http://hl7.org/fhir}"
FHIR_XML = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}
PATIENT = b"""<?xml version="1.0" encoding="UTF-8"?>
<Patient xmlns="http://hl7.org/fhir">
  <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p>\xe9\x99\x88 &amp; \xf0\xa0\xae\xb7</p></div></text>
  <extension url="http://hub.example/weight"><valueDecimal value="70.50"/></extension>
  <active value="true"/>
  <name><family value="\xe9\x99\x88"/><given value="a"><extension url="u"><valueCode value="q"/></extension></given></name>
  <birthDate value="1968-09"/>
</Patient>"""


def parsed(answer: httpx.Response) -> Any:
    """The root of an XML answer, read by another parser than the hub's."""
    assert answer.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    return etree.fromstring(answer.content)


def value(root: Any, path: str) -> str | None:
    """The `value` attribute at a path of FHIR elements."""
    found = root.find("/".join(FHIR + name for name in path.split("/")))
    return None if found is None else found.get("value")


async def test_a_resource_comes_and_goes_in_xml(client: httpx.AsyncClient) -> None:
    created = await client.post("/fhir/Patient", content=PATIENT, headers=FHIR_XML)
    assert created.status_code == 201, created.text
    root = parsed(created)
    id = value(root, "id")
    assert root.tag == f"{FHIR}Patient" and value(root, "meta/versionId") == "1"
    assert value(root, "extension/valueDecimal") == "70.50"
    in_json = (await client.get(f"/fhir/Patient/{id}")).json()
    assert in_json["text"]["div"] == '<div xmlns="http://www.w3.org/1999/xhtml"><p>陈 &amp; 𠮷</p></div>'
    assert in_json["name"][0]["_given"] == [{"extension": [{"url": "u", "valueCode": "q"}]}]
    changed = PATIENT.replace(b"<active", b'<id value="%b"/><active' % str(id).encode()).replace(
        b"1968-09", b"1968-10"
    )
    updated = await client.put(f"/fhir/Patient/{id}", content=changed, headers=FHIR_XML)
    assert updated.status_code == 200 and value(parsed(updated), "birthDate") == "1968-10"
    again = await client.put(f"/fhir/Patient/{id}", content=changed, headers=FHIR_XML)
    assert value(parsed(again), "meta/versionId") == "2"
    read = await client.get(f"/fhir/Patient/{id}", headers={"Accept": "text/xml"})
    assert read.content == again.content


async def test_searches_histories_and_the_statement_come_in_xml(client: httpx.AsyncClient) -> None:
    await client.post("/fhir/Patient", content=PATIENT, headers=FHIR_XML)
    for path in (
        "/fhir/Patient?family=陈&_format=xml",
        "/fhir/Patient/_history?_format=application/fhir%2Bxml",
    ):
        bundle = parsed(await client.get(path))
        assert value(bundle, "entry/resource/Patient/birthDate") == "1968-09"
        assert bundle.find(f"{FHIR}entry/{FHIR}fullUrl") is not None
    posted = await client.post(
        "/fhir/Patient/_search",
        content="family=%E9%99%88&_format=xml",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert value(parsed(posted), "entry/resource/Patient/birthDate") == "1968-09"
    statement = parsed(await client.get("/fhir/metadata", headers={"Accept": "application/fhir+xml"}))
    assert value(statement, "fhirVersion") == "4.0.1"
    formats = [one.get("value") for one in statement.findall(f"{FHIR}format")]
    assert {"application/fhir+xml", "application/fhir+json"} <= set(formats)


async def test_a_transaction_comes_in_xml(client: httpx.AsyncClient) -> None:
    bundle = """<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/>
      <entry><fullUrl value="urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"/>
        <resource><Patient><name><family value="王"/></name></Patient></resource>
        <request><method value="POST"/><url value="Patient"/></request></entry>
      <entry><resource><Basic><code><text value="x"/></code>
          <subject><reference value="urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"/></subject></Basic></resource>
        <request><method value="PUT"/><url value="Basic/b?"/></request></entry></Bundle>"""
    refused = await client.post("/fhir", content=bundle, headers=FHIR_XML)
    assert refused.status_code == 400 and parsed(refused).tag == f"{FHIR}OperationOutcome"
    good = bundle.replace("Basic/b?", "Basic/b").replace("<Basic><code>", '<Basic><id value="b"/><code>')
    answer = parsed(await client.post("/fhir", content=good, headers=FHIR_XML))
    assert [one.get("value") for one in answer.iter(f"{FHIR}status")] == ["201 Created", "201 Created"]
    reference = (await client.get("/fhir/Basic/b")).json()["subject"]["reference"]
    assert (await client.get(f"/fhir/{reference}")).json()["name"] == [{"family": "王"}]


async def test_a_fhirpath_patch_comes_in_xml(client: httpx.AsyncClient) -> None:
    created = await client.post("/fhir/Patient", content=PATIENT, headers=FHIR_XML)
    patch = """<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>
      <part><name value="type"/><valueCode value="replace"/></part>
      <part><name value="path"/><valueString value="Patient.birthDate"/></part>
      <part><name value="value"/><valueDate value="1970"/></part></parameter></Parameters>"""
    id = value(parsed(created), "id")
    answer = await client.patch(f"/fhir/Patient/{id}", content=patch, headers=FHIR_XML)
    assert answer.status_code == 200 and value(parsed(answer), "birthDate") == "1970"


async def test_errors_come_in_the_format_that_was_asked_for(client: httpx.AsyncClient) -> None:
    for method, path in (
        ("GET", "/fhir/Patient/none"),
        ("GET", "/fhir/Nonsense"),
        ("GET", "/fhir/Patient/a_b"),
        ("GET", "/fhir/Patient?nonsense=1"),
        ("TRACE", "/fhir/Patient"),
    ):
        by_header = await client.request(method, path, headers={"Accept": "application/fhir+xml"})
        both = "&" if "?" in path else "?"
        by_parameter = await client.request(method, f"{path}{both}_format=xml")
        for answer in (by_header, by_parameter):
            root = parsed(answer)
            assert answer.status_code >= 400 and root.tag == f"{FHIR}OperationOutcome", path
            assert value(root, "issue/severity") and value(root, "issue/diagnostics")


async def test_what_is_not_acceptable_is_told_in_json(client: httpx.AsyncClient) -> None:
    stored = await client.post(
        "/fhir/Patient", content=PATIENT, headers={**FHIR_XML, "Accept": "text/turtle"}
    )
    assert stored.status_code == 406 and issue(stored)["code"] == "not-supported"
    assert stored.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert (await client.get("/fhir/Patient")).json().get("entry") is None  # nothing was stored first
    unsupported = await client.post("/fhir/Patient", content=PATIENT, headers={"Content-Type": "text/turtle"})
    assert unsupported.status_code == 415 and issue(unsupported)["code"] == "not-supported"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'<Patient xmlns="http://hl7.org/fhir"><nickname value="x"/></Patient>', "Patient"),
        (b'<Patient xmlns="http://hl7.org/fhir"><gender value="x"/></Patient>', "Patient.gender"),
        (
            b'<Patient xmlns="http://hl7.org/fhir"><birthDate value="2026-13-45"/></Patient>',
            "Patient.birthDate",
        ),
        (b'<Patient xmlns="http://hl7.org/fhir">', None),
        (
            b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><Patient xmlns="http://hl7.org/fhir"/>',
            None,
        ),
        (b'{"resourceType":"Patient"}', None),
        (b"", None),
    ],
)
async def test_xml_that_is_no_resource_is_400(
    client: httpx.AsyncClient, body: bytes, place: str | None
) -> None:
    answer = await client.post(
        "/fhir/Patient", content=body, headers={"Content-Type": "application/fhir+xml"}
    )
    assert answer.status_code == 400
    assert issue(answer).get("expression") == ([place] if place else None)


async def test_pretty_answers_in_both_formats(client: httpx.AsyncClient) -> None:
    id = (await client.post("/fhir/Patient", content=PATIENT, headers={"Content-Type": "text/xml"})).json()[
        "id"
    ]
    pretty = await client.get(f"/fhir/Patient/{id}?_format=xml&_pretty=true")
    assert b"\n  <active value=" in pretty.content and parsed(pretty).tag == f"{FHIR}Patient"
    assert b'\n  "active": true' in (await client.get(f"/fhir/Patient/{id}?_pretty=true")).content
    assert b"\n" not in (await client.get(f"/fhir/Patient/{id}?_pretty=false")).content


async def test_head_says_what_get_says(client: httpx.AsyncClient) -> None:
    id = (await client.post("/fhir/Patient", content=PATIENT, headers={"Content-Type": "text/xml"})).json()[
        "id"
    ]
    for path in (f"/fhir/Patient/{id}", "/fhir/metadata", "/fhir/Patient", "/fhir/Patient/none"):
        for accept in ("application/fhir+json", "application/fhir+xml"):
            headers = {"Accept": accept, "Accept-Encoding": "gzip"}
            got, head = await client.get(path, headers=headers), await client.head(path, headers=headers)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert dict(head.headers) == dict(got.headers)


async def test_long_answers_are_compressed_for_those_who_take_it(client: httpx.AsyncClient) -> None:
    packed = await client.get("/fhir/metadata", headers={"Accept-Encoding": "gzip"})
    plain = await client.get("/fhir/metadata", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < len(plain.content) / 4
    assert packed.content == plain.content
    assert packed.headers["vary"] == "Accept, Accept-Encoding"
    created = await client.post("/fhir/Patient", json={"resourceType": "Patient"})
    short = await client.get(f"/fhir/Patient/{created.json()['id']}", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in short.headers


async def test_compressed_bodies_are_read(client: httpx.AsyncClient, hub: Hub) -> None:
    headers = {"Content-Encoding": "gzip"}
    answer = await client.post(
        "/fhir/Patient", content=gzip.compress(PATIENT), headers={**FHIR_XML, **headers}
    )
    assert answer.status_code == 201
    form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    found = await client.post(
        "/fhir/Patient/_search", content=gzip.compress(b"birthdate=1968-09"), headers=form
    )
    assert len(found.json()["entry"]) == 1
    broken = await client.post("/fhir/Patient", content=b"{}", headers=headers)
    assert broken.status_code == 400 and issue(broken)
    other = await client.post("/fhir/Patient", content=b"{}", headers={"Content-Encoding": "br"})
    assert other.status_code == 415 and other.headers["accept-encoding"] == "gzip"
    hub.api.max_body = 10_000
    bomb = await client.post("/fhir/Patient", content=gzip.compress(b" " * 10_000_000), headers=headers)
    assert bomb.status_code == 413 and issue(bomb)["code"] == "too-long"


async def test_long_xml_is_converted_elsewhere(client: httpx.AsyncClient) -> None:
    notes = [{"resourceType": "Basic", "code": {"text": "x" * 1000}} for _ in range(400)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in notes]}
    document = xml.write(json.dumps(bundle).encode())
    assert len(document) > converting.LONG
    post = client.post("/fhir/Bundle", content=document, headers={"Content-Type": "application/fhir+xml"})
    answer, quick = await asyncio.gather(post, client.get("/fhir/metadata"))
    assert (answer.status_code, quick.status_code) == (201, 200)
    read = await client.get(f"/fhir/Bundle/{answer.json()['id']}?_format=xml")
    assert len(parsed(read).findall(f"{FHIR}entry")) == 400
    broken = await client.post(
        "/fhir/Bundle",
        content=document.replace(b"</entry>", b"<x/></entry>", 1),
        headers={"Content-Type": "application/fhir+xml"},
    )
    assert broken.status_code == 400 and issue(broken)["expression"] == ["Bundle.entry[0]"]


async def test_a_request_id_comes_back(client: httpx.AsyncClient) -> None:
    for path in ("/fhir/metadata", "/fhir/Patient/none", "/fhir/nothing/at/all/here/x"):
        assert (await client.get(path, headers={"X-Request-Id": "r-17"})).headers["x-request-id"] == "r-17"
    assert "x-request-id" not in (await client.get("/fhir/metadata", headers={"X-Request-Id": "a b"})).headers
    assert "x-request-id" not in (await client.get("/fhir/metadata")).headers


async def test_conditional_reads_take_lists_and_foreign_tags(client: httpx.AsyncClient) -> None:
    id = (await client.post("/fhir/Patient", json={"resourceType": "Patient"})).json()["id"]
    await client.put(f"/fhir/Patient/{id}", json={"resourceType": "Patient", "id": id, "active": True})
    modified = (await client.get(f"/fhir/Patient/{id}")).headers["last-modified"]

    async def status(headers: dict[str, str], path: str = "") -> int:
        answer = await client.get(f"/fhir/Patient/{id}{path}", headers=headers)
        if answer.status_code == 304:
            assert answer.content == b"" and "content-type" not in answer.headers
            assert answer.headers["etag"] and answer.headers["last-modified"]
        return answer.status_code

    assert await status({"If-None-Match": 'W/"1", W/"2"'}) == 304
    assert await status({"If-None-Match": '"2"'}) == 304
    assert await status({"If-None-Match": "*"}) == 304
    assert await status({"If-None-Match": 'W/"1"'}) == 200
    assert await status({"If-None-Match": 'W/"a", "b"', "If-Modified-Since": modified}) == 200
    assert await status({"If-None-Match": "abc"}) == 400
    assert await status({"If-Modified-Since": modified}) == 304
    assert await status({"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}) == 200
    assert await status({"If-Modified-Since": "yesterday"}) == 200
    assert await status({"If-None-Match": 'W/"1"'}, "/_history/1") == 304
    assert await status({"If-None-Match": 'W/"2"'}, "/_history/1") == 200


async def test_if_match_takes_any_version_and_no_list(client: httpx.AsyncClient) -> None:
    id = (await client.post("/fhir/Patient", json={"resourceType": "Patient"})).json()["id"]
    body = {"resourceType": "Patient", "id": id, "active": True}

    async def put(tag: str, name: str = id) -> int:
        answer = await client.put(
            f"/fhir/Patient/{name}", json={**body, "id": name}, headers={"If-Match": tag}
        )
        return answer.status_code

    assert await put("*") == 200
    assert await put("*", "not-there") == 412
    assert await put('W/"foreign"') == 412
    assert await put('W/"1", W/"2"') == 400
    assert await put("abc") == 400
    patch = [{"op": "replace", "path": "/active", "value": False}]
    patched = await client.patch(
        f"/fhir/Patient/{id}",
        json=patch,
        headers={"If-Match": "*", "Content-Type": "application/json-patch+json"},
    )
    assert patched.status_code == 200
    assert (await client.delete(f"/fhir/Patient/{id}", headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await client.delete(f"/fhir/Patient/{id}", headers={"If-Match": "*"})).status_code == 204
    assert (await client.delete(f"/fhir/Patient/{id}", headers={"If-Match": "*"})).status_code == 412
    assert await put("*") == 412


async def test_options_and_refused_methods_name_what_is_allowed(client: httpx.AsyncClient) -> None:
    for path, expected in (
        ("/fhir", "GET, HEAD, OPTIONS, POST"),
        ("/fhir/", "GET, HEAD, OPTIONS, POST"),
        ("/fhir/metadata", "GET, HEAD, OPTIONS"),
        ("/fhir/Patient/1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
    ):
        options = await client.options(path, headers={"Accept": "text/turtle"})
        assert (options.status_code, options.headers["allow"]) == (204, expected)
        refused = await client.request("TRACE", path)
        assert (refused.status_code, refused.headers["allow"]) == (405, expected)
        assert issue(refused)["code"] == "not-supported"
    assert (await client.options("/fhir/Nonsense")).status_code == 404
