"""PATCH, reads and operations as entries of a batch or transaction,
http://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import BASE, issue
from tests.integration.api.test_bundles import SYSTEM, URN, condition, entry, patient, send


def binary(*operations: dict[str, Any], media: str = "application/json-patch+json") -> dict[str, Any]:
    data = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"resourceType": "Binary", "contentType": media, "data": data}


def parameters(**parts: Any) -> dict[str, Any]:
    made = [
        {"name": name, **value} if name == "value" else {"name": name, "valueString": value}
        for name, value in parts.items()
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": made}]}


ACTIVE = {"op": "add", "path": "/active", "value": True}


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_both_kinds_of_patch_are_entries(client: httpx.AsyncClient, kind: str) -> None:
    for id in "ab":
        await client.put(f"/fhir/Patient/{id}", json=patient(id, id=id))
    fhirpath = parameters(type="add", path="Patient", name="gender", value={"valueCode": "female"})
    answer = await send(
        client,
        entry("PATCH", "Patient/a", binary(ACTIVE)),
        entry("PATCH", "Patient/b", fhirpath),
        type=kind,
        Prefer="return=representation",
    )
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["entry"]
    assert [one["response"]["status"] for one in (first, second)] == ["200 OK", "200 OK"]
    assert [one["response"]["etag"] for one in (first, second)] == ['W/"2"', 'W/"2"']
    assert first["response"]["location"] == f"{BASE}/Patient/a/_history/2"
    assert first["resource"]["active"] is True
    assert second["resource"]["gender"] == "female"


async def test_a_patch_leads_to_what_the_transaction_creates(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Condition/c", json=condition("Patient/old", id="c"))
    change = {"op": "replace", "path": "/subject/reference", "value": f"{URN}1"}
    by_path = parameters(
        type="add", path="Condition", name="recorder", value={"valueReference": {"reference": f"{URN}2"}}
    )
    await client.put("/fhir/Condition/d", json=condition("Patient/old", id="d"))
    answer = await send(
        client,
        entry("PATCH", "Condition/c", binary(change)),
        entry("POST", "Patient", patient(), f"{URN}1"),
        entry("PATCH", "Condition/d", by_path),
        entry("POST", "Practitioner", {"resourceType": "Practitioner"}, f"{URN}2"),
        Prefer="return=representation",
    )
    assert answer.status_code == 200, answer.text
    changed, who, other, doctor = (one["resource"] for one in answer.json()["entry"])
    assert changed["subject"]["reference"] == f"Patient/{who['id']}"
    assert other["recorder"]["reference"] == f"Practitioner/{doctor['id']}"


async def test_a_conditional_patch_needs_its_one_match(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/a", json=patient("1", id="a"))
    found = await send(client, entry("PATCH", f"Patient?identifier={SYSTEM}|1", binary(ACTIVE)))
    assert found.status_code == 200
    assert (await client.get("/fhir/Patient/a")).json()["active"] is True
    missing = await send(
        client,
        entry("POST", "Patient", patient("3")),
        entry("PATCH", f"Patient?identifier={SYSTEM}|2", binary(ACTIVE)),
    )
    assert (missing.status_code, issue(missing)["expression"]) == (404, ["Bundle.entry[1]"])
    assert (await client.get(f"/fhir/Patient?identifier={SYSTEM}|3&_total=accurate")).json()["total"] == 0


async def test_a_patch_and_an_update_of_one_resource_overlap(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/a", json=patient("1", id="a"))
    for url in ("Patient/a", f"Patient?identifier={SYSTEM}|1"):
        answer = await send(
            client, entry("PUT", "Patient/a", patient("1", id="a")), entry("PATCH", url, binary(ACTIVE))
        )
        assert (answer.status_code, issue(answer)["code"]) == (400, "duplicate")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (entry("PATCH", "Patient/a", binary({"op": "test", "path": "/active", "value": True})), 422),
        (entry("PATCH", "Patient/a", binary({"op": "remove"})), 400),
        (entry("PATCH", "Patient/a", binary(ACTIVE, media="text/plain")), 400),
        (entry("PATCH", "Patient/a", {"resourceType": "Patient", "id": "a"}), 400),
        (entry("PATCH", "Patient/a"), 400),
        (entry("PATCH", "Patient/none", binary(ACTIVE)), 404),
        (entry("PATCH", "Patient/a", binary(ACTIVE), ifMatch='W/"9"'), 412),
    ],
)
async def test_a_patch_that_fails_undoes_the_transaction(
    client: httpx.AsyncClient, request_: dict[str, Any], status: int
) -> None:
    await client.put("/fhir/Patient/a", json=patient("1", id="a"))
    answer = await send(client, entry("POST", "Patient", patient("2")), request_)
    assert answer.status_code == status, answer.text
    assert issue(answer)["expression"][0].startswith("Bundle.entry[1]")
    assert (await client.get("/fhir/Patient?_total=accurate")).json()["total"] == 1
    alone = await send(client, entry("POST", "Patient", patient("2")), request_, type="batch")
    assert [one["response"]["status"][:3] for one in alone.json()["entry"]] == ["201", str(status)]


async def test_reads_and_searches_see_what_the_transaction_wrote(client: httpx.AsyncClient) -> None:
    answer = await send(
        client,
        entry("GET", "Patient/a"),
        entry("POST", f"Patient/_search?identifier={SYSTEM}|1"),
        entry("HEAD", "Patient/a"),
        entry("GET", "Patient/a", ifNoneMatch='W/"1"'),
        entry("GET", "Patient/a", ifModifiedSince="2100-01-01T00:00:00Z"),
        entry("PUT", "Patient/a", patient("1", id="a")),
        entry("GET", "Patient/a/_history"),
        entry("GET", "Patient/a/_history/1"),
    )
    assert answer.status_code == 200, answer.text
    replies = answer.json()["entry"]
    assert [one["response"]["status"][:3] for one in replies] == [
        "200", "200", "200", "304", "304", "201", "200", "200",
    ]  # fmt: skip
    assert replies[0]["resource"]["id"] == "a"
    assert [one["resource"]["id"] for one in replies[1]["resource"]["entry"]] == ["a"]
    assert "resource" not in replies[2] and "resource" not in replies[3]
    assert replies[6]["resource"]["type"] == "history"


async def test_an_operation_that_reads_is_part_of_a_transaction(client: httpx.AsyncClient) -> None:
    answer = await send(
        client,
        entry("POST", "Patient/$validate", {"resourceType": "Patient", "gender": "neither"}),
        entry("PUT", "Patient/a", patient("1", id="a", meta={"tag": [{"system": "urn:t", "code": "x"}]})),
        entry("GET", "Patient/a/$meta"),
    )
    assert answer.status_code == 200, answer.text
    judged, _, meta = (one.get("resource") for one in answer.json()["entry"])
    assert judged["resourceType"] == "OperationOutcome" and judged["issue"][0]["severity"] == "error"
    assert meta["parameter"][0]["valueMeta"]["tag"] == [{"system": "urn:t", "code": "x"}]


async def test_an_operation_that_writes_is_refused_in_a_transaction_and_fine_in_a_batch(
    client: httpx.AsyncClient,
) -> None:
    await client.put("/fhir/Patient/a", json=patient("1", id="a"))
    given = {
        "resourceType": "Parameters",
        "parameter": [{"name": "meta", "valueMeta": {"tag": [{"system": "urn:t", "code": "x"}]}}],
    }
    asked = entry("POST", "Patient/a/$meta-add", given)
    refused = await send(client, asked)
    assert (refused.status_code, issue(refused)["code"]) == (400, "not-supported")
    assert (await send(client, asked, type="batch")).json()["entry"][0]["response"]["status"] == "200 OK"


async def test_a_bundle_within_a_bundle_is_refused(client: httpx.AsyncClient) -> None:
    inner = {"resourceType": "Bundle", "type": "batch", "entry": []}
    for url in ("", "/", BASE):
        answer = await send(client, entry("POST", url, inner))
        assert answer.status_code == 400
        assert issue(answer)["expression"] == ["Bundle.entry[0].request.url"]
        alone = await send(client, entry("POST", url, inner), type="batch")
        assert alone.json()["entry"][0]["response"]["status"] == "400 Bad Request"


async def test_document_bundles_are_stored_as_they_are(client: httpx.AsyncClient) -> None:
    document = {
        "resourceType": "Bundle", "type": "collection",
        "entry": [
            {"fullUrl": f"{URN}1", "resource": patient("1", id="x")},
            {"fullUrl": f"{URN}2", "resource": condition(f"{URN}1")},
            {"fullUrl": f"{BASE}/Patient/y", "resource": patient("2", id="y")},
            {"fullUrl": f"{BASE}/Condition/z", "resource": condition(f"{BASE}/Patient/y", id="z")},
        ],
    }  # fmt: skip
    stored = await client.post("/fhir/Bundle", json=document)
    assert stored.status_code == 201, stored.text
    assert stored.json()["entry"] == document["entry"]
    together = await send(
        client,
        entry("POST", "Bundle", document),
        entry("POST", "Patient", patient("3"), f"{URN}1"),
        Prefer="return=representation",
    )
    assert together.status_code == 200, together.text
    assert together.json()["entry"][0]["resource"]["entry"] == document["entry"]


async def test_keys_written_with_escapes_are_links_too(client: httpx.AsyncClient) -> None:
    content = (
        '{"resourceType":"Bundle","type":"transaction","entry":['
        '{"fullUrl":"urn:uuid:1","request":{"method":"POST","url":"Patient"},"resource":{"resourceType":"Patient"}},'
        '{"request":{"method":"POST","url":"Condition"},"resource":{"resourceType":"Condition",'
        '"subject":{"re\\u0066erence":"urn:uuid:1"}}}]}'
    )
    answer = await client.post("/fhir", content=content, headers={"Prefer": "return=representation"})
    assert answer.status_code == 200, answer.text
    who, what = (one["resource"] for one in answer.json()["entry"])
    assert what["subject"]["reference"] == f"Patient/{who['id']}"
    alone = b'{"resourceType":"Condition","subject":{"re\\u0066erence":"urn:uuid:1"}}'
    assert (await client.post("/fhir/Condition", content=alone)).status_code == 400
