"""The simulated platform, held against the samples of the wire format by requests written by hand."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, hmac

from hub.testing import running
from hub_procurement_zhejiang.simulator import TOKEN_PATH, TRANSACTION_PATH, Simulator

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SAMPLES / name).read_text("utf-8"), parse_float=Decimal)
    return loaded


def signed(body: bytes, secret: str = "example-secret-not-real", seconds: int = 0) -> dict[str, str]:
    seconds = seconds or int(time.time())
    signing = hmac.HMAC(secret.encode(), hashes.SM3())
    signing.update(f"{seconds}\n".encode() + body)
    return {"x-ca-key": "H33019900001", "x-ca-signature": f"{seconds}:{signing.finalize().hex().upper()}"}


class Client:
    """A hand-written client: sends the sample's bytes, with ids replaced by those the platform gave."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.token = ""
        self.ids: dict[str, str] = {}

    async def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.post(
                self.simulator.address + path, content=body, headers=signed(body) | headers
            )

    async def sign_in(self) -> dict[str, Any]:
        text = sample("01_token.json")["request"]["body_text"]
        answer: dict[str, Any] = (await self.post(TOKEN_PATH, text.encode())).json()
        self.token = answer["output"]["data"]["accessToken"]
        return answer

    async def ask(self, name: str, **changed: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The platform's answer, and the sample's."""
        told = sample(name)
        text = told["request"]["body_text"]
        for old, new in (self.ids | changed).items():
            text = text.replace(old, new)
        response = await self.post(TRANSACTION_PATH, text.encode(), **{"Access-Token": self.token})
        assert response.status_code == 200
        return json.loads(response.content, parse_float=Decimal), told["response"]

    async def data(self, infno: str, data: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"infno": infno, "input": {"data": data}}).encode()
        answer = (await self.post(TRANSACTION_PATH, body, **{"Access-Token": self.token})).json()
        found: dict[str, Any] = answer["output"]["data"]
        return found


def same_shape(found: Any, expected: Any, path: str = "") -> None:
    """The same members in the same order, and the same kinds of value where both have one."""
    if found is None or expected is None:
        return
    if isinstance(expected, dict):
        assert list(found) == list(expected), path
        for name in expected:
            same_shape(found[name], expected[name], f"{path}.{name}")
    elif isinstance(expected, list):
        assert isinstance(found, list) and bool(found) == bool(expected), path
        for row in found:
            same_shape(row, expected[0], f"{path}[]")
    elif isinstance(expected, Decimal):
        assert isinstance(found, Decimal) and found.as_tuple().exponent == expected.as_tuple().exponent, path
    else:
        assert type(found) is type(expected), path


def test_the_hand_written_client_signs_like_the_vectors() -> None:
    vectors = sample("test_vectors.json")
    for vector in vectors["vectors"]:
        told = signed(vector["body"].encode(), vectors["secret"], vector["ts"])
        assert told["x-ca-signature"].lower() == vector["x-ca-signature"]


async def test_every_answer_has_the_shape_of_its_sample() -> None:
    async with running(Simulator()) as simulator:
        client = Client(simulator)
        same_shape(await client.sign_in(), sample("01_token.json")["response"])
        same_shape(*await client.ask("02_ZJ9652.json"))

        found, expected = await client.ask("03_ZJ9653.json")
        same_shape(found, expected)
        plan = found["output"]["data"]
        assert plan["planSumamt"] == expected["output"]["data"]["planSumamt"] == Decimal("2450.00")
        client.ids["1900000000000000301"] = plan["purcCode"]
        same_shape(*await client.ask("04_ZJ9670.json"))

        found, expected = await client.ask("05_ZJ9656.json")
        same_shape(found, expected)
        rows = found["output"]["data"]["ordDetlIdList"]
        assert [row["purcPlanDetId"] for row in rows] == [row["purcPlanDetId"] for row in plan["dataList"]]
        client.ids |= {
            "1900000000000000411": rows[0]["ordDetlId"],
            "1900000000000000412": rows[1]["ordDetlId"],
        }
        today = time.strftime("%Y-%m-%d")
        same_shape(*await client.ask("06_ZJ9657.json", **{"2026-02-02 23": "2999-01-01 23"}))

        first, second = await ship_twice(simulator)
        client.ids |= {"1900000000000000501": first, "1900000000000000502": second}
        found, expected = await client.ask("07_ZJ9671.json", **{"2026-02-05": "2999-01-01"})
        same_shape(found, expected)
        shipped = found["output"]["data"]["dataList"]
        assert [(row["shpCnt"], row["shpAmt"]) for row in shipped] == [
            (60, Decimal("750.00")),
            (30, Decimal("375.00")),
        ]

        same_shape(*await client.ask("08_ZJ9658.json"))
        same_shape(*await client.ask("09_ZJ9659.json"))
        same_shape(*await client.ask("10_ZJ9660.json", **{"2026-02-06": today}))


async def ship_twice(simulator: Simulator) -> tuple[str, str]:
    drug = "XC09AAA999A001010100001"
    first = await simulator.act("ship", count=60, lot="LOT-A01", expiry="2028-01-31", prod_code=drug)
    second = await simulator.act("ship", part=0.3, lot="LOT-B02", expiry="2028-02-29", prod_code=drug)
    return first[0], second[0]


async def test_partial_shipments_leave_the_row_open_until_all_is_shipped() -> None:
    async with running(Simulator()) as simulator:
        client = Client(simulator)
        await client.sign_in()
        plan = (await client.ask("03_ZJ9653.json"))[0]["output"]["data"]
        assert await simulator.act("ship") == [], "nothing is ordered yet"
        await client.ask("05_ZJ9656.json", **{"1900000000000000301": plan["purcCode"]})
        await ship_twice(simulator)
        assert [row["ordDetlStas"] for row in simulator.books()["orders"]] == ["3", "1"]
        assert len(await simulator.act("ship")) == 2
        assert [row["ordDetlStas"] for row in simulator.books()["orders"]] == ["2", "2"]
        assert [row["shpCnt"] for row in simulator.books()["shipments"]] == [60, 30, 10, 40]
        assert await simulator.act("ship") == [], "nothing is left"


async def test_a_plan_is_sent_once_and_a_shipment_received_once() -> None:
    async with running(Simulator()) as simulator:
        client = Client(simulator)
        await client.sign_in()
        plan = (await client.ask("03_ZJ9653.json"))[0]["output"]["data"]["purcCode"]
        send = {"medinsCode": "H33019900001", "purcCode": plan, "chkStas": 4}
        assert (await client.data("ZJ9656", send))["returnCode"] == 0
        assert "已发送" in (await client.data("ZJ9656", send))["returnMsg"]
        shp_id, _ = await simulator.act("ship")
        for count, code in ((101, 1), (28, 0), (28, 1)):
            rows = {"medinsCode": "H33019900001", "list": [{"shpId": shp_id, "shppCnt": count}]}
            assert (await client.data("ZJ9658", rows))["returnCode"] == code
        assert simulator.books()["received_count"] == 28


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"unknown": "1"}, "未知字段 unknown"),
        ({"chkStas": "2"}, "chkStas 类型须为 Integer"),
        ({"chkStas": 4}, "计划须先保存"),
        ({"planSumamt": 1}, "与明细合计"),
        ({"medinsCode": "H1"}, "与账号不符"),
        ({"list": [{"hospListId": "9"}]}, "缺少字段"),
    ],
)
async def test_plans_are_taken_strictly(change: dict[str, Any], told: str) -> None:
    async with running(Simulator()) as simulator:
        client = Client(simulator)
        await client.sign_in()
        data = json.loads(sample("03_ZJ9653.json")["request"]["body_text"])["input"]["data"]
        answer = await client.data("ZJ9653", data | change)
        assert answer["returnCode"] == 1 and told in answer["returnMsg"]
        assert simulator.books()["plans"] == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hospListId": "9"}, "不在常用目录"),
        ({"delventpName": "x"}, "配送企业"),
        ({"hospPurcPric": 12.49}, "采购价"),
        ({"purcCnt": 0.5}, "正整数"),
        ({"hospListId": "1900000000000000102", "hospPurcPric": 30}, "重复"),
    ],
)
async def test_rows_fail_one_by_one(change: dict[str, Any], told: str) -> None:
    async with running(Simulator()) as simulator:
        client = Client(simulator)
        await client.sign_in()
        data = json.loads(sample("03_ZJ9653.json")["request"]["body_text"])["input"]["data"]
        data["list"] = [data["list"][1], data["list"][0] | change]
        data["planSumamt"] = round(sum(row["purcCnt"] * row["hospPurcPric"] for row in data["list"]), 2)
        answer = await client.data("ZJ9653", data)
        assert [row["returnCode"] for row in answer["dataList"]] == [0, 1]
        assert told in answer["dataList"][1]["returnMsg"]


async def test_the_door_wants_account_signature_and_token() -> None:
    async with running(Simulator()) as simulator:
        client = Client(simulator)
        body = sample("02_ZJ9652.json")["request"]["body_text"].encode()
        assert (await client.post(TRANSACTION_PATH, body)).status_code == 401
        await client.sign_in()
        token = {"Access-Token": client.token}
        assert (await client.post(TRANSACTION_PATH, body, **token)).status_code == 200
        old = {"x-ca-signature": sample("02_ZJ9652.json")["request"]["headers"]["x-ca-signature"]}
        assert (await client.post(TRANSACTION_PATH, body, **token, **old)).status_code == 401
        forged = {"x-ca-signature": signed(body, secret="other")["x-ca-signature"]}
        assert (await client.post(TRANSACTION_PATH, body, **token, **forged)).status_code == 401
        assert (await client.post(TRANSACTION_PATH, body, **token, **{"x-ca-key": "H1"})).status_code == 401
        await simulator.act("forget-tokens")
        assert (await client.post(TRANSACTION_PATH, body, **token)).status_code == 401


async def test_the_outside_world_refuses_voids_and_cancels() -> None:
    async with running(Simulator()) as simulator:
        client = Client(simulator)
        await client.sign_in()
        plan = (await client.ask("03_ZJ9653.json"))[0]["output"]["data"]["purcCode"]
        await client.data("ZJ9656", {"medinsCode": "H33019900001", "purcCode": plan, "chkStas": 4})
        first = simulator.books()["orders"][0]["ordDetlId"]
        await simulator.act("respond", ord_detl_id=first, accept=False)
        (shp_id,) = await simulator.act("ship", count=10)
        await simulator.act("void", shp_id=shp_id)
        assert simulator.books()["shipments"][0]["shpStas"] == "4"
        assert [row["ordDetlStas"] for row in simulator.books()["orders"]] == ["1", "1"]
        cancel = {"medinsCode": "H33019900001", "purcCode": plan}
        assert "已配送" in (await client.data("ZJ9655", cancel))["returnMsg"]
        unsent = (await client.ask("03_ZJ9653.json"))[0]["output"]["data"]["purcCode"]
        assert (await client.data("ZJ9655", cancel | {"purcCode": unsent}))["returnCode"] == 0
        assert len(simulator.books()["plans"]) == 1
