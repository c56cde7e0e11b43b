"""I1 to I5 on the sample settlement, and every amount in turn off by one cent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hub_settlement_nhsa.rules import check
from plugins.settlement_nhsa.tests.visits import sample

BASE = "https://sanyi-hub.org/fhir"


def response(account: bool = False, **changed: Decimal | None) -> dict[str, Any]:
    output = sample("10_2207A")["response"]["output"]
    info = {name: value for name, value in output["setlinfo"].items() if isinstance(value, Decimal)}
    info |= changed
    funds = {row["fund_pay_type"]: row["fund_payamt"] for row in output["setldetail"]}
    if account:
        info |= {
            "acct_pay": Decimal("7.00"),
            "psn_cash_pay": Decimal("70.00"),
            "fund_pay_sumamt": Decimal("50.00"),
        }
        funds["310200"] = Decimal("7.00")
    told = [("nhsa-adjudication", *item) for item in info.items()] + [
        ("fund-pay-type", *item) for item in funds.items()
    ]
    return {
        "resourceType": "ClaimResponse",
        "adjudication": [
            {
                "category": {"coding": [{"system": f"{BASE}/CodeSystem/{system}", "code": code}]},
                "amount": {"value": value, "currency": "CNY"},
            }
            for system, code, value in told
            if value is not None
        ],
    }


def broken(resource: dict[str, Any], **values: Any) -> list[str]:
    return [issue.diagnostics[:2] for issue in check(resource, values)]


def test_the_sample_adds_up() -> None:
    assert broken(response()) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("preselfpay_amt", ["I1"]),
        ("maf_pay", ["I2"]),
        ("hosp_part_amt", ["I3"]),
        ("acct_pay", ["I4"]),
        ("psn_part_amt", ["I3", "I4"]),
        ("psn_cash_pay", ["I4", "I5"]),
        ("fund_pay_sumamt", ["I2", "I3"]),
        ("medfee_sumamt", ["I1", "I3", "I5"]),
    ],
)
def test_one_cent_off(name: str, expected: list[str]) -> None:
    value = sample("10_2207A")["response"]["output"]["setlinfo"][name] + Decimal("0.01")
    assert broken(response(**{name: value})) == expected


def test_an_issue_names_the_relation_and_both_sums() -> None:
    (issue,) = check(response(maf_pay=Decimal("0.01")), {})
    assert issue.severity == "error"
    assert issue.diagnostics.startswith("I2: fund_pay_sumamt is 43.00, but hifp_pay + ")
    assert issue.diagnostics.endswith(" is 43.01")


def test_amounts_that_were_not_told_are_not_judged() -> None:
    assert broken(response(hosp_part_amt=None, acct_mulaid_pay=None)) == []
    assert broken({"resourceType": "ClaimResponse", "outcome": "error"}) == []


def test_regions_count_the_account_differently() -> None:
    counted_in = response(account=True)
    assert broken(counted_in, fund_sum_includes_account=True) == []
    assert broken(counted_in, fund_sum_includes_account=False) == ["I2", "I3"]
