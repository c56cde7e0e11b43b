"""The insurer's amounts must add up, to the cent, before they become a stored ClaimResponse.

    I1  medfee_sumamt   = fulamt_ownpay_amt + overlmt_selfpay + preselfpay_amt + inscp_scp_amt
    I2  fund_pay_sumamt = hifp_pay + cvlserv_pay + hifes_pay + hifmi_pay + hifob_pay + maf_pay + oth_pay
    I3  medfee_sumamt   = fund_pay_sumamt + psn_part_amt + hosp_part_amt
    I4  psn_part_amt    = acct_pay + psn_cash_pay + acct_mulaid_pay
    I5  medfee_sumamt   = sum of setldetail.fund_payamt + psn_cash_pay

Where a region counts the personal account into fund_pay_sumamt (setting `fund_sum_includes_account`),
I2 adds acct_pay on the right and I3 takes it off. A relation of which an amount was not told is not
judged (5203 tells no hosp_part_amt, a reversal leaves some null); acct_mulaid_pay counts as 0 then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from hub.errors import Issue
from hub.hookspecs import Rule

AMOUNT_SYSTEM = "/CodeSystem/nhsa-adjudication"
FUND_SYSTEM = "/CodeSystem/fund-pay-type"

_SHARES = ("fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt", "inscp_scp_amt")
_FUNDS = ("hifp_pay", "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay")


def check(response: dict[str, Any], values: dict[str, Any]) -> Sequence[Issue]:
    """Issues for every relation that does not hold; none for a ClaimResponse without NHSA amounts."""
    amounts = dict(_by_code(response, AMOUNT_SYSTEM))
    if "medfee_sumamt" not in amounts:
        return []
    funds = [amount for _, amount in _by_code(response, FUND_SYSTEM)]
    with_account = values.get("fund_sum_includes_account") in (True, "true")
    issues = []
    for name, left, right in _relations(amounts, funds, with_account):
        if left[1] != right[1]:
            issues.append(
                Issue(
                    code="business-rule",
                    expression="ClaimResponse.adjudication",
                    diagnostics=f"{name}: {left[0]} is {left[1]:.2f}, but {right[0]} is {right[1]:.2f}",
                )
            )
    return issues


SETTLEMENT_ADDS_UP = Rule(name="nhsa-settlement-adds-up", resource="ClaimResponse", check=check)

Side = tuple[str, Decimal]


def _relations(
    amounts: dict[str, Decimal], funds: Sequence[Decimal], with_account: bool
) -> Iterator[tuple[str, Side, Side]]:
    """(name, left, right) of every relation whose amounts were all told."""
    told = {"acct_mulaid_pay": Decimal(0)} | amounts
    account = ("acct_pay",) if with_account else ()
    for name, total, parts, less in (
        ("I1", "medfee_sumamt", _SHARES, ()),
        ("I2", "fund_pay_sumamt", _FUNDS + account, ()),
        ("I3", "medfee_sumamt", ("fund_pay_sumamt", "psn_part_amt", "hosp_part_amt"), account),
        ("I4", "psn_part_amt", ("acct_pay", "psn_cash_pay", "acct_mulaid_pay"), ()),
    ):
        if all(part in told for part in (total, *parts, *less)):
            text = " + ".join(parts) + "".join(f" - {part}" for part in less)
            added = sum((told[part] for part in parts), Decimal(0)) - sum(
                (told[part] for part in less), Decimal(0)
            )
            yield name, (total, told[total]), (text, added)
    if "psn_cash_pay" in told:
        paid = sum(funds, Decimal(0)) + told["psn_cash_pay"]
        yield "I5", ("medfee_sumamt", told["medfee_sumamt"]), ("sum of fund_payamt + psn_cash_pay", paid)


def _by_code(response: dict[str, Any], system: str) -> Iterator[tuple[str, Decimal]]:
    for adjudication in response.get("adjudication") or ():
        value = (adjudication.get("amount") or {}).get("value")
        for coding in (adjudication.get("category") or {}).get("coding") or ():
            if str(coding.get("system")).endswith(system) and isinstance(value, int | Decimal):
                yield str(coding.get("code")), Decimal(value)
