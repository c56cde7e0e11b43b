"""The rules of a transaction, one by one: http://hl7.org/fhir/R4/http.html#trules"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import BASE, issue
from tests.integration.api.test_bundles import SYSTEM, URN, condition, entry, patient, send

OID = "urn:oid:1.2.3.4.5"
XHTML = "http://www.w3.org/1999/xhtml"


async def count(client: httpx.AsyncClient, type_name: str = "Patient") -> int:
    total: int = (await client.get(f"/fhir/{type_name}?_summary=count")).json()["total"]
    return total


async def test_answers_come_in_the_order_of_the_entries_whatever_takes_effect_first(
    client: httpx.AsyncClient,
) -> None:
    await client.put("/fhir/Patient/old", json=patient("1", id="old"))
    answer = await send(
        client,
        entry("GET", f"Patient?identifier={SYSTEM}|1"),
        entry("PUT", "Patient/b", patient("1", id="b")),
        entry("POST", "Patient", patient("1")),
        entry("DELETE", "Patient/old"),
    )
    assert answer.status_code == 200, answer.text
    found, put, posted, deleted = answer.json()["entry"]
    assert [one["response"]["status"] for one in (found, put, posted, deleted)] == [
        "200 OK", "201 Created", "201 Created", "204 No Content",
    ]  # fmt: skip
    ids = {one["resource"]["id"] for one in found["resource"]["entry"]}
    assert len(ids) == 2 and "b" in ids and "old" not in ids
    assert put["response"]["location"] == f"{BASE}/Patient/b/_history/1"
    assert posted["response"]["location"].startswith(f"{BASE}/Patient/")
    for one in (put, posted):
        assert one["response"]["etag"] == 'W/"1"' and one["response"]["lastModified"]
        assert "resource" not in one
    assert (deleted["response"]["etag"], "location" in deleted["response"]) == ('W/"2"', False)


@pytest.mark.parametrize(
    ("returns", "members"),
    [("minimal", set()), ("representation", {"resource"}), ("OperationOutcome", {"outcome"})],
)
async def test_each_entry_answers_as_prefer_asks(
    client: httpx.AsyncClient, returns: str, members: set[str]
) -> None:
    answer = await send(client, entry("POST", "Patient", patient()), Prefer=f"return={returns}")
    only = answer.json()["entry"][0]
    found = {"resource"} & only.keys() | {"outcome"} & only["response"].keys()
    assert found == members


async def test_links_by_oid_and_absolute_full_url_become_real(client: httpx.AsyncClient) -> None:
    outside = "http://elsewhere.example.org/fhir/Practitioner/7"
    observation = {
        "resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "subject": {"reference": OID},
        "performer": [{"reference": outside}, {"reference": f"{outside}/_history/3"},
                      {"reference": "Practitioner/7"}],
        "contained": [{"resourceType": "Specimen", "id": "s", "subject": {"reference": OID}}],
        "specimen": {"reference": "#s"},
        "text": {"status": "generated", "div": f'<div xmlns="{XHTML}"><a href="{OID}">x</a></div>'},
    }  # fmt: skip
    document = {
        "resourceType": "DocumentReference", "status": "current", "subject": {"reference": OID},
        "content": [{"attachment": {"url": f"{URN}9"}}],
    }  # fmt: skip
    plan = {
        "resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": {"reference": OID},
        "instantiatesUri": [f"{URN}9", "http://a.org/p"], "instantiatesCanonical": [f"{URN}9"],
    }  # fmt: skip
    answer = await send(
        client,
        entry("POST", "Observation", observation, "http://elsewhere.example.org/fhir/Observation/1"),
        entry("POST", "Patient", patient(), OID),
        entry("POST", "Practitioner", {"resourceType": "Practitioner"}, outside),
        entry("POST", "DocumentReference", document),
        entry(
            "POST",
            "Binary",
            {"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="},
            f"{URN}9",
        ),
        entry("POST", "CarePlan", plan),
        Prefer="return=representation",
    )
    assert answer.status_code == 200, answer.text
    made, who, doctor, paper, binary, care = (one["resource"] for one in answer.json()["entry"])
    name, doctor_name = f"Patient/{who['id']}", f"Practitioner/{doctor['id']}"
    assert made["subject"]["reference"] == name
    assert [one["reference"] for one in made["performer"]] == [doctor_name] * 3
    assert made["contained"][0]["subject"]["reference"] == name
    assert f'href="{name}"' in made["text"]["div"]
    assert paper["content"][0]["attachment"]["url"] == f"Binary/{binary['id']}"
    assert care["instantiatesUri"] == [f"Binary/{binary['id']}", "http://a.org/p"]
    assert care["instantiatesCanonical"] == [f"{URN}9"]


async def test_identifiers_that_look_like_links_stay(client: httpx.AsyncClient) -> None:
    who = {"resourceType": "Patient", "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"{URN}1"}]}
    answer = await send(client, entry("POST", "Patient", who, f"{URN}1"), Prefer="return=representation")
    assert answer.json()["entry"][0]["resource"]["identifier"] == who["identifier"]


async def test_conditional_updates_that_meet_one_resource_overlap(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/a", json=patient("1", id="a"))
    url = f"Patient?identifier={SYSTEM}|1"
    for pair in (
        (entry("PUT", url, patient("1")), entry("PUT", "Patient/a", patient("1", id="a"))),
        (entry("DELETE", url), entry("PUT", "Patient/a", patient("1", id="a"))),
        (entry("DELETE", url), entry("DELETE", "Patient/a")),
    ):
        answer = await send(client, *pair)
        assert (answer.status_code, issue(answer)["code"]) == (400, "duplicate"), pair
    assert (await client.get("/fhir/Patient/a")).headers["etag"] == 'W/"1"'


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (entry("PUT", "Patient/a", patient("2", id="a"), ifMatch='W/"9"'), 412),
        (entry("PUT", "Patient/new", patient("2", id="new"), ifMatch='W/"1"'), 412),
        (entry("PUT", "Patient/a", patient("2", id="a"), ifNoneMatch="*"), 412),
        (entry("DELETE", "Patient/a", ifMatch='W/"9"'), 412),
        (entry("DELETE", f"Patient?identifier={SYSTEM}|many"), 412),
        (entry("PUT", f"Patient?identifier={SYSTEM}|many", patient("many")), 412),
        (entry("POST", "Patient", patient("many"), ifNoneExist=f"identifier={SYSTEM}|many"), 412),
        (entry("POST", "Condition", condition(f"Patient?identifier={SYSTEM}|many")), 412),
        (entry("POST", "Condition", condition(f"Patient?identifier={SYSTEM}|nobody")), 412),
        (entry("POST", "Condition", condition("urn:uuid:00000000-0000-4000-8000-000000000000")), 400),
        (entry("POST", "Patient", patient("2"), ifNoneExist="nonsense=1"), 400),
        (entry("POST", "Patient", {"resourceType": "Patient", "gender": "x"}), 400),
        (entry("GET", "Patient/nobody"), 404),
        (entry("GET", "Patient?nonsense=1"), 400),
        (entry("GET", "Patient/a", ifModifiedSince="yesterday"), 400),
        (entry("PUT", "Patient/not_an_id", patient("2", id="not_an_id")), 400),
        (entry("post", "Patient", patient("2")), 400),
        (entry("POST", "Patient/a", patient("2")), 400),
        (entry("POST", "Patient/$nonsense", patient("2")), 400),
    ],
)  # fmt: skip
async def test_one_failing_entry_undoes_everything_and_is_named(
    client: httpx.AsyncClient, asked: dict[str, Any], status: int
) -> None:
    await client.put("/fhir/Patient/a", json=patient("1", id="a"))
    for _ in range(2):
        await client.post("/fhir/Patient", json=patient("many"))
    answer = await send(
        client, entry("POST", "Basic", {"resourceType": "Basic", "code": {"text": "x"}}), asked
    )
    assert answer.status_code == status, answer.text
    assert issue(answer)["expression"][0].startswith("Bundle.entry[1]")
    assert (await count(client), await count(client, "Basic")) == (3, 0)
    assert (await client.get("/fhir/Patient/a")).headers["etag"] == 'W/"1"'


async def test_links_lead_to_what_conditional_creates_and_updates_found(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/a", json=patient("1", id="a"))
    await client.put("/fhir/Practitioner/d", json={"resourceType": "Practitioner", "id": "d",
                     "identifier": [{"system": SYSTEM, "value": "7"}]})  # fmt: skip
    doctor = {
        "resourceType": "Practitioner",
        "identifier": [{"system": SYSTEM, "value": "7"}],
        "active": True,
    }
    answer = await send(
        client,
        entry("POST", "Condition", condition(f"{URN}1", recorder={"reference": f"{URN}2"})),
        entry("POST", "Patient", patient("1"), f"{URN}1", ifNoneExist=f"identifier={SYSTEM}|1"),
        entry("PUT", f"Practitioner?identifier={SYSTEM}|7", doctor, f"{URN}2"),
        Prefer="return=representation",
    )
    assert answer.status_code == 200, answer.text
    made, who, changed = answer.json()["entry"]
    assert made["resource"]["subject"]["reference"] == "Patient/a"
    assert made["resource"]["recorder"]["reference"] == "Practitioner/d"
    assert [one["response"]["status"] for one in (who, changed)] == ["200 OK", "200 OK"]
    assert who["response"]["location"] == f"{BASE}/Patient/a/_history/1"


async def test_two_thousand_entries_that_refer_to_each_other_are_one_transaction(
    client: httpx.AsyncClient,
) -> None:
    entries = []
    for number in range(1000):
        entries.append(entry("POST", "Patient", patient(str(number)), f"{URN}p{number}"))
        entries.append(entry("POST", "Condition", condition(f"{URN}p{number}"), f"{URN}c{number}"))
    answer = await send(client, *entries)
    assert answer.status_code == 200
    assert {one["response"]["status"] for one in answer.json()["entry"]} == {"201 Created"}
    assert (await count(client), await count(client, "Condition")) == (1000, 1000)


async def test_more_entries_than_allowed_are_refused_at_once(client: httpx.AsyncClient) -> None:
    asked = entry("GET", "Patient/a")
    for kind in ("batch", "transaction"):
        answer = await send(client, *([asked] * 10_001), type=kind)
        assert (answer.status_code, issue(answer)["code"]) == (400, "too-costly")
