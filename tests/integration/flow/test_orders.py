"""Orders that end by their number alone: the stored one is found, and nothing is guessed."""

from __future__ import annotations

from typing import Any

from hub import r4
from hub.messages import Message
from hub.store import Store
from hub.store.search.parsing import parse_query
from hub.store.search.planner import search
from tests.integration.flow.parts import channel, pipeline

MSH = "MSH|^~\\&|HIS|H37050200001|HUB|HUB|{time}||OMP^O09^OMP_O09|{time}|P|2.4|||||CHN|UNICODE UTF-8"
AMLODIPINE = "RXO|XC08CAA000A000010100001^苯磺酸氨氯地平片^NHSA||||||||||12|盒"
ASPIRIN = "RXO|XC09AAA999A001010100001^测试药甲^NHSA"


def message(time: int, *segments: str, patient: str = "P1") -> Message:
    text = "\r".join((MSH.format(time=time), f"PID|1||{patient}^^^HIS^PI", *segments, ""))
    return Message(key=f"{patient}|{time}", body=text.encode(), kind="OMP^O09", charset="UNICODE UTF-8")


async def states(store: Store) -> list[str]:
    page = await search(store, parse_query("MedicationRequest", []))
    trees: list[dict[str, Any]] = [r4.tree(hit.body) for hit in page.entries]
    return sorted(one["status"] for one in trees)


async def test_an_order_number_alone_ends_the_stored_order(store: Store) -> None:
    flow, his = pipeline(store), channel()
    await flow.take(his, "", message(20260201090000, "ORC|NW|O1||RX", AMLODIPINE, "ORC|NW|O2||RX", ASPIRIN))
    await flow.take(his, "", message(20260201090000, "ORC|NW|O2||RX", AMLODIPINE, patient="P2"))
    outcome = await flow.take(his, "", message(20260202090000, "ORC|CA|O2"))
    assert outcome.code == "accepted"
    page = await search(store, parse_query("MedicationRequest", [("status", "cancelled")]))
    (ended,) = [r4.tree(hit.body) for hit in page.entries]
    assert ended["medicationCodeableConcept"]["text"] == "测试药甲"
    assert [tag["code"] for tag in ended["meta"]["tag"]] == ["claim-not-cancelled"]
    assert len((await search(store, parse_query("MedicationRequest", []))).entries) == 3


async def test_an_order_that_is_not_known_and_one_of_several_are_refused(store: Store) -> None:
    flow, his = pipeline(store), channel()
    unknown = await flow.take(his, "", message(20260201080000, "ORC|CA|CF1"))
    assert [(unknown.code, one.expression) for one in unknown.issues] == [("invalid", "ORC-2.1, ORC-3.1")]
    assert "none is" in unknown.issues[0].diagnostics
    await flow.take(his, "", message(20260201090000, "ORC|NW|CF1||RX", AMLODIPINE, "ORC|NW|CF1||RX", ASPIRIN))
    several = await flow.take(his, "", message(20260202090000, "ORC|CA|CF1"))
    assert (several.code, "several are" in several.issues[0].diagnostics) == ("invalid", True)
    assert await states(store) == ["active", "active"]
    named = await flow.take(his, "", message(20260202090001, "ORC|CA|CF1||RX", ASPIRIN))
    assert named.code == "accepted"
    assert await states(store) == ["active", "cancelled"]


async def test_an_older_end_does_not_overrule_what_came_after_it(store: Store) -> None:
    flow, his = pipeline(store), channel()
    await flow.take(his, "", message(20260203090000, "ORC|NW|O1||RX", AMLODIPINE))
    assert (await flow.take(his, "", message(20260202090000, "ORC|CA|O1"))).code == "accepted"
    assert await states(store) == ["active"]
