"""Every Bundle that goes out keeps the rules of http://hl7.org/fhir/R4/bundle.html (bdl-1 to bdl-12)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import BASE, issue
from tests.integration.api.invariants import broken, sound

SYSTEM = "urn:oid:2.16.156.10011.1.3"
URN = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb"
NOBODY = {"resourceType": "Patient", "active": True}
LENIENT = {"Prefer": "handling=lenient"}
PREFERENCES = ("return=minimal", "return=representation", "return=OperationOutcome")


def patient(value: str = "1", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], **more}


def condition(subject: str) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": subject}, "code": {"text": "x"}}


def entry(method: str, url: str, resource: Any = None, full_url: str = "", **request: str) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    return made | ({"resource": resource} if resource else {}) | ({"fullUrl": full_url} if full_url else {})


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


async def filled(client: httpx.AsyncClient) -> None:
    """Two Patients, one changed, deleted and brought back; a Condition of the other."""
    await client.put("/fhir/Patient/p", json=patient("1", id="p"))
    await client.put("/fhir/Condition/c", json={**condition("Patient/p"), "id": "c"})
    for active in (True, False):
        await client.put("/fhir/Patient/q", json=patient("2", id="q", active=active))
    await client.delete("/fhir/Patient/q")
    await client.put("/fhir/Patient/q", json=patient("2", id="q"))


def test_the_check_finds_what_is_wrong() -> None:
    twice = b'{"fullUrl":"urn:uuid:7b5a5f3e-6d3c-4f0e-9f05-0f8e9f4f2a10","response":{"status":"200"}}'
    text = b'{"resourceType":"Bundle","type":"searchset","entry":[%b,%b]}' % (twice, twice)
    assert {one.rpartition(" ")[2] for one in broken(text)} == {"bdl-4", "bdl-7"}


async def test_results_and_histories_keep_the_rules(client: httpx.AsyncClient) -> None:
    await filled(client)
    for path in (
        "Patient",
        "Patient?_count=1",
        "Patient?_count=0",
        "Patient?_id=none",
        "Patient?foo=1",
        "Patient?_summary=text",
        "Condition?_include=*&_elements=subject",
        "Patient?_revinclude=Condition:subject",
        "?_type=Patient,Condition",
        "Patient/p/*",
        "Patient/p/$everything",
        "Patient/$everything",
        "_history",
        "Patient/_history?_count=2",
        "Patient/q/_history",
        "Patient/q/_history?_summary=true",
    ):
        answer = await sound(client, "GET", f"/fhir/{path}", headers=LENIENT)
        found = answer.json()
        assert answer.status_code == 200 and found["type"] == ("history" if "_hist" in path else "searchset")
        assert [one["url"] for one in found["link"] if one["relation"] == "self"], path
        assert all(one["url"].startswith(f"{BASE}/") for one in found["link"]), path
        for one in found.get("entry", []):
            resource = one.get("resource")
            if found["type"] == "searchset":
                assert one["search"]["mode"] in ("match", "include", "outcome"), path
            if resource and resource["resourceType"] != "OperationOutcome":
                assert one["fullUrl"] == f"{BASE}/{resource['resourceType']}/{resource['id']}", path
            else:
                assert one["fullUrl"].startswith(("urn:uuid:", f"{BASE}/Patient/q")), path
    unknown = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": NOBODY}]}
    told = (await sound(client, "POST", "/fhir/Patient/$match", json=unknown)).json()["entry"][-1]
    assert told["search"]["mode"] == "outcome" and told["fullUrl"].startswith("urn:uuid:")


async def test_a_search_outcome_has_a_urn_of_its_own(client: httpx.AsyncClient) -> None:
    pages = [(await client.get("/fhir/Patient?foo=1", headers=LENIENT)).json() for _ in range(2)]
    told = [page["entry"][-1] for page in pages]
    assert all(one["search"] == {"mode": "outcome"} for one in told)
    assert all(one["fullUrl"].startswith("urn:uuid:") for one in told)
    assert told[0]["fullUrl"] != told[1]["fullUrl"]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize("prefer", PREFERENCES)
async def test_responses_keep_the_rules(client: httpx.AsyncClient, kind: str, prefer: str) -> None:
    await filled(client)
    wanted = bundle(
        kind,
        entry("POST", "Patient", patient("3"), f"{URN}1"),
        entry("POST", "Condition", condition("Patient/p"), f"{URN}2"),
        entry("PUT", "Patient/p", patient("1", id="p", active=True)),
        entry("PUT", "Patient?identifier=4", patient("4")),
        entry("DELETE", "Patient/q"),
        entry("DELETE", "Patient/never"),
        entry("GET", "Patient/p"),
        entry("HEAD", "Patient/p"),
        entry("GET", "Patient/p/_history/1"),
        entry("GET", "Patient/p/_history"),
        entry("GET", "Patient?identifier=3"),
        entry("POST", "Patient/_search?identifier=3"),
    )
    answer = await sound(client, "POST", "/fhir", json=wanted, headers={"Prefer": prefer})
    found = answer.json()
    assert (answer.status_code, found["type"]) == (200, f"{kind}-response"), answer.text
    shown = found["entry"]
    deleted = ["200" if prefer == "return=OperationOutcome" else "204"] * 2
    statuses = ["201", "201", "200", "201", *deleted, *["200"] * 6]
    assert [one["response"]["status"][:3] for one in shown] == statuses
    for one in shown[:4]:
        version = one["response"]["etag"].removeprefix('W/"').rstrip('"')
        assert one["response"]["location"] == f"{one['fullUrl']}/_history/{version}"
        assert one["response"]["lastModified"]
        assert ("resource" in one) == (prefer == "return=representation")
        assert ("outcome" in one["response"]) == (prefer == "return=OperationOutcome")
    assert shown[6]["resource"]["meta"]["versionId"] == "2"
    assert "resource" not in shown[7]
    assert (shown[8]["fullUrl"], shown[8]["resource"]["meta"]["versionId"]) == (f"{BASE}/Patient/p", "1")


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize("prefer", PREFERENCES)
async def test_no_full_url_stands_twice_for_one_version(
    client: httpx.AsyncClient, kind: str, prefer: str
) -> None:
    await filled(client)
    criteria = f"identifier={SYSTEM}|1"
    wanted = bundle(
        kind,
        entry("POST", "Patient", patient("1"), ifNoneExist=criteria),
        entry("POST", "Patient", patient("1"), ifNoneExist=criteria),
        entry("GET", "Patient/p"),
        entry("GET", "Patient/p"),
    )
    answer = await sound(client, "POST", "/fhir", json=wanted, headers={"Prefer": prefer})
    shown = answer.json()["entry"]
    assert [one["response"]["status"] for one in shown] == ["200 OK"] * 4
    assert {one["response"]["location"] for one in shown[:2]} == {f"{BASE}/Patient/p/_history/1"}
    assert shown[0]["fullUrl"] == f"{BASE}/Patient/p" and "fullUrl" not in shown[1]


async def test_a_failed_entry_of_a_batch_says_why_and_the_rest_goes_on(client: httpx.AsyncClient) -> None:
    wanted = bundle(
        "batch",
        entry("GET", "Patient/none"),
        entry("POST", "Patient", patient(foo=1)),
        {"resource": patient()},
        entry("FETCH", "Patient"),
        entry("GET", "Foo/1"),
        entry("GET", "http://elsewhere.example/fhir/Patient/1"),
        entry("POST", "Condition", condition(f"{URN}1")),
        entry("POST", "Patient", patient()),
    )
    shown = (await sound(client, "POST", "/fhir", json=wanted)).json()["entry"]
    assert [one["response"]["status"][:3] for one in shown] == ["404"] + ["400"] * 6 + ["201"]
    for position, one in enumerate(shown[:-1]):
        said = one["response"]["outcome"]["issue"][0]
        assert said["expression"][0].startswith(f"Bundle.entry[{position}]") and said["diagnostics"]
        assert set(one) == {"response"}


async def test_a_member_that_a_bundle_does_not_have_is_refused(client: httpx.AsyncClient) -> None:
    good = entry("POST", "Patient", patient())
    misspelt = {**good, "request": {**good["request"], "ifNoneExists": "identifier=1"}}
    for wrong, place in (
        (bundle("transaction", misspelt), "Bundle.entry[0].request"),
        (bundle("transaction", {**good, "fullURL": f"{URN}1"}), "Bundle.entry[0]"),
        ({"resourceType": "Bundle", "type": "batch", "entries": [good]}, "Bundle"),
    ):
        answer = await client.post("/fhir", json=wrong)
        assert answer.status_code == 400 and issue(answer)["expression"] == [place], answer.text
    assert (await client.get("/fhir/Patient")).json()["total"] == 0
    extended = {**good, "id": "e1", "extension": [{"url": "http://example.org/x", "valueString": "y"}]}
    whole = {
        **bundle("transaction", extended),
        "id": "b",
        "timestamp": "2026-02-01T09:30:00Z",
        "_type": {"id": "t"},
    }
    assert (await client.post("/fhir", json=whole)).status_code == 200
