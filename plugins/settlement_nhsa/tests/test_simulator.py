"""The simulated insurer against the interface's samples, and its policy against sums done by hand."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from hub.testing import running
from hub_settlement_nhsa.simulated.books import Insured
from hub_settlement_nhsa.simulated.policy import Drug, Policy
from hub_settlement_nhsa.simulator import Simulator
from plugins.settlement_nhsa.tests.visits import CARD, CONVERSATION, Visit, encode, sample

DRUGS = {"XA10BBB998A001010100002": Drug(level="02", share=Decimal("0.05"))}


def make(**options: Any) -> Simulator:
    return Simulator(auto_enroll=True, drugs=DRUGS, **options)


def names(value: Any) -> Any:
    """Member names at every level; of a list, of its items together."""
    if isinstance(value, dict):
        return {name: names(one) for name, one in value.items()}
    if isinstance(value, list):
        return [names(one) for one in value[:1]]
    return None


async def test_answers_have_the_members_of_the_samples() -> None:
    async with running(make()) as insurer:
        visit = Visit(insurer.address)
        for file in CONVERSATION:
            changed = {"omsgid": visit.envelope("10_2207A")["msgid"]} if file == "14_2601" else {}
            if file == "11_5201":
                changed = {"begntime": "2026-02-02 00:00:00"}
            answer = await visit.say(file, **changed)
            assert answer["infcode"] == 0, (file, answer)
            expected = sample(file)["response"]
            assert names(answer) == names(expected), file
            assert list(answer) == list(expected)


async def test_settles_the_sample_to_the_cent() -> None:
    async with running(make()) as insurer:
        told = (await Visit(insurer.address).until("10_2207A"))["output"]
        expected = sample("10_2207A")["response"]["output"]
        for name, value in expected["setlinfo"].items():
            if isinstance(value, Decimal) and name != "age":
                assert str(told["setlinfo"][name]) == str(value), name
        assert told["setldetail"] == expected["setldetail"]
        lines = insurer.books()["visits"][0]["lines"]
        assert lines == ["2026020200010001", "2026020200010002"]


async def test_second_visit_of_the_year_pays_no_deductible_again() -> None:
    async with running(make()) as insurer:
        await Visit(insurer.address, 1).until("10_2207A")
        told = await Visit(insurer.address, 2).until("10_2207A")
        info = told["output"]["setlinfo"]
        # 116.00 in scope, no deductible left, half of it: 58.00; the person pays 120.00 - 58.00
        assert (info["act_pay_dedc"], info["hifp_pay"], info["psn_cash_pay"]) == (
            Decimal("0.00"), Decimal("58.00"), Decimal("62.00"),
        )  # fmt: skip


async def test_account_pays_first_when_asked() -> None:
    person = Insured(
        psn_no="37050200000000000009", certno=CARD, psn_name="测试甲", gend="1", brdy="1950-01-01",
        insutype="310", insuplc_admdvs="370502", balc=Decimal("20.00"),
    )  # fmt: skip
    async with running(Simulator(persons=[person], drugs=DRUGS, fund_sum_includes_account=True)) as insurer:
        visit = Visit(insurer.address)
        visit.known |= {"insutype": "310", "acct_used_flag": "1"}
        told = (await visit.until("10_2207A"))["output"]
        info = told["setlinfo"]
        assert (info["fund_pay_sumamt"], info["acct_pay"], info["psn_cash_pay"], info["balc"]) == (
            Decimal("63.00"), Decimal("20.00"), Decimal("57.00"), Decimal("0.00"),
        )  # fmt: skip
        paid = {row["fund_pay_type"]: row["fund_payamt"] for row in told["setldetail"]}
        assert paid == {"310100": Decimal("43.00"), "310200": Decimal("20.00")}


@pytest.mark.parametrize(
    ("drug", "expected"),
    [
        # 9 at 8.89 = 80.01; 5 % of it is 4.0005, so 4.00
        (Drug(level="02", share=Decimal("0.05")), ("0.00", "0.00", "4.00", "76.01")),
        # capped at 8.00: 9 x 0.89 = 8.01 over, 10 % of 72.00 = 7.20
        (Drug(level="02", share=Decimal("0.10"), cap=Decimal("8.00")), ("0.00", "8.01", "7.20", "64.80")),
        (Drug(level="03"), ("80.01", "0.00", "0.00", "0.00")),
        (Drug(), ("0.00", "0.00", "0.00", "80.01")),
    ],
)
def test_line_shares_by_hand(drug: Drug, expected: tuple[str, ...]) -> None:
    shares = Policy(drugs={"X": drug}).line("X", Decimal("80.01"), Decimal(9), Decimal("8.89"))
    told = [shares[name] for name in ("fulamt_ownpay_amt", "overlmt_amt", "preselfpay_amt", "inscp_scp_amt")]
    assert [str(one) for one in told] == list(expected)
    assert sum(Decimal(one) for one in expected) == Decimal("80.01")


async def test_one_settlement_per_visit() -> None:
    async with running(make()) as insurer:
        visit = Visit(insurer.address)
        await visit.until("10_2207A")
        again = await visit.say("10_2207A")
        assert again["infcode"] == -2 and "已结算" in again["err_msg"]
        assert len(insurer.books()["settlements"]) == 1


async def test_reversal_is_exact_and_idempotent() -> None:
    async with running(make()) as insurer:
        visit = Visit(insurer.address)
        await visit.until("09_2206A")
        settle = visit.envelope("10_2207A")
        await visit.say("10_2207A")
        msgid = insurer.books()["settlements"][0]["msgid"]
        assert msgid != settle["msgid"]
        for _ in range(2):
            assert (await visit.say("14_2601", omsgid=msgid))["infcode"] == 0
        books = insurer.books()
        assert [one["reversed"] for one in books["settlements"]] == [True]
        assert books["persons"][0]["deducted"] == {str(insurer._time().year): Decimal("0.00")}
        assert (await visit.say("10_2207A"))["infcode"] == 0
        assert [one["reversed"] for one in insurer.books()["settlements"]] == [True, False]


async def test_late_original_settles_after_5204_said_none() -> None:
    async with running(make()) as insurer:
        visit = Visit(insurer.address)
        await visit.until("09_2206A")
        await insurer.act("postpone", kind="2207A", seconds=0.2)
        with pytest.raises(httpx.TransportError):
            await visit.say("10_2207A")
        rows = (await visit.say("13_5204", setl_id=""))["output"]
        assert [row["setl_id"] for row in rows] == [None, None]
        await asyncio.sleep(0.4)
        rows = (await visit.say("13_5204", setl_id=""))["output"]
        assert len({row["setl_id"] for row in rows}) == 1 and rows[0]["setl_id"]


async def test_reversal_fences_a_late_original() -> None:
    async with running(make()) as insurer:
        visit = Visit(insurer.address)
        await visit.until("09_2206A")
        await insurer.act("postpone", kind="2207A", seconds=0.2)
        settle = visit.envelope("10_2207A")
        visit.number -= 1
        with pytest.raises(httpx.TransportError):
            await visit.say("10_2207A")
        assert (await visit.say("14_2601", omsgid=settle["msgid"]))["infcode"] == 0
        await asyncio.sleep(0.4)
        assert insurer.books()["settlements"] == []
        assert insurer.books()["fenced"] == [settle["msgid"]]


@pytest.mark.parametrize(
    ("file", "changed", "text"),
    [
        ("02_1101", {"certno": "370502195001010014"}, "未查询到"),
        ("06_2201", {"ipt_otp_no": "x" * 31}, "长度超过30"),
        ("06_2201", {"dept_code": ""}, "dept_code不能为空"),
        ("06_2201", {"begntime": "2026-02-02"}, "yyyy-MM-dd HH:mm:ss"),
        ("08_2204", {"cnt": "3"}, "cnt应为数值型"),
        ("08_2204", {"pric": Decimal("13.40")}, "不等于单价乘数量"),
        ("09_2206A", {"medfee_sumamt": Decimal("120.01")}, "总额与费用明细"),
        ("10_2207A", {"preselfpay_amt": Decimal("4.01")}, "与预结算不一致"),
    ],
)
async def test_refuses_like_the_real_one(file: str, changed: dict[str, Any], text: str) -> None:
    async with running(make()) as insurer:
        visit = Visit(insurer.address)
        before = [one for one in CONVERSATION[:7] if one < file]
        for one in before:
            assert (await visit.say(one))["infcode"] == 0
        answer = await visit.say(file, **changed)
        assert answer["infcode"] in (-1, -2) and text in answer["err_msg"], answer
        assert answer["output"] is None


async def test_envelope_is_checked() -> None:
    async with running(make()) as insurer:
        visit = Visit(insurer.address)
        await visit.until("02_1101")
        for changed, text in (
            ({"msgid": "H37050200001" + "20260202"}, "msgid格式"),
            ({"msgid": "H37050200002202602020900000001"}, "不一致"),
            ({"insuplc_admdvs": ""}, "insuplc_admdvs"),
            ({"sign_no": "1"}, "签到"),
            ({"infno": "9999"}, "不存在"),
        ):
            body = encode(visit.envelope("06_2201") | changed)
            answer = await visit.post(body)
            assert answer["infcode"] < 0 and text in answer["err_msg"], (changed, answer)
        body = visit.body("06_2201")
        assert (await visit.post(body))["infcode"] == 0
        assert "msgid重复" in (await visit.post(body))["err_msg"]
        question = visit.envelope("13_5204", setl_id="")
        for changed, infcode in (({}, 0), ({}, 0), ({"inf_time": "2026-02-02 10:00:00"}, -1)):
            assert (await visit.post(encode(question | changed)))["infcode"] == infcode


async def test_text_numbers_and_gb18030() -> None:
    async with running(make(infcode_as_text=True, numbers_as_text=True, charset="gb18030")) as insurer:
        visit = Visit(insurer.address)
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.post(insurer.address, content=visit.body("01_9001"))
            assert '"infcode":"0"' in response.content.decode("gb18030")
            sign_no = response.json()["output"]["signinoutb"]["sign_no"]
            visit.known["sign_no"] = sign_no
            response = await client.post(insurer.address, content=visit.body("02_1101"))
        text = response.content.decode("gb18030")
        assert "测试甲" in text and '"age":"' in text
