"""$meta, $meta-add, $meta-delete: http://hl7.org/fhir/R4/resource-operation-meta.html"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.integration.api.conftest import issue

TAG = {"system": "https://example.org/tags", "code": "record-lost", "display": "lost"}
SECRET = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
PROFILE = "https://example.org/StructureDefinition/patient"
BODY = (
    '{"resourceType":"Observation","id":"o","meta":{"source":"urn:a"},"status":"final",'
    '"code":{"text":"a"},"valueQuantity":{"value":105.00}}'
)


def asked(**meta: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}


def returned(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    parameter = answer.json()["parameter"]
    assert [one["name"] for one in parameter] == ["return"]
    found: dict[str, Any] = parameter[0]["valueMeta"]
    return found


async def test_labels_are_added_once_and_make_a_version(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Observation/o", content=BODY)
    path = "/fhir/Observation/o/$meta-add"
    given = asked(tag=[TAG, TAG], security=[SECRET], profile=[PROFILE])
    meta = returned(await client.post(path, json=given))
    assert meta["tag"] == [TAG] and meta["security"] == [SECRET] and meta["profile"] == [PROFILE]
    assert meta["source"] == "urn:a" and meta["versionId"] == "2"
    again = await client.post(path, json=asked(tag=[TAG | {"version": "2", "display": "gone"}]))
    assert returned(again)["tag"] == [TAG]
    assert again.headers["etag"] == 'W/"2"'
    stored = await client.get("/fhir/Observation/o")
    assert '"value":105.00' in stored.text
    assert stored.json()["meta"] == meta
    assert returned(await client.get("/fhir/Observation/o/$meta")) == meta
    found = await client.get("/fhir/Observation", params={"_tag": f"{TAG['system']}|{TAG['code']}"})
    assert len(found.json()["entry"]) == 1


async def test_labels_are_deleted_by_system_and_code(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Observation/o", content=BODY)
    other = TAG | {"system": "https://example.org/others"}
    await client.post("/fhir/Observation/o/$meta-add", json=asked(tag=[TAG, other], profile=[PROFILE]))
    path = "/fhir/Observation/o/$meta-delete"
    meta = returned(await client.post(path, json=asked(tag=[{"system": TAG["system"], "code": TAG["code"]}])))
    assert meta["tag"] == [other] and meta["profile"] == [PROFILE] and meta["versionId"] == "3"
    meta = returned(await client.post(path, json=asked(tag=[TAG], profile=["https://example.org/none"])))
    assert meta["versionId"] == "3", "what is not there is no error and no change"
    meta = returned(await client.post(path, json=asked(tag=[other], profile=[PROFILE])))
    assert "tag" not in meta and "profile" not in meta and meta["source"] == "urn:a"


async def test_a_version_has_its_own_meta(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Observation/o", content=BODY)
    await client.post("/fhir/Observation/o/$meta-add", json=asked(tag=[TAG]))
    first = returned(await client.get("/fhir/Observation/o/_history/1/$meta"))
    assert first["versionId"] == "1" and "tag" not in first
    assert returned(await client.get("/fhir/Observation/o/_history/2/$meta"))["tag"] == [TAG]
    assert (await client.get("/fhir/Observation/o/_history/3/$meta")).status_code == 404


async def test_a_type_and_the_system_tell_the_labels_in_use(client: httpx.AsyncClient) -> None:
    assert (await client.get("/fhir/Observation/$meta")).json() == {"resourceType": "Parameters"}
    await client.put("/fhir/Observation/o", content=BODY)
    await client.put("/fhir/Observation/o2", content=BODY.replace('"o"', '"o2"'))
    for id in ("o", "o2"):
        await client.post(f"/fhir/Observation/{id}/$meta-add", json=asked(tag=[TAG]))
    await client.put(
        "/fhir/Patient/p", json={"resourceType": "Patient", "id": "p", "meta": {"security": [SECRET]}}
    )
    assert returned(await client.get("/fhir/Observation/$meta")) == {"tag": [TAG]}
    assert returned(await client.get("/fhir/$meta")) == {"tag": [TAG], "security": [SECRET]}
    await client.delete("/fhir/Patient/p")
    assert returned(await client.get("/fhir/$meta")) == {"tag": [TAG]}


async def test_what_cannot_be_labelled_is_told(client: httpx.AsyncClient) -> None:
    path = "/fhir/Observation/none/$meta-add"
    assert (await client.post(path, json=asked(tag=[TAG]))).status_code == 404
    await client.put("/fhir/Observation/o", content=BODY)
    path = "/fhir/Observation/o/$meta-add"
    assert (await client.get(path)).status_code == 405
    for bad in (
        {"resourceType": "Parameters"},
        asked(tag="x"),
        asked(colour="red"),
        {"resourceType": "Basic"},
    ):
        answer = await client.post(path, json=bad)
        assert answer.status_code == 400 and issue(answer), bad
    stale = await client.post(path, json=asked(tag=[TAG]), headers={"If-Match": 'W/"7"'})
    assert stale.status_code == 412
    await client.delete("/fhir/Observation/o")
    assert (await client.post(path, json=asked(tag=[TAG]))).status_code == 410


async def test_labels_added_at_once_are_all_there(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Observation/o", content=BODY)
    given = [asked(tag=[{"code": f"t{number}"}]) for number in range(6)]
    answers = await asyncio.gather(*(client.post("/fhir/Observation/o/$meta-add", json=one) for one in given))
    assert [one.status_code for one in answers] == [200] * 6
    meta = returned(await client.get("/fhir/Observation/o/$meta"))
    assert {one["code"] for one in meta["tag"]} == {f"t{number}" for number in range(6)}
    assert meta["versionId"] == "7"
