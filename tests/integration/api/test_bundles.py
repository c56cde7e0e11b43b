"""transaction and batch: http://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.integration.api.conftest import BASE, issue

SYSTEM = "urn:oid:2.16.156.10011.1.3"
URN = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb"


def patient(value: str = "1", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], **more}


def condition(subject: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": subject}, "code": {"text": "x"}, **more}


def entry(
    method: str, url: str, resource: dict[str, Any] | None = None, full_url: str = "", **request: str
) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    if full_url:
        made["fullUrl"] = full_url
    return made


async def send(
    client: httpx.AsyncClient, *entries: dict[str, Any], type: str = "transaction", **headers: str
) -> Any:
    bundle = {"resourceType": "Bundle", "type": type, "entry": list(entries)}
    return await client.post(
        "/fhir", json=bundle, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


async def test_placeholders_become_real_references(client: httpx.AsyncClient) -> None:
    answer = await send(
        client,
        entry("POST", "Condition", condition(f"{URN}1"), f"{URN}2"),
        entry(
            "POST", "Patient", patient(text=None) | {"text": {"status": "generated", "div": DIV}}, f"{URN}1"
        ),
        Prefer="return=representation",
    )
    body = answer.json()
    assert answer.status_code == 200 and body["type"] == "transaction-response", body
    stored, who = (one["resource"] for one in body["entry"])
    assert stored["subject"]["reference"] == f"Patient/{who['id']}"
    assert f'href="Condition/{stored["id"]}"' in who["text"]["div"]
    assert [one["response"]["status"] for one in body["entry"]] == ["201 Created"] * 2
    assert body["entry"][1]["response"]["location"] == f"{BASE}/Patient/{who['id']}/_history/1"
    assert body["entry"][1]["response"]["etag"] == 'W/"1"'


DIV = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}2">x</a></div>'


async def test_restful_full_urls_resolve_relative_references(client: httpx.AsyncClient) -> None:
    answer = await send(
        client,
        entry("POST", "Patient", patient(), "http://his.example/fhir/Patient/17"),
        entry("POST", "Condition", condition("Patient/17"), "http://his.example/fhir/Condition/1"),
        entry("POST", "Condition", condition("http://his.example/fhir/Patient/17/_history/3")),
        entry("POST", "Condition", condition("http://his.example/fhir/Patient/18")),
        Prefer="return=representation",
    )
    who, *conditions = (one["resource"] for one in answer.json()["entry"])
    assert [one["subject"]["reference"] for one in conditions] == [
        f"Patient/{who['id']}",
        f"Patient/{who['id']}",
        "http://his.example/fhir/Patient/18",
    ]


async def test_circular_references_are_fine(client: httpx.AsyncClient) -> None:
    linked = patient(link=[{"other": {"reference": f"{URN}2"}, "type": "seealso"}])
    other = patient("2", link=[{"other": {"reference": f"{URN}1"}, "type": "seealso"}])
    answer = await send(
        client,
        entry("POST", "Patient", linked, f"{URN}1"),
        entry("POST", "Patient", other, f"{URN}2"),
        Prefer="return=representation",
    )
    first, second = (one["resource"] for one in answer.json()["entry"])
    assert first["link"][0]["other"]["reference"] == f"Patient/{second['id']}"
    assert second["link"][0]["other"]["reference"] == f"Patient/{first['id']}"


async def test_verbs_take_effect_in_their_order(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/old", json=patient("9", id="old"))
    answer = await send(
        client,
        entry("GET", "Patient/new"),
        entry("GET", f"Patient?identifier={SYSTEM}|9"),
        entry("PUT", "Patient/new", patient("9", id="new")),
        entry("POST", "Patient", patient("9"), ifNoneExist=f"identifier={SYSTEM}|9"),
        entry("DELETE", "Patient/old"),
    )
    replies = answer.json()["entry"]
    assert [one["response"]["status"][:3] for one in replies] == ["200", "200", "201", "200", "204"]
    assert replies[0]["resource"]["id"] == "new"
    assert [one["resource"]["id"] for one in replies[1]["resource"]["entry"]] == ["new"]


async def test_if_none_exist_leads_references_to_what_is_there(client: httpx.AsyncClient) -> None:
    there = (await client.post("/fhir/Patient", json=patient())).json()["id"]
    bundle = (
        entry("POST", "Patient", patient(), f"{URN}1", ifNoneExist=f"identifier={SYSTEM}|1"),
        entry("POST", "Condition", condition(f"{URN}1"), f"{URN}2"),
    )
    replies = (await send(client, *bundle, Prefer="return=representation")).json()["entry"]
    assert [one["response"]["status"] for one in replies] == ["200 OK", "201 Created"]
    assert replies[1]["resource"]["subject"]["reference"] == f"Patient/{there}"


async def test_one_criterion_twice_in_a_transaction_makes_one(client: httpx.AsyncClient) -> None:
    bundle = (
        entry("POST", "Patient", patient(), f"{URN}1", ifNoneExist=f"identifier={SYSTEM}|1"),
        entry("POST", "Patient", patient(active=True), f"{URN}2", ifNoneExist=f"identifier={SYSTEM}|1"),
        entry("POST", "Condition", condition(f"{URN}2"), f"{URN}3"),
    )
    for status in ("201", "200"):
        replies = (await send(client, *bundle, Prefer="return=representation")).json()["entry"]
        assert [one["response"]["status"][:3] for one in replies] == [status, "200", "201"]
        assert replies[1]["resource"] == replies[0]["resource"]
        assert replies[2]["resource"]["subject"]["reference"] == f"Patient/{replies[0]['resource']['id']}"
    assert len((await client.get("/fhir/Patient")).json()["entry"]) == 1


async def test_a_condition_means_what_another_entry_brings(client: httpx.AsyncClient) -> None:
    plain = entry("POST", "Patient", patient())
    answer = await send(
        client,
        entry("POST", "Condition", condition(f"{URN}1")),
        entry("POST", "Patient", patient(), f"{URN}1", ifNoneExist=f"identifier={SYSTEM}|1"),
        plain,
        Prefer="return=representation",
    )
    replies = answer.json()["entry"]
    assert [one["response"]["status"][:3] for one in replies] == ["201", "200", "201"], answer.text
    assert replies[1]["resource"] == replies[2]["resource"]
    assert replies[0]["resource"]["subject"]["reference"] == f"Patient/{replies[2]['resource']['id']}"


async def test_criteria_that_the_transaction_itself_makes_ambiguous_undo_it(
    client: httpx.AsyncClient,
) -> None:
    once, other = f"identifier={SYSTEM}|1", f"_lastUpdated=gt2000&identifier={SYSTEM}|1"
    two = {"identifier": [{"system": SYSTEM, "value": value} for value in ("1", "2")]}
    cases: list[tuple[int, *tuple[dict[str, Any], ...]]] = [
        (412, entry("POST", "Patient", patient(), ifNoneExist=once),
         entry("POST", "Patient", patient() | two, ifNoneExist=f"identifier={SYSTEM}|2")),
        (412, entry("POST", "Patient", patient(), ifNoneExist=other),
         entry("POST", "Patient", patient(), ifNoneExist=once)),
        (412, entry("POST", "Patient", patient("3"), ifNoneExist=once),
         entry("POST", "Patient", patient("4"), ifNoneExist=once)),
        (412, entry("POST", "Patient", patient("5"), ifNoneExist=once),
         entry("PUT", f"Patient?{once}", patient()), entry("PUT", f"Patient?{other}", patient())),
        (400, entry("PUT", "Patient/x", patient(id="x")), entry("PUT", f"Patient?{once}", patient())),
    ]  # fmt: skip
    for status, *entries in cases:
        answer = await send(client, *entries)
        assert answer.status_code == status, (entries, answer.text)
        assert issue(answer)["expression"][0].startswith("Bundle.entry[")
        assert "entry" not in (await client.get("/fhir/Patient")).json()


async def test_an_entry_of_a_batch_stands_alone(client: httpx.AsyncClient) -> None:
    answer = await send(
        client,
        entry("POST", "Patient", patient(), f"{URN}1"),
        entry("POST", "Condition", condition(f"{URN}1")),
        type="batch",
    )
    statuses = [one["response"]["status"][:3] for one in answer.json()["entry"]]
    assert statuses == ["201", "400"]
    assert "entry" not in (await client.get("/fhir/Condition")).json()


async def test_conditional_references_find_old_and_new(client: httpx.AsyncClient) -> None:
    there = (await client.post("/fhir/Patient", json=patient("old"))).json()["id"]
    answer = await send(
        client,
        entry("POST", "Condition", condition(f"Patient?identifier={SYSTEM}|old")),
        entry("POST", "Condition", condition(f"Patient?identifier={SYSTEM}|new")),
        entry("PUT", "Patient/fresh", patient("new", id="fresh")),
        Prefer="return=representation",
    )
    replies = answer.json()["entry"]
    assert replies[0]["resource"]["subject"]["reference"] == f"Patient/{there}"
    assert replies[1]["resource"]["subject"]["reference"] == "Patient/fresh"


async def test_all_or_nothing(client: httpx.AsyncClient) -> None:
    good = entry("PUT", "Patient/p", patient(id="p"))
    bad = [
        (400, entry("POST", "Patient", patient(gender="x"))),
        (412, entry("POST", "Condition", condition(f"Patient?identifier={SYSTEM}|nobody"))),
        (400, entry("POST", "Condition", condition(f"{URN}9"))),
        (404, entry("GET", "Patient/nobody")),
    ]
    for status, wrong in bad:
        answer = await send(client, good, wrong)
        assert answer.status_code == status, answer.text
        assert issue(answer)["expression"][0].startswith("Bundle.entry[1]")
        assert (await client.get("/fhir/Patient/p")).status_code == 404
    stale = await send(client, good, entry("PUT", "Patient/q", patient(id="q"), ifMatch='W/"3"'))
    assert stale.status_code == 412
    assert (await client.get("/fhir/Patient/p")).status_code == 404


async def test_conditional_update_and_delete_inside(client: httpx.AsyncClient) -> None:
    there = (await client.post("/fhir/Patient", json=patient("1"))).json()["id"]
    await client.put("/fhir/Patient/gone", json=patient("2", id="gone"))
    answer = await send(
        client,
        entry("PUT", f"Patient?identifier={SYSTEM}|1", patient("1", active=True), f"{URN}1"),
        entry("DELETE", f"Patient?identifier={SYSTEM}|2"),
        entry("POST", "Condition", condition(f"{URN}1")),
        Prefer="return=representation",
    )
    replies = answer.json()["entry"]
    assert [one["response"]["status"][:3] for one in replies] == ["200", "204", "201"]
    assert replies[2]["resource"]["subject"]["reference"] == f"Patient/{there}"
    assert (await client.get("/fhir/Patient/gone")).status_code == 410


async def test_malformed_transactions_are_400(client: httpx.AsyncClient) -> None:
    cases: list[tuple[dict[str, Any], ...]] = [
        ({"resource": patient()},),
        (entry("POST", "Patient"),),
        (entry("FETCH", "Patient/1"),),
        (entry("PUT", "Patient/x", patient(id="y")),),
        (entry("PUT", "Patient/x", patient(id="x")), entry("DELETE", "Patient/x")),
        (entry("POST", "Patient", patient(), f"{URN}1"), entry("POST", "Patient", patient(), f"{URN}1")),
        (entry("POST", "Nonsense", {"resourceType": "Nonsense"}),),
        (entry("POST", "Patient", condition("Patient/1")),),
        (entry("DELETE", "Patient"),),
        (entry("POST", "http://elsewhere.example/fhir/Patient", patient()),),
    ]
    for case in cases:
        answer = await send(client, *case)
        assert answer.status_code == 400, (case, answer.text)
        assert issue(answer)
    for kind in ("searchset", "", "history"):
        assert (await send(client, type=kind)).status_code == 400
    empty = await send(client)
    assert empty.status_code == 200 and "entry" not in empty.json()
    assert (await client.post("/fhir", json=patient())).status_code == 400


async def test_parallel_transactions_on_the_same_resources_all_end(client: httpx.AsyncClient) -> None:
    async def one(number: int) -> int:
        names = ["a", "b", "c"] if number % 2 else ["c", "b", "a"]
        entries = [entry("PUT", f"Patient/{n}", patient(n, id=n, multipleBirthInteger=number)) for n in names]
        status: int = (await send(client, *entries)).status_code
        return status

    statuses = await asyncio.gather(*(one(number) for number in range(16)))
    assert set(statuses) <= {200, 409}
    versions = {(await client.get(f"/fhir/Patient/{n}")).json()["multipleBirthInteger"] for n in "abc"}
    assert len(versions) == 1


async def test_a_batch_answers_each_entry_by_itself(client: httpx.AsyncClient) -> None:
    answer = await send(
        client,
        entry("POST", "Patient", patient("1")),
        entry("GET", "Patient/nobody"),
        entry("PUT", "Patient/x", patient(id="y")),
        entry("GET", f"Patient?identifier={SYSTEM}|1"),
        entry("GET", "metadata"),
        entry("PATCH", "Patient/x", {"resourceType": "Binary"}),
        {"resource": patient()},
        type="batch",
    )
    replies = answer.json()["entry"]
    assert answer.status_code == 200
    assert [one["response"]["status"][:3] for one in replies] == [
        "201",
        "404",
        "400",
        "200",
        "200",
        "400",
        "400",
    ]
    assert replies[1]["response"]["outcome"]["issue"][0]["code"] == "not-found"
    assert replies[3]["resource"]["resourceType"] == "Bundle" and len(replies[3]["resource"]["entry"]) == 1
