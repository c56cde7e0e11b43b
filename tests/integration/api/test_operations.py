"""Operations of plugins: http://hl7.org/fhir/R4/operations.html"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from hub.app import Hub
from hub.errors import InvalidResource
from hub.hookspecs import Operation, OperationContext
from tests.integration.api.conftest import issue


async def count(context: OperationContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Counts Patients, stores a List about it and gives both back."""
    if parameters.get("parameter", [{}])[0].get("name") == "refuse":
        raise InvalidResource("no")
    found = await context.search("Patient", [("gender", "female")])
    entry = {
        "resource": {"resourceType": "List", "id": "l", "status": "current", "mode": "working"},
        "request": {"method": "PUT", "url": "List/l"},
    }
    await context.transact({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    stored = await context.read("List/l")
    assert stored is not None and await context.read("List/none") is None
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "count", "valueInteger": len(found)},
            {"name": "list", "valueString": stored["meta"]["versionId"]},
        ],
    }


@pytest.fixture
def offered(hub: Hub) -> None:
    one = Operation(name="count", resource="Patient", description="Counts", run=count)
    hub.api.operations["Patient", "count"] = one


@pytest.mark.usefixtures("offered")
async def test_an_operation_searches_reads_and_writes(client: httpx.AsyncClient) -> None:
    for number in range(3):
        patient = {"resourceType": "Patient", "id": f"p{number}", "gender": "female"}
        await client.put(f"/fhir/Patient/p{number}", json=patient)
    answer = await client.post("/fhir/Patient/$count", json={"resourceType": "Parameters"})
    assert answer.status_code == 200
    assert [list(one.values())[1] for one in answer.json()["parameter"]] == [3, "1"]
    assert (await client.get("/fhir/List/l")).status_code == 200
    empty = await client.post("/fhir/Patient/$count", content=b"")
    assert empty.status_code == 200


@pytest.mark.usefixtures("offered")
async def test_an_operation_pages_through_everything(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.api.operation.PAGE", 2)
    for number in range(5):
        patient = {"resourceType": "Patient", "id": f"p{number}", "gender": "female"}
        await client.put(f"/fhir/Patient/p{number}", json=patient)
    answer = await client.post("/fhir/Patient/$count", json={"resourceType": "Parameters"})
    assert answer.json()["parameter"][0]["valueInteger"] == 5


@pytest.mark.usefixtures("offered")
async def test_what_an_operation_refuses_is_told(client: httpx.AsyncClient) -> None:
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "refuse", "valueBoolean": True}]}
    refused = await client.post("/fhir/Patient/$count", json=parameters)
    assert refused.status_code == 400 and issue(refused)
    wrong = await client.post("/fhir/Patient/$count", json={"resourceType": "Patient"})
    assert wrong.status_code == 400
    unknown = await client.post("/fhir/Patient/$nothing", json={"resourceType": "Parameters"})
    assert unknown.status_code == 404 and "$nothing" in issue(unknown)["diagnostics"]


@pytest.mark.usefixtures("offered")
async def test_capabilities_name_the_operation(client: httpx.AsyncClient) -> None:
    statement = (await client.get("/fhir/metadata")).json()
    patient = next(one for one in statement["rest"][0]["resource"] if one["type"] == "Patient")
    assert "count" in [one["name"] for one in patient["operation"]]


async def test_a_head_begins_no_operation(client: httpx.AsyncClient) -> None:
    answer = await client.head("/fhir/$export", headers={"Prefer": "respond-async"})
    assert answer.status_code == 405
    assert "HEAD" not in answer.headers["allow"]
