"""capabilities: http://hl7.org/fhir/R4/http.html#capabilities and capabilitystatement.html"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hub import fhirpath, r4
from hub.api.table import PATHS
from hub.app import Hub
from hub.hookspecs import Operation, OperationContext
from tests.integration.api.conftest import BASE, issue


async def statement(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"/fhir/metadata{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    r4.decode(answer.content, found["resourceType"])
    broken = list(invariants(r4.tree(answer.content), found["resourceType"]))
    assert broken == []
    return found


def invariants(node: dict[str, Any], path: str) -> Iterator[str]:
    """The keys of the type's own rules that a resource breaks."""
    for rule in r4.constraints(path):
        ours = rule.severity == "error" and rule.key.startswith(("cpb", "tcp", "opd"))
        if ours and not fhirpath.compile(rule.expression).truth(node, {"resource": node}):
            yield rule.key
    for name in r4.members(path):
        values = node.get(name)
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, dict) and r4.members(f"{path}.{name}"):
                yield from invariants(value, f"{path}.{name}")


def of_type(found: dict[str, Any], name: str) -> dict[str, Any]:
    one: dict[str, Any] = next(one for one in found["rest"][0]["resource"] if one["type"] == name)
    return one


def codes(rows: list[dict[str, Any]]) -> set[str]:
    return {one["code"] for one in rows}


async def test_every_type_is_there_with_what_the_routes_offer(client: httpx.AsyncClient) -> None:
    found = await statement(client)
    assert found["fhirVersion"] == "4.0.1" and found["kind"] == "instance"
    assert found["implementation"]["url"] == BASE
    rest = found["rest"][0]
    assert {one["type"] for one in rest["resource"]} == set(r4.TYPES)
    assert codes(rest["interaction"]) == {"transaction", "batch", "search-system", "history-system"}
    patient = of_type(found, "Patient")
    assert codes(patient["interaction"]) == {
        "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create",
        "search-type",
    }  # fmt: skip
    assert {"application/fhir+json", "application/fhir+xml", "json", "xml"} <= set(found["format"])
    assert "application/json-patch+json" in found["patchFormat"]


async def test_what_is_not_routed_is_not_claimed(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(PATHS["/{type}/{id}"], "PATCH")
    monkeypatch.delitem(PATHS["/{type}"], "DELETE")
    monkeypatch.delitem(PATHS, "/_history")
    found = await statement(client)
    patient = of_type(found, "Patient")
    assert "patch" not in codes(patient["interaction"]) and "patchFormat" not in found
    assert patient["conditionalDelete"] == "not-supported"
    assert "history-system" not in codes(found["rest"][0]["interaction"])


async def test_search_parameters_are_those_that_answer(client: httpx.AsyncClient) -> None:
    patient = of_type(await statement(client), "Patient")
    rows = {one["name"]: one for one in patient["searchParam"]}
    assert rows["birthdate"] == {
        "name": "birthdate",
        "definition": "http://hl7.org/fhir/SearchParameter/individual-birthdate",
        "type": "date",
    }
    assert {"_id", "_lastUpdated", "_tag", "identifier", "general-practitioner"} <= set(rows)
    assert not {"_filter", "_query", "part-agree"} & set(rows)
    for name, one in rows.items():
        value = {"date": "2020", "number": "1", "quantity": "1", "reference": "Patient/1"}.get(
            one["type"], "a"
        )
        answer = await client.get("/fhir/Patient", params={name: value})
        assert answer.status_code == 200, f"{name}: {answer.text}"
    assert "Patient:general-practitioner" in patient["searchInclude"]
    assert "Observation:subject" in patient["searchRevInclude"]
    assert "Observation:encounter" not in patient["searchRevInclude"]


async def test_operations_are_named_with_their_definitions(client: httpx.AsyncClient) -> None:
    found = await statement(client)
    patient = {one["name"]: one["definition"] for one in of_type(found, "Patient")["operation"]}
    base = "http://hl7.org/fhir/OperationDefinition"
    assert patient["validate"] == f"{base}/Resource-validate"
    assert patient["everything"] == f"{base}/Patient-everything"
    assert patient["match"] == f"{base}/Patient-match"
    assert "expand" not in patient
    system = {one["name"] for one in found["rest"][0]["operation"]}
    assert {"meta", "validate"} <= system and "match" not in system


async def test_an_operation_of_a_plugin_has_a_definition_to_read(client: httpx.AsyncClient, hub: Hub) -> None:
    async def run(context: OperationContext, parameters: dict[str, Any]) -> dict[str, Any]:
        return {"resourceType": "Parameters"}

    path = "/fhir/OperationDefinition/Patient-stock-up"
    assert (await client.get(path)).status_code == 404
    before = (await client.get("/fhir/metadata")).headers["etag"]
    one = Operation(name="stock-up", resource="Patient", description="Orders", run=run)
    hub.api.operations["Patient", "stock-up"] = one
    found = await statement(client)
    assert (await client.get("/fhir/metadata")).headers["etag"] != before
    rows = {one["name"]: one for one in of_type(found, "Patient")["operation"]}
    assert rows["stock-up"]["definition"] == f"{BASE}/OperationDefinition/Patient-stock-up"
    assert rows["stock-up"]["documentation"] == "Orders"
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    r4.decode(answer.content, "OperationDefinition")
    assert list(invariants(r4.tree(answer.content), "OperationDefinition")) == []
    definition = answer.json()
    assert definition["code"] == "stock-up" and definition["resource"] == ["Patient"]
    assert (definition["system"], definition["type"], definition["instance"]) == (False, True, False)
    assert definition["url"] == rows["stock-up"]["definition"]


async def test_a_client_that_has_it_is_not_sent_it_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/fhir/metadata")
    again = await client.get("/fhir/metadata", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
    head = await client.head("/fhir/metadata")
    assert head.status_code == 200 and not head.content
    assert head.headers["etag"] == first.headers["etag"]


async def test_other_modes(client: httpx.AsyncClient) -> None:
    terminology = await statement(client, "?mode=terminology")
    assert terminology["resourceType"] == "TerminologyCapabilities"
    normative = await statement(client, "?mode=normative")
    assert {one["type"] for one in normative["rest"][0]["resource"]} >= {"Patient", "Observation"}
    assert "Claim" not in {one["type"] for one in normative["rest"][0]["resource"]}
    assert (await statement(client, "?mode=full"))["resourceType"] == "CapabilityStatement"
    wrong = await client.get("/fhir/metadata?mode=half")
    assert wrong.status_code == 400 and issue(wrong)


async def test_compartments_are_named_by_their_definitions(client: httpx.AsyncClient) -> None:
    rest = (await statement(client))["rest"][0]
    assert "http://hl7.org/fhir/CompartmentDefinition/patient" in rest["compartment"]
    assert len(rest["compartment"]) == 5
