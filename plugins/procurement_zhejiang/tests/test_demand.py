"""`$demand` on an in-memory stand-in for the FHIR server."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from hub.errors import Conflict, PreconditionFailed
from hub_procurement_zhejiang.demand import DRUG, LISTS, OPERATION, TASKS, demand

AMLODIPINE, OTHER = "XC08CAA000A000010100001", "XA10BBB998A001010100002"


class Server:
    """Enough of a FHIR server: search by the parameters that are asked, PUT with conditions."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.rivals: list[dict[str, Any]] = []

    async def search(self, resource: str, parameters: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        found = [copy.deepcopy(one) for one in self.stored.values() if one["resourceType"] == resource]
        for name, value in parameters:
            found = [one for one in found if self._matches(one, name, value)]
        return found

    def _matches(self, one: dict[str, Any], name: str, value: str) -> bool:
        if name == "item":
            items = {entry["item"]["reference"] for entry in one.get("entry", [])}
            return bool(items & set(value.split(",")))
        if name == "code":
            return any(f"{coding['system']}|{coding['code']}" == value for coding in one["code"]["coding"])
        return bool(one[name] == value)

    async def read(self, reference: str) -> dict[str, Any] | None:
        return copy.deepcopy(self.stored.get(reference))

    async def transact(self, bundle: dict[str, Any]) -> dict[str, Any]:
        if self.rivals:
            self._write(self.rivals.pop(0))
        self._write(bundle)
        return {"resourceType": "Bundle", "type": "transaction-response"}

    def _write(self, bundle: dict[str, Any]) -> None:
        for entry in bundle["entry"]:
            request, old = entry["request"], self.stored.get(entry["request"]["url"])
            if request.get("ifNoneMatch") == "*" and old is not None:
                raise PreconditionFailed("exists")
            if "ifMatch" in request and (
                old is None or request["ifMatch"] != f'W/"{old["meta"]["versionId"]}"'
            ):
                raise PreconditionFailed("another version")
        for entry in bundle["entry"]:
            url = entry["request"]["url"]
            version = int(self.stored.get(url, {}).get("meta", {}).get("versionId", "0")) + 1
            self.stored[url] = copy.deepcopy(entry["resource"]) | {"meta": {"versionId": str(version)}}

    def add(self, resource: dict[str, Any]) -> None:
        self.stored[f"{resource['resourceType']}/{resource['id']}"] = resource

    def of(self, resource: str) -> list[dict[str, Any]]:
        return [one for one in self.stored.values() if one["resourceType"] == resource]


def prescription(name: str, code: str = AMLODIPINE, count: Any = 12, **other: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {
            "coding": [{"system": "urn:local", "code": "1"}, {"system": DRUG, "code": code}]
        },
        "dispenseRequest": {"quantity": {"value": count, "unit": "盒"}},
    } | other


def parts(told: dict[str, Any], name: str) -> list[Any]:
    found = [one for one in told["parameter"] if one["name"] == name]
    return [next((one[key] for key in one if key.startswith("value")), one.get("part")) for one in found]


async def ask(server: Server, **parameters: Any) -> dict[str, Any]:
    given = [{"name": name, **value} for name, value in parameters.items()]
    return await demand(server, {"resourceType": "Parameters", "parameter": given})


def server_with(*prescriptions: dict[str, Any]) -> Server:
    server = Server()
    for one in prescriptions:
        server.add(one)
    return server


def test_the_operation_is_on_medication_requests() -> None:
    assert (OPERATION.resource, OPERATION.name) == ("MedicationRequest", "demand")


async def test_lines_sum_the_boxes_of_a_drug() -> None:
    server = server_with(
        prescription("a"),
        prescription("b", count=Decimal("3.5")),
        prescription("c", OTHER, 2),
        prescription("d", count=1),
    )
    told = await ask(server)
    assert parts(told, "outcome") == ["ordered"]
    first, second = sorted(server.of("SupplyRequest"), key=lambda one: str(one["id"]))
    assert first["itemCodeableConcept"]["coding"][0]["code"] == OTHER
    assert second["quantity"] == {"value": Decimal("16.5"), "unit": "盒"}
    (task,) = server.of("Task")
    assert task["code"]["coding"] == [{"system": TASKS, "code": "procurement-order"}]
    assert (task["status"], task["intent"]) == ("requested", "order")
    plan = task["groupIdentifier"]["value"]
    assert [one["valueReference"]["reference"] for one in task["input"]] == [
        f"SupplyRequest/{first['id']}",
        f"SupplyRequest/{second['id']}",
    ]
    assert (
        first["identifier"][0]["value"]
        == f"{plan}-01"
        == task["input"][0]["valueReference"]["identifier"]["value"]
    )
    (held,) = [one for one in server.of("List") if one["code"]["coding"][0]["code"] == "demand"]
    assert task["focus"]["reference"] == f"List/{held['id']}"
    assert {entry["item"]["reference"] for entry in held["entry"]} == {
        f"MedicationRequest/{x}" for x in "abcd"
    }
    assert parts(told, "task") == [{"reference": f"Task/{task['id']}"}]
    assert len(parts(told, "line")) == 2


async def test_a_repeat_orders_nothing_and_names_who_holds_it() -> None:
    server = server_with(prescription("a"))
    first = await ask(server)
    before = copy.deepcopy(server.stored)
    again = await ask(server)
    assert parts(again, "outcome") == ["nothing to order"]
    assert parts(again, "held") == parts(first, "list")
    assert parts(again, "task") == []
    assert server.stored == before


async def test_only_what_is_new_is_ordered() -> None:
    server = server_with(prescription("a"))
    await ask(server)
    server.add(prescription("b", count=5))
    told = await ask(server)
    (line,) = parts(told, "line")
    assert {"name": "quantity", "valueQuantity": {"value": 5, "unit": "盒"}} in line
    assert len(server.of("Task")) == 2


async def test_concurrent_calls_make_nothing_twice() -> None:
    server, other = server_with(prescription("a"), prescription("b")), server_with(prescription("a"))
    await ask(other)
    rival = [one for one in other.stored.values() if one["resourceType"] != "MedicationRequest"]
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in rival
    ]
    server.rivals.append({"entry": entries})
    told = await ask(server)
    (line,) = parts(told, "line")
    assert {"name": "prescriptions", "valueInteger": 1} in line, "the rival already asked for a"
    demanded = [one for one in server.of("List") if one["code"]["coding"][0]["code"] == "demand"]
    held = [entry["item"]["reference"] for one in demanded for entry in one["entry"]]
    assert sorted(held) == ["MedicationRequest/a", "MedicationRequest/b"]


async def test_it_gives_up_when_others_always_win() -> None:
    server = server_with(prescription("a"))
    for _ in range(9):
        ledger = {
            "resourceType": "List",
            "id": "demand-ledger",
            "code": {"coding": [{"system": LISTS, "code": "x"}]},
        }
        server.rivals.append({"entry": [{"resource": ledger, "request": {"url": "List/demand-ledger"}}]})
    with pytest.raises(Conflict):
        await ask(server)
    assert server.of("Task") == []


async def test_a_given_up_demand_frees_its_prescriptions_under_a_new_number() -> None:
    server = server_with(prescription("a"))
    first = parts(await ask(server), "task")
    for one in server.of("List"):
        one["status"] = "retired" if one["id"] != "demand-ledger" else one["status"]
    second = parts(await ask(server), "task")
    assert second and second != first


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"medicationCodeableConcept": {"text": "?"}}, "no drug code"),
        ({"dispenseRequest": {}}, "above zero"),
        ({"dispenseRequest": {"quantity": {"value": 0, "unit": "盒"}}}, "above zero"),
        ({"dispenseRequest": {"quantity": {"value": 1}}}, "no unit"),
    ],
)
async def test_what_cannot_be_ordered_is_named_and_stays_open(change: dict[str, Any], why: str) -> None:
    server = server_with(prescription("a", **change), prescription("b"))
    (left_out,) = parts(await ask(server), "left-out")
    assert left_out[0]["valueReference"]["reference"] == "MedicationRequest/a"
    assert why in left_out[1]["valueString"]
    server.add(prescription("a"))
    assert parts(await ask(server), "outcome") == ["ordered"]


async def test_drug_and_organisation_narrow_it() -> None:
    visit = {"resourceType": "Encounter", "id": "v", "serviceProvider": {"reference": "Organization/one"}}
    here = {"reference": "Organization/two"}
    server = server_with(
        visit,
        prescription("a", encounter={"reference": "Encounter/v"}),
        prescription("b", OTHER, encounter={"reference": "Encounter/v"}),
        prescription("c", dispenseRequest={"quantity": {"value": 1, "unit": "盒"}, "performer": here}),
    )
    told = await ask(
        server,
        organisation={"valueReference": {"reference": "Organization/one"}},
        drug={"valueString": OTHER},
    )
    assert len(parts(told, "line")) == 1
    (request,) = server.of("SupplyRequest")
    assert request["requester"] == request["deliverTo"] == {"reference": "Organization/one"}
    told = await ask(server, drug={"valueCoding": {"system": DRUG, "code": AMLODIPINE}})
    assert len(parts(told, "line")) == 1
    assert "requester" not in server.of("SupplyRequest")[-1], "two organisations: none is named"


async def test_a_medication_resource_is_read() -> None:
    medication = {
        "resourceType": "Medication",
        "id": "m",
        "code": {"coding": [{"system": DRUG, "code": OTHER}]},
    }
    one = prescription("a", medicationReference={"reference": "Medication/m"})
    del one["medicationCodeableConcept"]
    server = server_with(medication, one)
    await ask(server)
    assert server.of("SupplyRequest")[0]["itemCodeableConcept"]["coding"][0]["code"] == OTHER
