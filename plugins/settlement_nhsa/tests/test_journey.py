"""Claims through a whole hub to the simulated insurer: one settlement each, whatever goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from hub import settings
from hub.app import create_app
from hub.testing import PEOPLE, running
from hub_settlement_nhsa.simulator import Simulator

BASE = "https://sanyi-hub.org/fhir"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
encode = msgspec.json.Encoder(decimal_format="number").encode


def bundle(number: int = 0, **claim: Any) -> dict[str, Any]:
    """A village clinic's transaction: a person, a prescription, its claim of two lines; nothing else."""
    person = PEOPLE[number]
    drug = {"coding": [{"system": f"{BASE}/CodeSystem/nhsa-drug", "code": "XC09AAA999A001010100001"}]}
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:oid:2.16.156.10011.1.3", "value": person.id_card}],
        "name": [{"text": person.name}],
    }
    request = {
        "resourceType": "MedicationRequest",
        "groupIdentifier": {"value": f"RX{number:04d}"},
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": drug,
        "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
    }
    lines = [("3", "13.33", "39.99"), ("9", "8.89", "80.01")]
    items = [
        {
            "sequence": sequence,
            "productOrService": drug,
            "quantity": {"value": Decimal(count)},
            "unitPrice": {"value": Decimal(price), "currency": "CNY"},
            "net": {"value": Decimal(amount), "currency": "CNY"},
        }
        for sequence, (count, price, amount) in enumerate(lines, 1)
    ]
    sent = {
        "resourceType": "Claim",
        "status": "active",
        "type": {"coding": [{"system": f"{TERMINOLOGY}/claim-type", "code": "pharmacy"}]},
        "use": "claim",
        "patient": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
        "created": "2026-02-02",
        "provider": {"identifier": {"system": "urn:oid:2.16.156.10011.1.5", "value": "H37050200003"}},
        "priority": {"coding": [{"system": f"{TERMINOLOGY}/processpriority", "code": "normal"}]},
        "prescription": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000002"},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "城乡居民基本医疗保险"}}],
        "diagnosis": [
            {
                "sequence": 1,
                "diagnosisCodeableConcept": {"coding": [{"code": "I10.x00x002", "display": "高血压"}]},
            }
        ],
        "item": items,
        "total": {"value": Decimal("120.00"), "currency": "CNY"},
    } | claim
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{place:012d}",
                "resource": resource,
                "request": {"method": "POST", "url": resource["resourceType"]},
            }
            for place, resource in enumerate((patient, request, sent), 1)
        ],
    }


class Scene:
    """A hub and its insurer."""

    def __init__(self, insurer: Simulator, client: httpx.AsyncClient) -> None:
        self.insurer = insurer
        self.client = client

    async def post(self, content: dict[str, Any]) -> None:
        headers = {"content-type": "application/fhir+json"}
        answer = await self.client.post("/fhir", content=encode(content), headers=headers)
        assert answer.status_code == 200, answer.text

    async def found(self, query: str) -> list[dict[str, Any]]:
        answer = await self.client.get(f"/fhir/{query}")
        assert answer.status_code == 200, answer.text
        bundle = json.loads(answer.content, parse_float=Decimal)
        return [entry["resource"] for entry in bundle.get("entry", [])]

    async def until(self, query: str, count: int = 1, **expected: Any) -> list[dict[str, Any]]:
        """Wait until a search finds as many resources with these members."""
        for _ in range(400):
            resources = [one for one in await self.found(query) if expected.items() <= one.items()]
            if len(resources) >= count:
                return resources
            await asyncio.sleep(0.05)
        deliveries = (await self.client.get("/admin/deliveries")).text
        raise AssertionError(f"{query} found only {len(resources)}; deliveries: {deliveries}")

    def standing(self) -> list[dict[str, Any]]:
        """The settlements that stand at the insurer."""
        return [one for one in self.insurer.books()["settlements"] if not one["reversed"]]


@asynccontextmanager
async def scene(folder: Path, **changed: Any) -> AsyncIterator[Scene]:
    async with running(Simulator(auto_enroll=True)) as insurer:
        channel = insurer.channel() | {
            "adapter": "settlement-nhsa",
            "mapping": "settlement-nhsa",
            "conversations": ["settlement-nhsa/settle"],
            "settle_horizon": 0.6,
            "ask_interval": 0.1,
            "timeout": 2.0,
            "retry_seconds": 0.1,
            "retry_seconds_max": 0.2,
        }
        raw = {"database_url": f"sqlite:///{folder / 'hub.db'}", "channels": {"insurer": channel | changed}}
        app = create_app(settings.build(raw))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080") as client,
        ):
            yield Scene(insurer, client)


async def test_a_clinic_posts_a_bundle_and_finds_its_settlement(tmp_path: Path) -> None:
    async with scene(tmp_path) as hub:
        await hub.post(bundle())
        (response,) = await hub.until("ClaimResponse", use="claim")
        assert response["outcome"] == "complete"
        (standing,) = hub.standing()
        told = {one["system"].rpartition("/")[2]: one["value"] for one in response["identifier"]}
        assert told == {"setl-id": standing["setl_id"], "medins-setl-id": standing["msgid"]}
        # all of 120.00 in scope: 30.00 deductible, half of the rest
        assert [str(one["amount"]["value"]) for one in response["total"]] == ["120.00", "45.00"]
        assert [one["itemSequence"] for one in response["item"]] == [1, 2]
        assert len(await hub.found("ClaimResponse")) == 2  # the pre-settlement's is kept


TRANSACTIONS = ["9001", "1101", "2201", "2203A", "2204", "2206A", "2207A"]
UNANSWERED = [(infno, what) for infno in TRANSACTIONS for what in ("lose-reply", "lose-request")]
UNANSWERED += [("2207A", "garble"), ("2207A", "http-500")]


@pytest.mark.parametrize(("infno", "what"), UNANSWERED)
async def test_one_settlement_whichever_answer_is_lost(tmp_path: Path, infno: str, what: Any) -> None:
    async with scene(tmp_path) as hub:
        hub.insurer.faults.add(what, infno)
        await hub.post(bundle())
        (response,) = await hub.until("ClaimResponse", use="claim", outcome="complete")
        assert len(hub.standing()) == 1
        assert hub.standing()[0]["msgid"] in [one["value"] for one in response["identifier"]]
        visits = [one for one in hub.insurer.books()["visits"] if one["lines"]]
        assert [len(one["lines"]) for one in visits] == [2]


async def test_a_late_original_is_reversed_before_settling_again(tmp_path: Path) -> None:
    async with scene(tmp_path) as hub:
        await hub.insurer.act("postpone", kind="2207A", seconds=1.5)
        await hub.post(bundle())
        await hub.until("ClaimResponse", use="claim", outcome="complete")
        await asyncio.sleep(1.5)
        assert len(hub.standing()) == 1
        assert len(hub.insurer.books()["fenced"]) == 1
        (task,) = await hub.found("Task")
        assert task["status"] == "completed"


async def test_a_lost_reversal_is_sent_again(tmp_path: Path) -> None:
    async with scene(tmp_path) as hub:
        hub.insurer.faults.add("lose-request", "2207A")
        hub.insurer.faults.add("lose-reply", "2601")
        await hub.post(bundle())
        await hub.until("ClaimResponse", use="claim", outcome="complete")
        assert len(hub.standing()) == 1


async def test_a_refusal_becomes_a_claim_response_with_the_insurers_words(tmp_path: Path) -> None:
    async with scene(tmp_path) as hub:
        hub.insurer.faults.add("refuse", "2207A")
        await hub.post(bundle())
        (response,) = await hub.until("ClaimResponse", outcome="error")
        assert response["disposition"] == "[2207A]测试: 拒绝本次交易"
        assert hub.standing() == []


async def test_what_a_claim_lacks_is_said_and_nothing_is_sent(tmp_path: Path) -> None:
    async with scene(tmp_path, doctor_code="", department_code="") as hub:
        await hub.post(bundle())
        for _ in range(200):
            rows = (await hub.client.get("/admin/deliveries", params={"state": "refused"})).json()[
                "deliveries"
            ]
            if rows:
                break
            await asyncio.sleep(0.05)
        assert (
            "input.data.atddr_no is missing; it comes from: identifier of the Practitioner"
            in rows[0]["error"]
        )
        assert "input.data.dept_code is missing" in rows[0]["error"]
        assert hub.insurer.books()["visits"] == []
