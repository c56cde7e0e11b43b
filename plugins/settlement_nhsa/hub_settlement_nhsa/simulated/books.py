"""What the simulated insurer knows: persons, sign-ins, visits, fee lines, settlements."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from hub_settlement_nhsa.simulated.policy import ZERO

Fields = dict[str, Any]


class Refusal(Exception):
    """The insurer says no; the text is its err_msg, `code` its infcode."""

    def __init__(self, text: str, code: int = -2) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Insured(msgspec.Struct, kw_only=True):
    """One insured person; `deducted` is the deductible used so far, by year."""

    psn_no: str
    certno: str
    psn_name: str
    gend: str
    brdy: str
    naty: str = "01"
    insutype: str = "390"
    psn_type: str = "1501"
    cvlserv_flag: str = "0"
    insuplc_admdvs: str = ""
    emp_name: str = ""
    balc: Decimal = ZERO
    deducted: dict[str, Decimal] = msgspec.field(default_factory=dict)

    def base(self, age: Decimal) -> Fields:
        """The person as every answer names them."""
        return {
            "psn_no": self.psn_no,
            "psn_cert_type": "01",
            "certno": self.certno,
            "psn_name": self.psn_name,
            "gend": self.gend,
            "naty": self.naty,
            "brdy": self.brdy,
            "age": age,
        }


class Line(msgspec.Struct, kw_only=True):
    """One fee line: as it was sent, as 2204 answered, and the settlement that took it (empty: none)."""

    sent: Fields
    result: Fields
    setl_id: str = ""


class Visit(msgspec.Struct, kw_only=True):
    """One registration; `info` and `diagnoses` come with 2203A."""

    mdtrt_id: str
    institution: str
    sent: Fields
    time: str
    info: Fields = msgspec.field(default_factory=dict)
    diagnoses: list[Fields] = msgspec.field(default_factory=list)
    lines: dict[str, Line] = msgspec.field(default_factory=dict)
    settled: str = ""


class Settlement(msgspec.Struct, kw_only=True):
    """One settlement: its answer, and what a reversal gives back."""

    setl_id: str
    msgid: str
    infno: str
    psn_no: str
    mdtrt_id: str
    year: str
    info: Fields
    detail: list[Fields]
    invono: str = ""
    reversed: bool = False


class Books:
    """Everything the insurer has on file; numbers are given out in order."""

    def __init__(self) -> None:
        self.persons: dict[str, Insured] = {}
        self.sign_ins: dict[str, tuple[str, str]] = {}
        self.visits: dict[str, Visit] = {}
        self.settlements: dict[str, Settlement] = {}
        self.fenced: set[str] = set()
        self.messages: dict[str, Fields] = {}
        self._numbers: dict[str, int] = {}

    def number(self, what: str, first: int = 1) -> int:
        """The next number of its kind."""
        self._numbers[what] = self._numbers.get(what, first - 1) + 1
        return self._numbers[what]

    def enroll(self, person: Insured) -> Insured:
        """Take a person in; the identity number is unique."""
        self.persons[person.certno] = person
        return person

    def person(self, psn_no: str) -> Insured:
        """The person behind a psn_no; Refusal if there is none."""
        for person in self.persons.values():
            if person.psn_no == psn_no:
                return person
        raise Refusal("人员编号不存在")

    def visit(self, mdtrt_id: str, psn_no: str, institution: str) -> Visit:
        """The visit of that person at that institution; Refusal if there is none."""
        visit = self.visits.get(mdtrt_id)
        if visit is None or visit.sent["psn_no"] != psn_no or visit.institution != institution:
            raise Refusal("就诊信息不存在")
        return visit

    def settlement_of(self, visit: Visit) -> Settlement | None:
        """The settlement that stands for a visit; a reversed one does not."""
        return self.settlements.get(visit.settled)

    def plain(self) -> Fields:
        """Copies of everything, as plain values with text amounts: what tests compare with."""
        return {
            "persons": [
                {"psn_no": one.psn_no, "certno": one.certno, "deducted": dict(one.deducted)}
                for one in self.persons.values()
            ],
            "visits": [_plain_visit(visit) for visit in self.visits.values()],
            "settlements": list(self._plain_settlements(self.settlements.values())),
            "fenced": sorted(self.fenced),
        }

    def _plain_settlements(self, settlements: Iterable[Settlement]) -> Iterable[Fields]:
        for one in settlements:
            visit = self.visits[one.mdtrt_id]
            yield {
                "setl_id": one.setl_id,
                "msgid": one.msgid,
                "mdtrt_id": one.mdtrt_id,
                "ipt_otp_no": visit.sent["ipt_otp_no"],
                "institution": visit.institution,
                "psn_no": one.psn_no,
                "reversed": one.reversed,
                "medfee_sumamt": one.info["medfee_sumamt"],
                "fund_pay_sumamt": one.info["fund_pay_sumamt"],
                "psn_cash_pay": one.info["psn_cash_pay"],
            }


def _plain_visit(visit: Visit) -> Fields:
    return {
        "mdtrt_id": visit.mdtrt_id,
        "ipt_otp_no": visit.sent["ipt_otp_no"],
        "institution": visit.institution,
        "psn_no": visit.sent["psn_no"],
        "lines": sorted(visit.lines),
        "settled": visit.settled,
    }
