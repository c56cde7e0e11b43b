"""Prescriptions through a whole hub to the simulated platform, and the goods back: each box once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub import settings
from hub.app import create_app
from hub.testing import running
from hub_procurement_zhejiang.simulator import Simulator

BASE = "https://sanyi-hub.org/fhir"
AMLODIPINE, OTHER = "XC08CAA000A000010100001", "XA10BBB998A001010100002"


def prescription(count: int, code: str = AMLODIPINE, unit: str = "盒") -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": f"{BASE}/CodeSystem/nhsa-drug", "code": code}]},
        "subject": {"display": "测试甲"},
        "dispenseRequest": {"quantity": {"value": count, "unit": unit}},
    }


def goods_receipt(delivery: dict[str, Any], count: int) -> dict[str, Any]:
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
                "valueQuantity": {"value": count, "unit": "盒"},
            }
        ],
    }


class Scene:
    """A hub and its platform."""

    def __init__(self, platform: Simulator, client: httpx.AsyncClient) -> None:
        self.platform = platform
        self.client = client

    async def post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        headers = {"content-type": "application/fhir+json", "prefer": "return=representation"}
        answer = await self.client.post(f"/fhir/{path}", content=json.dumps(content), headers=headers)
        assert answer.status_code in (200, 201), answer.text
        posted: dict[str, Any] = answer.json()
        return posted

    async def prescribe(self, *prescriptions: dict[str, Any]) -> None:
        for one in prescriptions:
            await self.post("MedicationRequest", one)

    async def demand(self) -> dict[str, Any]:
        return await self.post("MedicationRequest/$demand", {"resourceType": "Parameters"})

    async def found(self, query: str) -> list[dict[str, Any]]:
        answer = await self.client.get(f"/fhir/{query}")
        assert answer.status_code == 200, answer.text
        return [entry["resource"] for entry in answer.json().get("entry", [])]

    async def talks(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self.client.get("/admin/conversations")).json()["conversations"]
        return listed

    async def until(self, holds: Callable[[], Awaitable[Any]]) -> Any:
        for _ in range(300):
            if found := await holds():
                return found
            await asyncio.sleep(0.05)
        raise AssertionError((await self.client.get("/admin/deliveries")).text)

    async def over(self, document: str = "place-order", count: int = 1) -> list[dict[str, Any]]:
        """The conversations of a document, once none of them goes on by itself."""

        async def holds() -> list[dict[str, Any]]:
            talks = [talk for talk in await self.talks() if talk["document"].endswith(document)]
            return talks if len(talks) >= count and all(talk["state"] != "running" for talk in talks) else []

        ended: list[dict[str, Any]] = await self.until(holds)
        return ended

    async def deliveries(self, count: int, status: str = "in-progress") -> list[dict[str, Any]]:
        async def holds() -> list[dict[str, Any]]:
            found = [one for one in await self.found("SupplyDelivery") if one["status"] == status]
            return found if len(found) >= count else []

        arrived: list[dict[str, Any]] = await self.until(holds)
        return arrived


@asynccontextmanager
async def hub(folder: Path, platform: Simulator) -> AsyncIterator[Scene]:
    channel = platform.channel() | {
        "adapter": "procurement-zhejiang",
        "mapping": "procurement-zhejiang",
        "conversations": ["procurement-zhejiang/place-order", "procurement-zhejiang/receive-goods"],
        "poll_interval": 0.1,
        "effect_horizon": 0.5,
        "timeout": 1.0,
        "retry_seconds": 0.1,
        "retry_seconds_max": 0.5,
    }
    raw = {"database_url": f"sqlite:///{folder / 'hub.db'}", "channels": {"procurement": channel}}
    app = create_app(settings.build(raw))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080") as client,
    ):
        yield Scene(platform, client)


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    async with running(Simulator()) as platform, hub(folder, platform) as one:
        yield one


async def test_demand_to_receipt_in_two_shipments(tmp_path: Path) -> None:
    async with scene(tmp_path) as one:
        await one.prescribe(prescription(12), prescription(28), prescription(9, OTHER))
        assert len((await one.demand())["parameter"]) == 5
        assert [talk["state"] for talk in await one.over()] == ["done"]
        orders = one.platform.books()["orders"]
        assert {row["hospListId"][-3:]: row["purcCnt"] for row in orders} == {"102": 9, "103": 40}

        requests = await one.found("SupplyRequest")
        lines = {f"SupplyRequest/{each['id']}" for each in requests if "extension" not in each}
        rows = [each for each in requests if "extension" in each]
        assert {each["extension"][0]["valueReference"]["reference"] for each in rows} == lines
        (order,) = [each for each in await one.found("Task") if each["status"] == "accepted"]
        assert order["groupIdentifier"]["value"] == orders[0]["ordCode"]

        await one.platform.act("ship", part=0.6, lot="LOT-A01", expiry="2028-01-31", prod_code=AMLODIPINE)
        (first,) = await one.deliveries(1)
        await one.post("Task", goods_receipt(first, 24))
        await one.deliveries(1, "completed")
        await one.platform.act("ship", lot="LOT-B02", expiry="2028-02-29", prod_code=AMLODIPINE)
        (second,) = await one.deliveries(1)
        await one.post("Task", goods_receipt(second, 16))
        done = await one.deliveries(2, "completed")
        assert one.platform.books()["received_count"] == 40

        lots = {each["id"]: each["batch"]["lotNumber"] for each in await one.found("Medication")}
        supplied = [each["suppliedItem"] for each in done]
        shipped = {
            lots[each["itemReference"]["reference"].partition("/")[2]]: each["quantity"] for each in supplied
        }
        assert shipped == {"LOT-A01": {"value": 24}, "LOT-B02": {"value": 16}}
        assert {each["basedOn"][0]["reference"] for each in done} < {
            f"SupplyRequest/{each['id']}" for each in rows
        }


FAULTS = ["lose-request", "lose-reply", "late", "http-500", "garble", "down"]


@pytest.mark.parametrize(
    ("infno", "what"),
    [(infno, what) for infno in ("ZJ9653", "ZJ9656") for what in FAULTS]
    + [(infno, what) for infno in ("ZJ9652", "ZJ9657") for what in ("lose-reply", "down")],
)
async def test_whatever_goes_wrong_it_is_ordered_once(tmp_path: Path, infno: str, what: Any) -> None:
    async with scene(tmp_path) as one:
        one.platform.faults.add(what, infno, seconds=1.2)
        await one.prescribe(prescription(12), prescription(9, OTHER))
        await one.demand()
        assert [talk["state"] for talk in await one.over()] == ["done"]
        books = one.platform.books()
        assert sorted(row["purcCnt"] for row in books["orders"]) == [9, 12]
        assert sum(plan["sent"] for plan in books["plans"]) == 1
        memos = {row["planDetlMemo"] for plan in books["plans"] for row in plan["rows"]}
        assert len(memos) == sum(len(plan["rows"]) for plan in books["plans"]), "an orphan is recognised"


@pytest.mark.parametrize("what", FAULTS)
async def test_whatever_goes_wrong_it_is_received_once(tmp_path: Path, what: Any) -> None:
    async with scene(tmp_path) as one:
        await one.prescribe(prescription(12))
        await one.demand()
        await one.over()
        await one.platform.act("ship")
        (arrived,) = await one.deliveries(1)
        one.platform.faults.add(what, "ZJ9658", seconds=1.5)
        await one.post("Task", goods_receipt(arrived, 12))
        assert [talk["state"] for talk in await one.over("receive-goods")] == ["done"]
        await one.deliveries(1, "completed")
        assert one.platform.books()["received_count"] == 12


async def test_a_short_receipt_stays_open(tmp_path: Path) -> None:
    async with scene(tmp_path) as one:
        await one.prescribe(prescription(12))
        await one.demand()
        await one.over()
        await one.platform.act("ship")
        (arrived,) = await one.deliveries(1)
        await one.post("Task", goods_receipt(arrived, 10))

        async def told() -> bool:
            (each,) = await one.found("SupplyDelivery")
            return any(extension["url"].endswith("received-quantity") for extension in each["extension"])

        await one.until(told)
        assert (await one.found("SupplyDelivery"))[0]["status"] == "in-progress"


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (prescription(1, "XC09AAA999A001010100099"), "not in the 常用目录"),
        (prescription(84, unit="片"), "only in another package"),
    ],
)
async def test_what_the_catalogue_lacks_is_for_a_person(tmp_path: Path, wanted: Any, why: str) -> None:
    async with scene(tmp_path) as one:
        await one.prescribe(wanted, prescription(9, OTHER))
        await one.demand()
        (talk,) = await one.over()
        assert talk["state"] == "waiting" and why in talk["reason"]
        assert one.platform.books()["plans"] == [], "nothing is ordered short"


async def test_a_refused_plan_orders_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path) as one:
        one.platform.faults.add("refuse", "ZJ9653")
        await one.prescribe(prescription(9, OTHER))
        await one.demand()
        (talk,) = await one.over()
        assert talk["state"] == "refused" and "平台拒绝" in talk["reason"]
        assert one.platform.books()["orders"] == []


async def test_demands_at_the_same_time_order_each_box_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as one:
        await one.prescribe(*(prescription(count) for count in (1, 2, 4)))

        async def later() -> None:
            await one.prescribe(*(prescription(count) for count in (8, 16)))

        await asyncio.gather(one.demand(), one.demand(), later(), one.demand())
        await one.demand()
        tasks = [each for each in await one.found("Task") if each["status"] == "requested"]
        await one.over(count=len(tasks))
        assert sum(row["purcCnt"] for row in one.platform.books()["orders"]) == 31
        repeat = await one.demand()
        assert repeat["parameter"][0]["valueString"] == "nothing to order"


async def test_what_shipped_while_the_hub_was_down_arrives(tmp_path: Path) -> None:
    async with running(Simulator()) as platform:
        async with hub(tmp_path, platform) as one:
            await one.prescribe(prescription(12))
            await one.demand()
            await one.over()
            await platform.act("ship", part=0.5)
            await one.deliveries(1)
        await platform.act("ship")
        async with hub(tmp_path, platform) as one:
            await one.deliveries(2)
            messages = (await one.client.get("/admin/messages")).json()["messages"]
            states = [each["state"] for each in messages if each["kind"] == "ZJ9671"]
            assert states.count("stored") == 2
