"""The adapter: the contract, then what is its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import httpx
import msgspec
import pytest

from hub.adapters import Adapter
from hub.clock import now
from hub.errors import HubError, Misconfigured, OutcomeUnknown, Rejected, Retryable
from hub.messages import Applied, Delivery, Message, NotApplied, Outcome, StillUnknown
from hub.testing import Simulator as AnySimulator
from hub.testing import running
from hub.testing.contract import AdapterContract
from hub_procurement_zhejiang import ProcurementAdapter, ZhejiangSettings
from hub_procurement_zhejiang.simulator import Simulator

QUICK: dict[str, Any] = {"timeout": 0.5, "connect_timeout": 0.5, "poll_interval": 0.05, "effect_horizon": 0}
PLAN = {
    "medinsCode": "H33019900001",
    "planSumamt": 1250,
    "addrId": "1900000000000000201",
    "conerName": "测试联系人",
    "conerTel": "00000000000",
    "invottl": "测试卫生院",
    "chkStas": 2,
    "list": [
        {
            "hospListId": "1900000000000000101",
            "delventpCode": "91330199MA2TEXAMPW",
            "delventpName": "测试配送企业",
            "purcCnt": 100,
            "hospPurcPric": 12.5,
            "planDetlMemo": "HUB-PL-1-01 1",
            "hospPurcDetlId": "HUB-PL-1-01",
        }
    ],
}


def delivery(number: int, infno: str, data: dict[str, Any], **other: Any) -> Delivery:
    body = json.dumps({"infno": infno, "input": {"data": data}}, ensure_ascii=False).encode()
    return Delivery(id=number, channel="target", kind=infno, body=body, created=now(), **other)


def settings(simulator: AnySimulator, **other: Any) -> ZhejiangSettings:
    assert isinstance(simulator, Simulator)
    return ZhejiangSettings(**(simulator.channel() | QUICK | other))


def planned(simulator: AnySimulator) -> str:
    """An unsent plan in the platform's books."""
    assert isinstance(simulator, Simulator)
    plan, _ = simulator._books.create(msgspec.convert(PLAN, dict[str, Any]))
    return plan.code


def send_plan(code: str, number: int = 1) -> Delivery:
    return delivery(number, "ZJ9656", {"medinsCode": "H33019900001", "purcCode": code, "chkStas": 4})


def receipt(shp_id: str, count: int, row: str) -> Delivery:
    data = {"medinsCode": "H33019900001", "list": [{"shpId": shp_id, "shppCnt": count}]}
    return delivery(3, "ZJ9658", data, headers={"ord-detl-id": row})


class Written(AdapterContract):
    adapter_class: ClassVar[type[Adapter]] = ProcurementAdapter

    def settings(self, simulator: AnySimulator) -> ZhejiangSettings:
        return settings(simulator)


class TestOrders(Written):
    """The contract with an order as the effect."""

    def deliveries(self, simulator: AnySimulator) -> Sequence[Delivery]:
        return [send_plan(planned(simulator)), delivery(2, "ZJ9653", PLAN)]

    def effects(self, simulator: AnySimulator) -> int:
        return len(simulator.books()["orders"])

    async def provoke(self, simulator: AnySimulator, adapter: Adapter) -> None:
        await adapter.send(send_plan(planned(simulator)))
        await simulator.act("ship")


class TestReceipts(Written):
    """The contract with a receipt as the effect."""

    def deliveries(self, simulator: AnySimulator) -> Sequence[Delivery]:
        assert isinstance(simulator, Simulator)
        books = simulator._books
        (row,) = books.send(books.plan(planned(simulator)), 4)
        shipment = books.ship(row, row.plan_row.count, "PS1", "LOT-A01", "2028-01-31", "1")
        return [receipt(shipment.id, 100, row.id)]

    def effects(self, simulator: AnySimulator) -> int:
        return int(simulator.books()["received"])

    async def provoke(self, simulator: AnySimulator, adapter: Adapter) -> None:
        self.deliveries(simulator)


async def opened(simulator: Simulator, **other: Any) -> ProcurementAdapter:
    adapter = ProcurementAdapter("target", settings(simulator, **other))
    await adapter.open()
    return adapter


# Tokens


async def test_one_token_serves_until_it_is_old_or_refused() -> None:
    async with running(Simulator()) as simulator:
        adapter = await opened(simulator)
        await adapter.check()
        await adapter.check()
        assert simulator.books()["tokens"] == 1
        await simulator.act("forget-tokens")
        await adapter.check()
        assert simulator.books()["tokens"] == 2
        adapter._token_until = 0
        await asyncio.gather(*(adapter.check() for _ in range(4)))
        assert simulator.books()["tokens"] == 3, "four at once share a token"
        await adapter.close()


async def test_a_token_refused_by_infcode() -> None:
    told = iter(["A1", "A1", "0"])

    def platform(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json=envelope(accessToken="t"))
        return httpx.Response(200, json={"infcode": next(told), "output": {"data": {"returnCode": 0}}})

    with pytest.raises(Misconfigured):
        await mocked(platform, session_refused=("A1",)).check()
    await mocked(platform, session_refused=("A1",)).check()


@pytest.mark.parametrize("wrong", ["secret", "app_code", "account"])
async def test_a_wrong_account_is_a_matter_of_settings(wrong: str) -> None:
    async with running(Simulator()) as simulator:
        adapter = await opened(simulator, **{wrong: "wrong"})
        with pytest.raises(Misconfigured):
            await adapter.check()
        await adapter.close()


async def test_a_wrong_path_is_a_matter_of_settings() -> None:
    async with running(Simulator()) as simulator:
        adapter = await opened(simulator, service_uri="/elsewhere")
        with pytest.raises(Misconfigured, match="service_uri"):
            await adapter.check()
        await adapter.close()


@pytest.mark.parametrize("what", ["lose-request", "lose-reply", "http-500", "garble", "late"])
async def test_no_token_means_certainly_not_sent(what: Any) -> None:
    async with running(Simulator()) as simulator:
        adapter = await opened(simulator)
        simulator.faults.add(what, "token", seconds=2)
        with pytest.raises(Retryable):
            await adapter.send(delivery(1, "ZJ9653", PLAN))
        assert simulator.books()["plans"] == []
        await adapter.close()


# Answers


def envelope(code: int = 0, **data: Any) -> dict[str, Any]:
    return {"infcode": "0", "output": {"data": {"returnCode": code, "returnMsg": "x"} | data}}


def mocked(platform: Any, **other: Any) -> ProcurementAdapter:
    given = {
        "server_host": "https://platform.example",
        "sign_in_uri": "/token",
        "service_uri": "/api",
        "account": "H33019900001",
        "secret": "s",
        "app_code": "a",
        "auth_code": "b",
    }
    adapter = ProcurementAdapter("target", ZhejiangSettings(**(given | other)))
    adapter.transport = httpx.MockTransport(platform)
    return adapter


def answering(response: httpx.Response | Exception) -> ProcurementAdapter:
    def platform(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json=envelope(accessToken="t"))
        assert request.headers["access-token"] == "t"
        if isinstance(response, Exception):
            raise response
        return response

    return mocked(platform)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(429), Retryable),
        (httpx.ConnectTimeout("x"), Retryable),
        (httpx.ReadTimeout("x"), OutcomeUnknown),
        (httpx.WriteError("x"), OutcomeUnknown),
        (httpx.Response(503), OutcomeUnknown),
        (httpx.Response(200, text="<html>"), OutcomeUnknown),
        (httpx.Response(200, json={"infcode": "-1", "output": None}), OutcomeUnknown),
        (httpx.Response(200, json={"infcode": "0", "output": {"data": {}}}), OutcomeUnknown),
        (httpx.Response(404, text="no"), Misconfigured),
        (httpx.Response(302, text=""), Misconfigured),
        (httpx.Response(401, text="no"), Misconfigured),
        (httpx.Response(400, json=envelope(3)), Rejected),
        (httpx.Response(200, json={"infcode": "-2", "err_msg": "no"}), Rejected),
        (httpx.Response(200, json=envelope(dataList=[{"returnCode": 0}, {"returnCode": 1}])), Rejected),
    ],
)
async def test_what_an_answer_means(response: httpx.Response | Exception, error: type[HubError]) -> None:
    adapter = answering(response)
    with pytest.raises(HubError) as told:
        await adapter.send(delivery(1, "ZJ9653", PLAN))
    assert type(told.value) is error
    if isinstance(told.value, Rejected):
        assert isinstance(told.value.reply, Message) and told.value.reply.in_reply_to == 1
    await adapter.close()


async def test_the_reply_is_verbatim_with_its_character_set() -> None:
    body = json.dumps(envelope(prodName="测试珅"), ensure_ascii=False).encode("gb18030")
    adapter = answering(httpx.Response(200, content=body))
    reply = await adapter.send(delivery(1, "ZJ9652", {}))
    assert (reply.body, reply.charset, reply.kind) == (body, "gb18030", "ZJ9652 reply")
    await adapter.close()


async def test_too_long_an_answer_is_unknown() -> None:
    adapter = answering(httpx.Response(200, json=envelope(prodName="x" * 5000)))
    adapter.settings = adapter.settings.model_copy(update={"max_message": 1000})
    with pytest.raises(OutcomeUnknown, match="max_message"):
        await adapter.send(delivery(1, "ZJ9653", PLAN))
    await adapter.close()


# Confirming


async def test_without_a_trace_it_is_not_done_only_after_the_horizon() -> None:
    async with running(Simulator(signature_window=0)) as simulator:
        adapter = await opened(simulator, effect_horizon=600, session_life=10_000)
        send = send_plan(planned(simulator))
        simulator.faults.add("lose-request", "ZJ9656")
        with pytest.raises(OutcomeUnknown):
            await adapter.send(send)
        assert isinstance(await adapter.confirm(send), StillUnknown)
        adapter.clock = lambda: now() + 601_000_000
        assert isinstance(await adapter.confirm(send), NotApplied)
        await adapter.close()


async def test_a_late_order_is_found() -> None:
    async with running(Simulator()) as simulator:
        adapter = await opened(simulator)
        send = send_plan(planned(simulator))
        simulator.faults.add("late", "ZJ9656", seconds=1)
        with pytest.raises(OutcomeUnknown):
            await adapter.send(send)
        told = await adapter.confirm(send)
        assert isinstance(told, Applied) and told.reply is not None
        rows = json.loads(told.reply.body)["output"]["data"]["dataList"]
        assert [row["ordDetlId"] for row in rows] == [row["ordDetlId"] for row in simulator.books()["orders"]]
        await adapter.close()


async def test_nothing_finds_an_unsent_plan() -> None:
    async with running(Simulator()) as simulator:
        adapter = await opened(simulator)
        assert isinstance(await adapter.confirm(delivery(1, "ZJ9653", PLAN)), StillUnknown)
        await adapter.close()


async def test_a_question_that_fails_leaves_it_unknown() -> None:
    async with running(Simulator()) as simulator:
        adapter = await opened(simulator)
        send = send_plan(planned(simulator))
        for what in ("lose-reply", "refuse", "http-500"):
            simulator.faults.add(what, "ZJ9657")
            assert isinstance(await adapter.confirm(send), StillUnknown)
        await adapter.close()


async def test_another_received_count_is_for_a_person() -> None:
    async with running(Simulator()) as simulator:
        adapter = await opened(simulator)
        await adapter.send(send_plan(planned(simulator)))
        (shp_id,) = await simulator.act("ship")
        row = simulator.books()["orders"][0]["ordDetlId"]
        assert isinstance(await adapter.confirm(receipt(shp_id, 100, row)), NotApplied)
        await simulator.act("receive", shp_id=shp_id, count=98)
        assert isinstance(await adapter.confirm(receipt(shp_id, 100, row)), StillUnknown)
        assert isinstance(await adapter.confirm(receipt(shp_id, 98, row)), Applied)
        assert isinstance(await adapter.confirm(receipt("other", 98, row)), StillUnknown)
        without = msgspec.structs.replace(receipt(shp_id, 98, row), headers={})
        assert isinstance(await adapter.confirm(without), StillUnknown)
        await adapter.close()


# Looking for shipments


async def collect(adapter: ProcurementAdapter, cursor: str, wanted: int) -> list[tuple[str, Message]]:
    found: list[tuple[str, Message]] = []
    stream = adapter.receive(cursor)
    while len(found) < wanted:
        place, message = await asyncio.wait_for(anext(stream), 5)
        await adapter.acknowledge(message, Outcome(code="accepted", message=1))
        found.append((place, message))
    await stream.aclose()  # type: ignore[attr-defined]
    return found


async def test_a_shipment_comes_again_only_when_it_changes() -> None:
    async with running(Simulator()) as simulator:
        adapter = await opened(simulator, page_size=1)
        await adapter.send(send_plan(planned(simulator)))
        first, second = (
            (await simulator.act("ship", count=60))[0],
            (await simulator.act("ship", lot="LOT-B02"))[0],
        )
        found = await collect(adapter, "", 2)
        assert [json.loads(message.body)["shpId"] for _, message in found] == [first, second]
        assert found[0][0] < found[1][0], "the window's end comes with its last row"
        assert [(message.kind, message.key.split(":")[0]) for _, message in found] == [
            ("ZJ9671", first),
            ("ZJ9671", second),
        ]

        await simulator.act("receive", shp_id=first, count=60)
        ((_, changed),) = await collect(adapter, found[1][0], 1)
        row = json.loads(changed.body)
        assert (row["shpId"], row["shppCnt"], row["shpStas"]) == (first, 60, "3")
        assert changed.key != found[0][1].key
        await adapter.close()


async def test_the_row_is_the_platforms_own_text() -> None:
    async with running(Simulator()) as simulator:
        adapter = await opened(simulator)
        await adapter.send(send_plan(planned(simulator)))
        await simulator.act("ship", count=60)
        ((_, message),) = await collect(adapter, "", 1)
        assert b'"shpPric":12.50' in message.body
        await adapter.close()


async def test_after_a_restart_the_overlap_shows_the_same_keys() -> None:
    async with running(Simulator()) as simulator:
        before, after = await opened(simulator), await opened(simulator)
        await before.send(send_plan(planned(simulator)))
        await simulator.act("ship")
        ((cursor, first),) = await collect(before, "", 1)
        ((_, again),) = await collect(after, cursor, 1)
        assert again == first
        await before.close()
        await after.close()


async def test_what_could_not_be_kept_is_told_again() -> None:
    async with running(Simulator()) as simulator:
        adapter = await opened(simulator)
        await adapter.send(send_plan(planned(simulator)))
        await simulator.act("ship")
        stream = adapter.receive("")
        _, first = await asyncio.wait_for(anext(stream), 5)
        await adapter.acknowledge(first, Outcome(code="unavailable"))
        _, again = await asyncio.wait_for(anext(stream), 5)
        assert again == first
        await stream.aclose()  # type: ignore[attr-defined]
        await adapter.close()


async def test_a_long_absence_is_asked_in_short_windows() -> None:
    asked: list[tuple[str, str]] = []

    def platform(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json=envelope(accessToken="t"))
        data = json.loads(request.content)["input"]["data"]
        asked.append((data["shpUpdateStartTime"], data["shpUpdateEndTime"]))
        return httpx.Response(200, json=envelope(dataList=[], totalPageCount=0))

    adapter = mocked(platform, poll_overlap=3600, poll_interval=0.01)
    adapter.clock = lambda: 1_770_000_000_000_000
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(adapter.receive("2026-01-20 00:00:00")), 0.2)
    assert asked[:3] == [
        ("2026-01-19 23:00:00", "2026-01-27 00:00:00"),
        ("2026-01-26 23:00:00", "2026-02-02 10:40:00"),
        ("2026-02-02 09:40:00", "2026-02-02 10:40:00"),
    ]
    await adapter.close()


@pytest.mark.parametrize("what", ["lose-reply", "http-500", "refuse", "down"])
async def test_a_poll_without_an_answer_is_tried_again_from_the_cursor(what: Any) -> None:
    async with running(Simulator()) as simulator:
        adapter = await opened(simulator)
        await adapter.send(send_plan(planned(simulator)))
        await simulator.act("ship")
        simulator.faults.add(what, "ZJ9671", seconds=0.1)
        with pytest.raises(Retryable):
            await collect(adapter, "", 1)
        await asyncio.sleep(0.2)
        assert len(await collect(adapter, "", 1)) == 1
        await adapter.close()


async def test_a_cursor_that_is_none_is_a_matter_of_settings() -> None:
    adapter = answering(httpx.Response(200))
    with pytest.raises(Misconfigured, match="cursor"):
        await anext(adapter.receive("yesterday"))


# Settings


def test_secrets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_SECRET", "s3")
    given = answering(httpx.Response(200)).settings.model_dump() | {"secret": "env:PLATFORM_SECRET"}
    read = ZhejiangSettings(**given)
    assert read.secret.get_secret_value() == "s3" and "s3" not in repr(read)
    assert read.medins_code == read.account
    with pytest.raises(ValueError, match="PLATFORM_AUTH"):
        ZhejiangSettings(**(given | {"auth_code": "env:PLATFORM_AUTH"}))


@pytest.mark.parametrize(
    "wrong", [{"server_host": "host"}, {"service_uri": "x"}, {"timezone": "Mars"}, {"x": 1}]
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ZhejiangSettings(**(answering(httpx.Response(200)).settings.model_dump() | wrong))
