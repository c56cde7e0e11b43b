"""`POST /fhir/MedicationRequest/$demand`: what is prescribed and not yet asked for becomes a demand.

In one transaction: a List of the prescriptions, one SupplyRequest per drug and unit, and a Task
`procurement-order` that asks for them; the conversation `place-order` takes it from there. A prescription
that a current demand List holds is not asked for again. Two guards make that hold for concurrent calls
too: ids follow from the set of prescriptions, and every call moves one ledger on under If-Match, so that
the loser looks again.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from hub.errors import Conflict, PreconditionFailed
from hub.hookspecs import Operation, OperationContext

BASE = "https://sanyi-hub.org/fhir"
DRUG = f"{BASE}/CodeSystem/nhsa-drug"
LISTS = f"{BASE}/CodeSystem/list"
TASKS = f"{BASE}/CodeSystem/task-code"
INPUTS = f"{BASE}/CodeSystem/task-input"
PLAN = f"{BASE}/sid/demand-plan"
LINE = f"{BASE}/sid/hosp-purc-detl-id"
LEDGER = "demand-ledger"
TRIES = 5
AT_ONCE = 100

Json = dict[str, Any]


class Line(msgspec.Struct, kw_only=True):
    """What is wanted of one drug in one unit."""

    coding: Json
    unit: str
    quantity: Decimal | int = 0
    prescriptions: int = 0


class Demand(msgspec.Struct, kw_only=True):
    """The open prescriptions, grouped; `left_out` says which cannot be ordered, and why."""

    references: list[str]
    lines: list[Line]
    left_out: list[tuple[str, str]]
    organisation: str = ""
    held: list[str] = msgspec.field(default_factory=list)
    retired: list[str] = msgspec.field(default_factory=list)

    @property
    def plan(self) -> str:
        """Our number for it: the same prescriptions give the same one."""
        told = "\n".join([*sorted(self.references), *sorted(self.retired)])
        digest = base64.b32encode(hashlib.sha256(told.encode()).digest()).decode()
        return f"HUB-PL-{digest[:12]}"


async def demand(context: OperationContext, parameters: Json) -> Json:
    """Parameters `organisation` (a reference) and `drug` (code, or system|code) narrow it, if given.

    Returns Parameters: `outcome`, and with something to order `task`, `list` and a `line` per drug; in any
    case `held` (demand Lists that hold prescriptions already) and `left-out` (with the reason). Raises
    Conflict if other calls win five times in a row.
    """
    organisation, drug = _asked(parameters, "organisation"), _asked(parameters, "drug")
    for _ in range(TRIES):
        ledger = await context.read(f"List/{LEDGER}")
        found = await _collect(context, organisation, drug)
        if not found.lines:
            return _told(found, "nothing to order")
        try:
            await context.transact(_bundle(found, ledger))
        except PreconditionFailed:
            continue
        return _told(found, "ordered")
    raise Conflict("other demands were made at the same time; try again")


OPERATION = Operation(
    name="demand",
    resource="MedicationRequest",
    description="Make a demand of the active prescriptions that no demand holds yet, and ask for its order",
    run=demand,
)


# What is open


async def _collect(context: OperationContext, organisation: str, drug: str) -> Demand:
    criteria = [("status", "active"), ("intent", "order")]
    prescriptions = {
        f"MedicationRequest/{one['id']}": one for one in await context.search("MedicationRequest", criteria)
    }
    holding, retired = await _lists(context, sorted(prescriptions))
    held = {item: name for name, items in holding.items() for item in items}
    found = Demand(references=[], lines=[], left_out=[], retired=sorted(retired))
    lines: dict[tuple[str, str, str], Line] = {}
    places: set[str] = set()
    known: dict[str, Json | None] = {}
    for reference, one in sorted(prescriptions.items()):
        place = await _place(context, one, known)
        coding = await _drug(context, one, known)
        if (organisation and place != organisation) or (drug and not _is(coding, drug)):
            continue
        if reference in held:
            found.held.append(held[reference])
            continue
        quantity = (one.get("dispenseRequest") or {}).get("quantity") or {}
        why = _obstacle(coding, quantity)
        if why:
            found.left_out.append((reference, why))
            continue
        _add(lines, coding, quantity)
        found.references.append(reference)
        places.add(place)
    found.lines = [lines[key] for key in sorted(lines)]
    found.held = sorted(set(found.held))
    found.organisation = places.pop() if len(places) == 1 else ""
    return found


async def _lists(
    context: OperationContext, references: Sequence[str]
) -> tuple[dict[str, set[str]], set[str]]:
    """Current demand Lists with what they hold, and those that were given up."""
    holding: dict[str, set[str]] = {}
    retired: set[str] = set()
    for start in range(0, len(references), AT_ONCE):
        items = ",".join(references[start : start + AT_ONCE])
        for one in await context.search("List", [("code", f"{LISTS}|demand"), ("item", items)]):
            name = f"List/{one['id']}"
            if one.get("status") != "current":
                retired.add(name)
                continue
            holding[name] = {(entry.get("item") or {}).get("reference", "") for entry in one.get("entry", [])}
    return holding, retired


async def _read(context: OperationContext, reference: str, known: dict[str, Json | None]) -> Json:
    if reference not in known:
        known[reference] = await context.read(reference) if reference.count("/") == 1 else None
    return known[reference] or {}


async def _place(context: OperationContext, one: Json, known: dict[str, Json | None]) -> str:
    """For whom to order: who is to dispense, else the organisation of the encounter; empty if unknown."""
    performer = ((one.get("dispenseRequest") or {}).get("performer") or {}).get("reference", "")
    if performer:
        return str(performer)
    encounter = await _read(context, (one.get("encounter") or {}).get("reference", ""), known)
    return str((encounter.get("serviceProvider") or {}).get("reference", ""))


async def _drug(context: OperationContext, one: Json, known: dict[str, Json | None]) -> Json:
    """The national coding of what is prescribed; empty if there is none."""
    concept = one.get("medicationCodeableConcept")
    if concept is None:
        medication = await _read(context, (one.get("medicationReference") or {}).get("reference", ""), known)
        concept = medication.get("code") or {}
    for coding in concept.get("coding", []):
        if coding.get("system") == DRUG and coding.get("code"):
            return dict(coding)
    return {}


def _obstacle(coding: Json, quantity: Json) -> str:
    if not coding:
        return f"no drug code of {DRUG}"
    if not isinstance(quantity.get("value"), int | Decimal) or quantity["value"] <= 0:
        return "no dispenseRequest.quantity above zero"
    return "" if _unit(quantity) else "dispenseRequest.quantity has no unit"


def _unit(quantity: Json) -> str:
    return str(quantity.get("unit") or quantity.get("code") or "")


def _is(coding: Json, drug: str) -> bool:
    system, _, code = drug.rpartition("|")
    return coding.get("code") == code and (not system or coding.get("system") == system)


def _add(lines: dict[tuple[str, str, str], Line], coding: Json, quantity: Json) -> None:
    key = (coding["system"], coding["code"], _unit(quantity))
    line = lines.setdefault(key, Line(coding=coding, unit=_unit(quantity)))
    line.quantity += quantity["value"]
    line.prescriptions += 1


# What is written


def _bundle(found: Demand, ledger: Json | None) -> Json:
    plan = found.plan
    name = plan.lower()
    moved = {"item": {"reference": f"List/{name}"}}
    head = _list(LEDGER, "demand-ledger", [moved], mode="working")
    condition = {"ifMatch": f'W/"{ledger["meta"]["versionId"]}"'} if ledger else {"ifNoneMatch": "*"}
    demanded = _list(name, "demand", [{"item": {"reference": one}} for one in found.references])
    demanded["identifier"] = [{"system": PLAN, "value": plan}]
    entries = [_put(head, condition), _put(demanded)]
    entries += [_put(_supply_request(found, number)) for number in range(1, len(found.lines) + 1)]
    return {"resourceType": "Bundle", "type": "transaction", "entry": [*entries, _put(_task(found))]}


def _put(resource: Json, condition: Json | None = None) -> Json:
    request = {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
    return {"resource": resource, "request": request | (condition or {})}


def _list(name: str, code: str, entries: list[Json], mode: str = "snapshot") -> Json:
    return {
        "resourceType": "List",
        "id": name,
        "status": "current",
        "mode": mode,
        "code": _concept(LISTS, code),
        "entry": entries,
    }


def _line_number(found: Demand, number: int) -> str:
    return f"{found.plan}-{number:02d}"


def _supply_request(found: Demand, number: int) -> Json:
    line, own = found.lines[number - 1], _line_number(found, number)
    resource: Json = {
        "resourceType": "SupplyRequest",
        "id": own.lower(),
        "identifier": [{"system": LINE, "value": own}],
        "status": "active",
        "category": _concept("http://terminology.hl7.org/CodeSystem/supply-kind", "central"),
        "itemCodeableConcept": {"coding": [line.coding]},
        "quantity": {"value": line.quantity, "unit": line.unit},
    }
    if found.organisation:
        resource["requester"] = resource["deliverTo"] = {"reference": found.organisation}
    return resource


def _task(found: Demand) -> Json:
    task: Json = {
        "resourceType": "Task",
        "id": found.plan.lower(),
        "groupIdentifier": {"system": PLAN, "value": found.plan},
        "status": "requested",
        "intent": "order",
        "code": _concept(TASKS, "procurement-order"),
        "focus": {"reference": f"List/{found.plan.lower()}"},
        "input": [
            {
                "type": _concept(INPUTS, "demand-line"),
                "valueReference": {
                    "reference": f"SupplyRequest/{own.lower()}",
                    "identifier": {"system": LINE, "value": own},
                },
            }
            for own in (_line_number(found, number) for number in range(1, len(found.lines) + 1))
        ],
    }
    if found.organisation:
        task["requester"] = {"reference": found.organisation}
    return task


def _concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


# What is asked and told


def _asked(parameters: Json, name: str) -> str:
    """The text of a parameter, whatever type it came in; empty if it is not there."""
    for one in parameters.get("parameter", []):
        if one.get("name") == name:
            value = next((one[key] for key in one if key.startswith("value")), "")
            if not isinstance(value, dict):
                return str(value)
            if "reference" in value:
                return str(value["reference"])
            return "|".join(part for part in (value.get("system"), value.get("code")) if part)
    return ""


def _told(found: Demand, outcome: str) -> Json:
    parameters: list[Json] = [{"name": "outcome", "valueString": outcome}]
    if found.lines:
        name = found.plan.lower()
        parameters += [_link("task", f"Task/{name}"), _link("list", f"List/{name}")]
        parameters += [_told_line(found, number) for number in range(1, len(found.lines) + 1)]
    parameters += [_link("held", one) for one in found.held]
    parameters += [
        {"name": "left-out", "part": [_link("prescription", one), {"name": "reason", "valueString": why}]}
        for one, why in found.left_out
    ]
    return {"resourceType": "Parameters", "parameter": parameters}


def _told_line(found: Demand, number: int) -> Json:
    line = found.lines[number - 1]
    parts: Iterable[Json] = (
        _link("request", f"SupplyRequest/{_line_number(found, number).lower()}"),
        {"name": "drug", "valueCoding": line.coding},
        {"name": "quantity", "valueQuantity": {"value": line.quantity, "unit": line.unit}},
        {"name": "prescriptions", "valueInteger": line.prescriptions},
    )
    return {"name": "line", "part": list(parts)}


def _link(name: str, reference: str) -> Json:
    return {"name": name, "valueReference": {"reference": reference}}
