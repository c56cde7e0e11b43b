"""Binary goes in and out as itself (http://hl7.org/fhir/R4/binary.html#rest)."""

from __future__ import annotations

import json

import httpx

PDF = b"%PDF-1.4 \x00\xff invented"
FHIR = {"Accept": "application/fhir+json"}


async def test_content_is_stored_and_given_back_under_its_own_type(client: httpx.AsyncClient) -> None:
    created = await client.post(
        "/fhir/Binary", content=PDF, headers={"Content-Type": "application/pdf", **FHIR}
    )
    assert created.status_code == 201
    resource = created.json()
    assert resource["contentType"] == "application/pdf"
    path = f"/fhir/Binary/{resource['id']}"
    for accept in ("*/*", "application/pdf", "application/*;q=0.5", ""):
        got = await client.get(path, headers={"Accept": accept})
        assert (got.status_code, got.headers["content-type"]) == (200, "application/pdf"), accept
        assert got.content == PDF
        assert got.headers["etag"] == 'W/"1"' and "last-modified" in got.headers
        assert got.headers["x-content-type-options"] == "nosniff"
    head = await client.head(path, headers={"Accept": "application/pdf"})
    assert head.headers["content-length"] == str(len(PDF)) and head.content == b""
    again = await client.get(path, headers={"If-None-Match": 'W/"1"'})
    assert again.status_code == 304
    assert (await client.get(f"{path}/_history/1")).content == PDF


async def test_a_fhir_format_gives_the_resource(client: httpx.AsyncClient) -> None:
    put = await client.put("/fhir/Binary/b1", content=b"text", headers={"Content-Type": "text/plain", **FHIR})
    assert put.status_code == 201
    got = await client.get("/fhir/Binary/b1", headers=FHIR)
    assert got.json()["data"] == "dGV4dA=="
    assert (await client.get("/fhir/Binary/b1?_format=json")).json()["contentType"] == "text/plain"
    xml = await client.get("/fhir/Binary/b1", headers={"Accept": "application/fhir+xml"})
    assert b'<data value="dGV4dA=="/>' in xml.content


async def test_fhir_that_is_no_binary_is_content(client: httpx.AsyncClient) -> None:
    patient = json.dumps({"resourceType": "Patient"}).encode()
    headers = {"Content-Type": "application/fhir+json", **FHIR}
    created = await client.post("/fhir/Binary", content=patient, headers=headers)
    assert created.json()["contentType"] == "application/fhir+json"
    got = await client.get(f"/fhir/Binary/{created.json()['id']}", headers={"Accept": "*/*"})
    assert got.content == patient
    resource = {"resourceType": "Binary", "contentType": "text/plain", "data": "dGV4dA=="}
    created = await client.post("/fhir/Binary", json=resource, headers=headers)
    got = await client.get(f"/fhir/Binary/{created.json()['id']}", headers={"Accept": "text/plain"})
    assert (got.content, got.headers["content-type"]) == (b"text", "text/plain")
    xml = b'<Binary xmlns="http://hl7.org/fhir"><contentType value="text/plain"/></Binary>'
    created = await client.post(
        "/fhir/Binary", content=xml, headers={"Content-Type": "application/fhir+xml", **FHIR}
    )
    assert created.json()["contentType"] == "text/plain"


async def test_the_security_context_comes_in_a_header(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "text/plain", "X-Security-Context": "Patient/p1", **FHIR}
    created = await client.post("/fhir/Binary", content=b"x", headers=headers)
    assert created.json()["securityContext"] == {"reference": "Patient/p1"}
    wrong = await client.post("/fhir/Binary", content=b"x", headers={**headers, "X-Security-Context": "<a>"})
    assert wrong.status_code == 400


async def test_what_somebody_stored_cannot_speak_for_the_hub(client: httpx.AsyncClient) -> None:
    odd = {"resourceType": "Binary", "id": "b2", "contentType": "text/html\nset-cookie: a=b", "data": "PGI+"}
    stored = await client.put("/fhir/Binary/b2", json=odd, headers={"Content-Type": "application/fhir+json"})
    if stored.status_code < 300:
        got = await client.get("/fhir/Binary/b2", headers={"Accept": "*/*"})
        assert got.headers["content-type"] == "application/octet-stream"
        assert "set-cookie" not in got.headers
    page = await client.put(
        "/fhir/Binary/b3", content=b"<script>", headers={"Content-Type": "text/html", **FHIR}
    )
    assert page.status_code == 201
    got = await client.get("/fhir/Binary/b3", headers={"Accept": "text/html"})
    assert got.headers["content-security-policy"].startswith("sandbox")


async def test_a_type_the_client_does_not_take_is_406_and_no_type_is_415(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Binary/b4", content=PDF, headers={"Content-Type": "application/pdf"})
    got = await client.get("/fhir/Binary/b4", headers={"Accept": "image/png"})
    assert got.status_code == 406 and got.json()["resourceType"] == "OperationOutcome"
    bare = await client.post("/fhir/Binary", content=b"x", headers={"Content-Type": "nothing"})
    assert bare.status_code == 415
    missing = await client.get("/fhir/Binary/none", headers={"Accept": "application/pdf"})
    assert missing.status_code == 404 and missing.json()["resourceType"] == "OperationOutcome"
