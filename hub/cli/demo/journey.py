"""What happens in the demo: hospitals and a FHIR client prescribe, the insurer settles, the drug comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from hub.cli.demo.stage import HOSPITAL, INSURER, PLATFORM, SECOND_HOSPITAL, Stage
from hub.errors import HubError
from hub.testing.people import PEOPLE, Person

ID_CARD = "urn:oid:2.16.156.10011.1.3"
INSTITUTION = "urn:oid:2.16.156.10011.1.5"
BASE = "https://sanyi-hub.org/fhir"
DRUG, DRUG_NAME = "XC08CAA000A000010100001", "苯磺酸氨氯地平片"
CLINIC = "H37050200003"
PATIENCE_SECONDS = 90.0

Say = Callable[[str], None]


async def play(stage: Stage, say: Say) -> list[str]:
    """The whole journey; returns the prescriptions as `system|value`."""
    county, second, insurer = (stage.simulators[name] for name in (HOSPITAL, SECOND_HOSPITAL, INSURER))
    first, other, third = PEOPLE[0], PEOPLE[1], PEOPLE[2]
    insurer.faults.add("lose-reply", "2207A", where=lambda request: first.id_card in str(request))
    say(f"{HOSPITAL}: ADT^A04 and OMP^O09 over MLLP, a prescription for twelve weeks")
    await county.act("visit", person=first, weeks=12)
    say(f"{SECOND_HOSPITAL}: the same kind of messages in GB18030")
    await second.act("visit", person=other, weeks=12)
    say("village clinic: a FHIR transaction of Patient, MedicationRequest and Claim")
    await stage.post("/fhir", clinic_bundle(third, "RX-CLINIC-0001"))
    await settled(stage, 3, say)
    await order(stage, say)
    lines = await stage.resources("MedicationRequest", _count=500)
    groups = [one["groupIdentifier"] for one in lines]
    return list(dict.fromkeys(f"{one['system']}|{one['value']}" for one in reversed(groups)))


async def settled(stage: Stage, claims: int, say: Say) -> None:
    """Wait until every claim has its settlement; one of them had its answer swallowed."""
    say("insurer: 9001, 1101, 2201, 2203A, 2204, 2206A, 2207A; one answer to 2207A gets lost")

    async def done() -> bool:
        responses = await stage.resources("ClaimResponse", _count=100)
        finals = [one for one in responses if one["use"] == "claim" and one["outcome"] == "complete"]
        return len(finals) >= claims

    await until(done, "every claim to be settled", stage)
    say("insurer: every claim is settled once; the lost answer was found by asking (5204, 5203)")


async def order(stage: Stage, say: Say) -> None:
    """Demand, order, two partial shipments, receipt."""
    platform = stage.simulators[PLATFORM]
    answer = await stage.post("/fhir/MedicationRequest/$demand", {"resourceType": "Parameters"})
    lines = sum(one["name"] == "line" for one in answer.get("parameter", []))
    say(f"procurement: the demand of the prescriptions becomes an order of {lines} line(s)")

    async def ordered() -> bool:
        return bool(platform.books()["orders"])

    await until(ordered, "the platform to hold the order", stage)
    for number, (part, lot, expiry) in enumerate(
        (("0.5", "LOT-A01", "2028-01-31"), ("1", "LOT-B02", "2028-02-29"))
    ):
        await platform.act("ship", part=part, lot=lot, expiry=expiry)
        say(f"distributor: ships lot {lot}")

        async def shipped(wanted: int = number + 1) -> bool:
            return len(await stage.resources("SupplyDelivery", _count=100)) >= wanted

        await until(shipped, f"shipment {lot} to arrive in the hub", stage)
    for delivery in await stage.resources("SupplyDelivery", _count=100):
        await stage.post("/fhir/Task", goods_receipt(delivery))
    say("clinic: counts the boxes and confirms both shipments (ZJ9658)")

    async def received() -> bool:
        deliveries = await stage.resources("SupplyDelivery", _count=100)
        return all(one["status"] == "completed" for one in deliveries)

    await until(received, "both shipments to be received at the platform", stage)


async def until(holds: Callable[[], Awaitable[bool]], what: str, stage: Stage) -> None:
    """Wait for something; a HubError with the open conversations if it does not come."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not await holds():
        if time.monotonic() > end:
            stuck = await stage.get("/admin/conversations")
            raise HubError(f"waited {PATIENCE_SECONDS:.0f} s for {what}; conversations: {stuck}")
        await asyncio.sleep(0.1)


def clinic_bundle(person: Person, prescription: str) -> dict[str, Any]:
    """What a village clinic's system posts: it needs no HL7 v2."""
    today = datetime.now(UTC).date().isoformat()
    birth = f"{person.birth[:4]}-{person.birth[4:6]}-{person.birth[6:]}"
    drug = {"coding": [{"system": f"{BASE}/CodeSystem/nhsa-drug", "code": DRUG, "display": DRUG_NAME}]}
    boxes = {"value": 12, "unit": "盒"}
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": ID_CARD, "value": person.id_card}],
        "name": [{"text": person.name}],
        "gender": "male" if person.gender == "M" else "female",
        "birthDate": birth,
    }
    request = {
        "resourceType": "MedicationRequest",
        "identifier": [{"system": f"{BASE}/sid/{CLINIC}/hosp-rxno-line", "value": f"{prescription}-1"}],
        "groupIdentifier": {"system": f"{BASE}/sid/{CLINIC}/hosp-rxno", "value": prescription},
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": drug,
        "subject": {"reference": "urn:uuid:5f0e2d5e-7e2b-4a38-9d0c-0d6a4b7f0001"},
        "authoredOn": today,
        "dispenseRequest": {
            "quantity": boxes,
            "expectedSupplyDuration": {
                "value": 84,
                "unit": "d",
                "system": "http://unitsofmeasure.org",
                "code": "d",
            },
        },
    }
    entries = [("Patient", patient), ("MedicationRequest", request), ("Claim", _claim(today, drug, boxes))]
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": f"urn:uuid:5f0e2d5e-7e2b-4a38-9d0c-0d6a4b7f{number:04d}",
                "resource": resource,
                "request": {"method": "POST", "url": kind},
            }
            for number, (kind, resource) in enumerate(entries, 1)
        ],
    }


def _claim(today: str, drug: dict[str, Any], boxes: dict[str, Any]) -> dict[str, Any]:
    terminology = "http://terminology.hl7.org/CodeSystem"
    patient = {"reference": "urn:uuid:5f0e2d5e-7e2b-4a38-9d0c-0d6a4b7f0001"}
    request = {"reference": "urn:uuid:5f0e2d5e-7e2b-4a38-9d0c-0d6a4b7f0002"}
    return {
        "resourceType": "Claim",
        "identifier": [{"system": f"{BASE}/sid/{CLINIC}/hosp-rxno", "value": "RX-CLINIC-0001"}],
        "status": "active",
        "type": {"coding": [{"system": f"{terminology}/claim-type", "code": "pharmacy"}]},
        "subType": {"coding": [{"system": f"{BASE}/CodeSystem/med-type", "code": "14"}]},
        "use": "claim",
        "patient": patient,
        "created": today,
        "provider": {"identifier": {"system": INSTITUTION, "value": CLINIC}, "display": "测试村卫生室"},
        "priority": {"coding": [{"system": f"{terminology}/processpriority", "code": "normal"}]},
        "prescription": request,
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "城乡居民基本医疗保险"}}],
        "diagnosis": [
            {
                "sequence": 1,
                "diagnosisCodeableConcept": {
                    "coding": [
                        {
                            "system": "urn:oid:2.16.156.10011.2.3.3.11",
                            "code": "I10.x00x002",
                            "display": "高血压",
                        }
                    ]
                },
            }
        ],
        "item": [
            {
                "sequence": 1,
                "productOrService": drug,
                "servicedDate": today,
                "quantity": boxes,
                "unitPrice": {"value": 10, "currency": "CNY"},
                "net": {"value": 120, "currency": "CNY"},
            }
        ],
        "total": {"value": 120, "currency": "CNY"},
    }


def goods_receipt(delivery: dict[str, Any]) -> dict[str, Any]:
    """The clinic counted what came: only a person may say so."""
    return {
        "resourceType": "Task",
        "status": "completed",
        "intent": "order",
        "code": {"coding": [{"system": f"{BASE}/CodeSystem/task-code", "code": "goods-receipt"}]},
        "focus": {"reference": f"SupplyDelivery/{delivery['id']}"},
        "output": [
            {
                "type": {
                    "coding": [{"system": f"{BASE}/CodeSystem/task-output", "code": "received-quantity"}]
                },
                "valueQuantity": delivery["suppliedItem"]["quantity"],
            }
        ],
    }
