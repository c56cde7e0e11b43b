"""The insurer's transactions: a checked request in, the `output` of the answer out, or a Refusal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

import msgspec

from hub_settlement_nhsa.simulated import answers
from hub_settlement_nhsa.simulated.books import Books, Fields, Insured, Line, Refusal, Settlement, Visit
from hub_settlement_nhsa.simulated.policy import ZERO, Policy, cents, details

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How this insurer behaves where regions differ.

    auto_enroll   1101 of an unknown person with a valid identity number takes the person in
    sign_in       a sign_no of 9001 is demanded
    fences        2601 of a settlement that has not come yet keeps it from coming
    oinfno        how 2601 has to name the original transaction
    """

    auto_enroll: bool = False
    sign_in: bool = True
    fences: bool = True
    oinfno: str = "as sent"


class Transactions:
    """All transactions over one set of books, at the local time `time()`."""

    def __init__(self, books: Books, policy: Policy, rules: Rules, time: Callable[[], datetime]) -> None:
        self.books = books
        self.policy = policy
        self.rules = rules
        self.time = time

    def run(self, envelope: Fields) -> Fields | list[Fields] | None:
        """Do what a well-formed request asks. Raises Refusal."""
        infno = envelope["infno"]
        if infno != "9001" and self.rules.sign_in:
            self._signed_in(envelope)
        by_number: dict[str, Callable[[Fields, Fields], Fields | list[Fields] | None]] = {
            "9001": self._sign_in, "1101": self._person, "2201": self._register, "2202": self._withdraw_visit,
            "2203A": self._diagnoses, "2204": self._lines, "2205": self._withdraw_lines,
            "2206": self._presettle, "2206A": self._presettle, "2207": self._settle, "2207A": self._settle,
            "2601": self._reverse, "5201": self._ask_visits, "5203": self._ask_settlement,
            "5204": self._ask_lines,
        }  # fmt: skip
        given = envelope["input"]
        return by_number[infno](envelope, given.get("data", given))

    def _now(self) -> str:
        return self.time().strftime("%Y-%m-%d %H:%M:%S")

    def _age(self, person: Insured) -> Decimal:
        days = (self.time().date() - date.fromisoformat(person.brdy)).days
        return round(Decimal(days) / Decimal("365.25"), 1)

    def _visit(self, envelope: Fields, data: Fields) -> Visit:
        return self.books.visit(data["mdtrt_id"], data["psn_no"], envelope["fixmedins_code"])

    # who asks, and for whom

    def _signed_in(self, envelope: Fields) -> None:
        who = (envelope["fixmedins_code"], envelope["opter"])
        if self.books.sign_ins.get(envelope.get("sign_no") or "") != who:
            raise Refusal("签到编号无效, 请先签到")

    def _sign_in(self, envelope: Fields, given: Fields) -> Fields:
        sign_no = str(self.books.number("sign_no", 359754))
        self.books.sign_ins[sign_no] = (envelope["fixmedins_code"], given["signIn"]["opter_no"])
        return {"signinoutb": {"sign_time": self._now(), "sign_no": sign_no}}

    def _person(self, envelope: Fields, data: Fields) -> Fields:
        certno = data.get("certno") or data["mdtrt_cert_no"]
        person = self.books.persons.get(certno)
        if person is None and self.rules.auto_enroll:
            person = self._enroll(certno, data.get("psn_name") or "", envelope["mdtrtarea_admvs"])
        if person is None:
            raise Refusal("未查询到该人员的参保信息")
        if data.get("psn_name") and data["psn_name"] != person.psn_name:
            raise Refusal("人员姓名与参保信息不一致")
        return answers.person(person, self._age(person))

    def _enroll(self, certno: str, name: str, division: str) -> Insured | None:
        if not _valid_certno(certno):
            return None
        number = self.books.number("psn_no")
        return self.books.enroll(
            Insured(
                psn_no=f"{division}{number:014d}",
                certno=certno,
                psn_name=name,
                gend="1" if int(certno[16]) % 2 else "2",
                brdy=f"{certno[6:10]}-{certno[10:12]}-{certno[12:14]}",
                insuplc_admdvs=division,
                emp_name="测试村",
            )
        )

    # the visit

    def _register(self, envelope: Fields, data: Fields) -> Fields:
        person = self.books.person(data["psn_no"])
        if data["insutype"] != person.insutype:
            raise Refusal("人员未参加该险种")
        institution = envelope["fixmedins_code"]
        for visit in self.books.visits.values():
            if (visit.institution, visit.sent["ipt_otp_no"]) == (institution, data["ipt_otp_no"]):
                raise Refusal("门诊号ipt_otp_no已登记")
        mdtrt_id = f"{institution[1:7]}{self.books.number('mdtrt_id', 101):014d}"
        sent = data | {"opter": envelope["opter"], "opter_name": envelope["opter_name"]}
        visit = Visit(mdtrt_id=mdtrt_id, institution=institution, sent=sent, time=self._now())
        self.books.visits[mdtrt_id] = visit
        return {"data": {"mdtrt_id": mdtrt_id, "psn_no": data["psn_no"], "ipt_otp_no": data["ipt_otp_no"]}}

    def _withdraw_visit(self, envelope: Fields, data: Fields) -> None:
        visit = self._visit(envelope, data)
        if visit.lines:
            raise Refusal("存在费用明细, 不能撤销挂号")
        del self.books.visits[visit.mdtrt_id]

    def _diagnoses(self, envelope: Fields, given: Fields) -> None:
        visit = self._visit(envelope, given["mdtrtinfo"])
        self._open(visit)
        visit.info = given["mdtrtinfo"]
        visit.diagnoses = given["diseinfo"]

    def _open(self, visit: Visit) -> None:
        if visit.settled:
            raise Refusal("该就诊已结算")

    # fee lines

    def _lines(self, envelope: Fields, given: Fields) -> Fields:
        rows: list[Fields] = given["feedetail"]
        taken = [(self._visit(envelope, row), self._line(row)) for row in rows]
        for visit, line in taken:
            self._open(visit)
            number = line.sent["feedetl_sn"]
            if number in visit.lines or sum(row["feedetl_sn"] == number for row in rows) > 1:
                raise Refusal(f"费用明细流水号{number}重复")
            line.sent["opter"], line.sent["opter_name"] = envelope["opter"], envelope["opter_name"]
        batches = {(row["chrg_bchno"], row.get("dise_codg") or "") for row in rows}
        if len(batches) > len({batch for batch, _ in batches}):
            raise Refusal("同一收费批次号病种编号必须一致")
        for visit, line in taken:
            visit.lines[line.sent["feedetl_sn"]] = line
        return {"result": [line.result for _, line in taken]}

    def _line(self, row: Fields) -> Line:
        amount, count, price = (Decimal(row[name]) for name in ("det_item_fee_sumamt", "cnt", "pric"))
        if abs(cents(count * price) - amount) > Decimal("0.01"):
            raise Refusal(f"费用明细{row['feedetl_sn']}: 金额不等于单价乘数量")
        shares = self.policy.line(row["med_list_codg"], cents(amount), count, price)
        return Line(sent=dict(row), result=answers.line(row, cents(amount), count, price, shares))

    def _withdraw_lines(self, envelope: Fields, data: Fields) -> None:
        visit = self._visit(envelope, data)
        for number, line in list(visit.lines.items()):
            if data["chrg_bchno"] in ("0000", line.sent["chrg_bchno"]) and not line.setl_id:
                del visit.lines[number]

    # money

    def _presettle(self, envelope: Fields, data: Fields) -> Fields:
        return self._settlement(envelope, data, "").info_and_detail()

    def _settle(self, envelope: Fields, data: Fields) -> Fields | None:
        if envelope["msgid"] in self.books.fenced:
            raise Refusal("原交易已冲正")
        setl_id = f"{envelope['fixmedins_code'][1:7]}{self.books.number('setl_id', 901):014d}"
        computed = self._settlement(envelope, data, setl_id)
        info = computed.info
        for name in ("fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt", "inscp_scp_amt"):
            if Decimal(data[name]) != info[name]:
                raise Refusal(f"{name}与预结算不一致")
        self._book(computed)
        return computed.info_and_detail()

    def _settlement(self, envelope: Fields, data: Fields, setl_id: str) -> Computed:
        visit = self._visit(envelope, data)
        self._open(visit)
        if not visit.info:
            raise Refusal("未上传就诊信息")
        if visit.info["med_type"] != data["med_type"]:
            raise Refusal("医疗类别与就诊信息不一致")
        lines = [one for one in visit.lines.values() if one.sent["chrg_bchno"] == data["chrg_bchno"]]
        if not lines:
            raise Refusal("未上传费用明细")
        person, year = self.books.person(data["psn_no"]), str(self.time().year)
        amounts = self.policy.amounts(
            [line.result for line in lines],
            deducted=person.deducted.get(year, ZERO),
            balance=person.balc if data["acct_used_flag"] == "1" else ZERO,
        )
        if Decimal(data["medfee_sumamt"]) != amounts["medfee_sumamt"]:
            raise Refusal("医疗费总额与费用明细之和不一致")
        amounts["balc"] = person.balc - amounts["acct_pay"]
        time = self._now() if setl_id else None
        info = answers.settlement(person, self._age(person), envelope, data, setl_id or None, time, amounts)
        detail = details(amounts, person.insutype)
        return Computed(
            visit=visit, person=person, year=year, lines=lines, envelope=envelope, info=info, detail=detail
        )

    def _book(self, computed: Computed) -> None:
        info, person, year = computed.info, computed.person, computed.year
        setl_id = info["setl_id"]
        self.books.settlements[setl_id] = Settlement(
            setl_id=setl_id,
            msgid=computed.envelope["msgid"],
            infno=computed.envelope["infno"],
            psn_no=person.psn_no,
            mdtrt_id=computed.visit.mdtrt_id,
            year=year,
            info=info,
            detail=computed.detail,
            invono=computed.envelope["input"]["data"].get("invono") or "",
        )
        computed.visit.settled = setl_id
        for line in computed.lines:
            line.setl_id = setl_id
        person.deducted[year] = person.deducted.get(year, ZERO) + info["act_pay_dedc"]
        person.balc -= info["acct_pay"]

    def _reverse(self, envelope: Fields, data: Fields) -> None:
        named = envelope["input"]["data"]["oinfno"]
        original = data["omsgid"]
        for settlement in self.books.settlements.values():
            if settlement.msgid == original:
                self._reverse_settlement(settlement, data["psn_no"], named)
                return
        if named[:4] != "2207":
            raise Refusal("该交易不支持冲正")
        if self.rules.fences:
            self.books.fenced.add(original)

    def _reverse_settlement(self, settlement: Settlement, psn_no: str, named: str) -> None:
        expected = settlement.infno[:4] if self.rules.oinfno == "first 4" else settlement.infno
        if settlement.psn_no != psn_no or named != expected:
            raise Refusal("原交易信息不一致")
        if settlement.reversed:
            return
        settlement.reversed = True
        person, visit = self.books.person(settlement.psn_no), self.books.visits[settlement.mdtrt_id]
        person.deducted[settlement.year] -= settlement.info["act_pay_dedc"]
        person.balc += settlement.info["acct_pay"]
        visit.settled = ""
        for line in visit.lines.values():
            if line.setl_id == settlement.setl_id:
                line.setl_id = ""

    # questions

    def _ask_visits(self, envelope: Fields, data: Fields) -> Fields:
        person = self.books.person(data["psn_no"])
        found = [
            answers.visit(visit, person, self._age(person), self.books.settlement_of(visit))
            for visit in self.books.visits.values()
            if visit.institution == envelope["fixmedins_code"]
            and visit.sent["psn_no"] == data["psn_no"]
            and data["begntime"] <= visit.sent["begntime"] <= data["endtime"]
            and visit.info.get("med_type", data["med_type"]) == data["med_type"]
            and (data.get("mdtrt_id") or visit.mdtrt_id) == visit.mdtrt_id
        ]
        return {"mdtrtinfo": found}

    def _ask_settlement(self, envelope: Fields, data: Fields) -> Fields:
        visit = self._visit(envelope, data)
        settlement = self.books.settlements.get(data["setl_id"])
        if settlement is None or settlement.mdtrt_id != visit.mdtrt_id:
            raise Refusal("未查询到结算信息")
        person = self.books.person(settlement.psn_no)
        told = answers.told_settlement(settlement, visit, person, envelope["fixmedins_name"])
        return {"setlinfo": told, "setldetail": settlement.detail}

    def _ask_lines(self, envelope: Fields, data: Fields) -> list[Fields]:
        visit = self._visit(envelope, data)
        wanted = data.get("setl_id") or ""
        lines = [line for line in visit.lines.values() if not wanted or line.setl_id == wanted]
        return [answers.told_line(line, visit) for line in lines]


class Computed(msgspec.Struct, frozen=True, kw_only=True):
    """A settlement worked out and not booked."""

    visit: Visit
    person: Insured
    year: str
    lines: list[Line]
    envelope: Fields
    info: Fields
    detail: list[Fields]

    def info_and_detail(self) -> Fields:
        """The output of 2206 and 2207."""
        return {"setlinfo": self.info, "setldetail": self.detail}


def _valid_certno(certno: str) -> bool:
    if len(certno) != 18 or not certno[:17].isdigit():
        return False
    total = sum(int(digit) * weight for digit, weight in zip(certno, _WEIGHTS, strict=False))
    return "10X98765432"[total % 11] == certno[17].upper()
