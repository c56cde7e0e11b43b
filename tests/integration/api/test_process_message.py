"""$process-message: stored once, answered by a message,
http://hl7.org/fhir/R4/messageheader-operation-process-message.html"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import BASE, issue

URL = "/fhir/$process-message"
EVENT = {"system": "http://example.org/events", "code": "patient-link"}


def header(id: str = "m1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MessageHeader", "id": id, "eventCoding": EVENT,
        "source": {"name": "ward", "endpoint": "http://ward.example.org/messages"},
        "focus": [{"reference": "urn:uuid:267b18ce-0000-4000-8000-000000000001"}], **more,
    }  # fmt: skip


def message(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A message of a header and a patient without an id, unless others are given."""
    carried = resources or (header(), {"resourceType": "Patient", "multipleBirthInteger": 1})
    entries = [
        {"fullUrl": f"urn:uuid:267b18ce-0000-4000-8000-{number:012d}", "resource": one}
        for number, one in enumerate(carried)
    ]
    return {"resourceType": "Bundle", "type": "message", "entry": entries, **more}


def answered(answer: httpx.Response) -> dict[str, Any]:
    """The MessageHeader of an answer, whose details lead to its OperationOutcome."""
    body = answer.json()
    assert (body["resourceType"], body["type"]) == ("Bundle", "message"), body
    first, second = body["entry"]
    assert first["resource"]["resourceType"] == "MessageHeader"
    assert second["resource"]["resourceType"] == "OperationOutcome"
    assert first["resource"]["response"]["details"]["reference"] == second["fullUrl"]
    found: dict[str, Any] = first["resource"]
    return found


async def count(client: httpx.AsyncClient, type_name: str) -> int:
    found = await client.get(f"/fhir/{type_name}?_summary=count")
    total: int = found.json()["total"]
    return total


async def test_a_message_is_stored_and_answered(client: httpx.AsyncClient) -> None:
    answer = await client.post(URL, json=message())
    assert answer.status_code == 200, answer.text
    reply = answered(answer)
    assert (reply["response"]["identifier"], reply["response"]["code"]) == ("m1", "ok")
    assert reply["eventCoding"] == EVENT
    assert reply["destination"] == [{"name": "ward", "endpoint": "http://ward.example.org/messages"}]
    assert reply["source"]["endpoint"] == f"{BASE}/$process-message"
    stored = (await client.get("/fhir/MessageHeader/m1")).json()
    patients = (await client.get("/fhir/Patient")).json()["entry"]
    assert [stored["focus"][0]["reference"]] == [f"Patient/{one['resource']['id']}" for one in patients]


async def test_parameters_may_carry_the_message(client: httpx.AsyncClient) -> None:
    given = {"resourceType": "Parameters", "parameter": [{"name": "content", "resource": message()}]}
    answer = await client.post(URL, json=given)
    assert answer.status_code == 200, answer.text
    assert answered(answer)["response"]["code"] == "ok"
    assert await count(client, "Patient") == 1


async def test_literals_of_a_message_are_stored_as_they_came(client: httpx.AsyncClient) -> None:
    observation = (
        '{"resourceType":"Observation","id":"o","status":"final","code":{"text":"w"},'
        '"valueQuantity":{"value":105.00}}'
    )
    content = json.dumps(message(header(), {"resourceType": "X"})).replace(
        '{"resourceType": "X"}', observation
    )
    assert (await client.post(URL, content=content)).status_code == 200
    assert b"105.00" in (await client.get("/fhir/Observation/o")).content


@pytest.mark.parametrize("identifier", [None, {"system": "http://ward.example.org", "value": "77"}])
async def test_a_message_that_comes_again_changes_nothing_and_gets_the_same_answer(
    client: httpx.AsyncClient, identifier: dict[str, str] | None
) -> None:
    sent = message(**({"identifier": identifier} if identifier else {}))
    first = await client.post(URL, json=sent)
    again = await client.post(URL, json=sent)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert (await count(client, "Patient"), await count(client, "MessageHeader")) == (1, 1)
    other = await client.post(URL, json=message(header("m2"), {"resourceType": "Patient"}))
    assert answered(other)["response"]["identifier"] == "m2"
    assert await count(client, "Patient") == 2


async def test_one_message_sent_eight_times_at_once_takes_effect_once(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post(URL, json=message()) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert await count(client, "Patient") == 1
    others = [message(header(f"n{number}"), {"resourceType": "Patient"}) for number in range(8)]
    await asyncio.gather(*(client.post(URL, json=one) for one in others))
    assert await count(client, "Patient") == 9


async def test_an_identifier_used_for_another_message_is_refused(client: httpx.AsyncClient) -> None:
    identifier = {"system": "http://ward.example.org", "value": "77"}
    await client.post(URL, json=message(identifier=identifier))
    other = message(header("m2"), {"resourceType": "Patient"}, identifier=identifier)
    answer = await client.post(URL, json=other)
    assert answer.status_code == 422
    assert answered(answer)["response"]["code"] == "fatal-error"
    assert (await client.get("/fhir/MessageHeader/m2")).status_code == 404


async def test_what_cannot_be_stored_is_answered_as_fatal_and_leaves_nothing(
    client: httpx.AsyncClient,
) -> None:
    sent = message(
        header(), {"resourceType": "Patient", "id": "p"}, {"resourceType": "Patient", "gender": "x"}
    )
    answer = await client.post(URL, json=sent)
    assert answer.status_code == 400
    assert answered(answer)["response"] == {
        **answered(answer)["response"], "identifier": "m1", "code": "fatal-error",
    }  # fmt: skip
    told = answer.json()["entry"][1]["resource"]["issue"][0]
    assert told["expression"][0].startswith("Bundle.entry[2]")
    assert (await client.get("/fhir/Patient/p")).status_code == 404
    sent["entry"].pop()
    mended = await client.post(URL, json=sent)
    assert answered(mended)["response"]["code"] == "ok"


@pytest.mark.parametrize(
    "sent",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Parameters"},
        message(type="collection"),
        message({"resourceType": "Patient"}),
        message(header(id=""), {"resourceType": "Patient"}),
        message({key: value for key, value in header().items() if key != "id"}),
        message({key: value for key, value in header().items() if key != "source"}),
        message(header(response={"identifier": "x", "code": "ok"})),
        {"resourceType": "Bundle", "type": "message"},
        {"resourceType": "Bundle", "type": 3},
    ],
)
async def test_what_is_no_message_is_400(client: httpx.AsyncClient, sent: dict[str, Any]) -> None:
    answer = await client.post(URL, json=sent)
    assert answer.status_code == 400, answer.text
    assert issue(answer)["diagnostics"]


async def test_asynchronous_messaging_is_refused_by_name(client: httpx.AsyncClient) -> None:
    for query in ("async=true", "response-url=http://ward.example.org/in"):
        answer = await client.post(f"{URL}?{query}", json=message())
        assert (answer.status_code, issue(answer)["code"]) == (400, "not-supported")
    assert (await client.post(f"{URL}?async=false", json=message())).status_code == 200
    assert (await client.get(URL)).status_code == 405
