"""What the simulated insurance pays: a yearly deductible, one ratio, shares by drug level.

Amounts are CNY with two decimals, rounded half up; every answer keeps the interface's relations:

    medfee_sumamt = fulamt_ownpay_amt + overlmt_selfpay + preselfpay_amt + inscp_scp_amt
    fund_pay_sumamt = the seven funds (+ acct_pay where the region counts the account in)
    medfee_sumamt = funds + psn_part_amt + hosp_part_amt,  psn_part_amt = acct_pay + psn_cash_pay
    medfee_sumamt = sum of setldetail.fund_payamt + psn_cash_pay
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal

import msgspec

ZERO = Decimal("0.00")
NO_CAP = Decimal("999999.000000")
FUNDS = {"310": ("310100", "职工基本医疗保险统筹基金"), "390": ("390100", "城乡居民基本医疗保险基金")}
ACCOUNT = ("310200", "职工基本医疗保险个人账户基金")


def cents(amount: Decimal) -> Decimal:
    """Two decimals, half up."""
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


class Drug(msgspec.Struct, frozen=True, kw_only=True):
    """How one catalogue item is paid.

    level  01 甲 (all in scope), 02 乙 (`share` is paid by the person first), 03 not covered
    cap    highest price in scope; None: no cap
    """

    level: str = "01"
    share: Decimal = Decimal("0.0000")
    cap: Decimal | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """deductible per person and year; ratio paid by the fund above it; drugs by national code."""

    deductible: Decimal = Decimal("30.00")
    ratio: Decimal = Decimal("0.5000")
    drugs: Mapping[str, Drug] = {}
    fund_sum_includes_account: bool = False

    def line(self, code: str, amount: Decimal, count: Decimal, price: Decimal) -> dict[str, Decimal | str]:
        """The shares of one fee line, as 2204 answers them."""
        drug = self.drugs.get(code, Drug())
        if drug.level == "03":
            shares = (amount, ZERO, ZERO, ZERO)
        else:
            over = cents((price - drug.cap) * count) if drug.cap is not None and price > drug.cap else ZERO
            first = cents((amount - over) * drug.share)
            shares = (ZERO, over, first, amount - over - first)
        return {
            "pric_uplmt_amt": NO_CAP if drug.cap is None else drug.cap,
            "selfpay_prop": Decimal("1.0000") if drug.level == "03" else drug.share,
            "fulamt_ownpay_amt": shares[0],
            "overlmt_amt": shares[1],
            "preselfpay_amt": shares[2],
            "inscp_scp_amt": shares[3],
            "chrgitm_lv": drug.level,
        }

    def amounts(
        self, lines: Sequence[Mapping[str, Decimal]], *, deducted: Decimal, balance: Decimal
    ) -> dict[str, Decimal]:
        """All amounts of a settlement; `deducted` of the year so far, `balance` that may be used."""
        total, own, over, first, scope = (
            sum((line[name] for line in lines), ZERO)
            for name in (
                "det_item_fee_sumamt",
                "fulamt_ownpay_amt",
                "overlmt_amt",
                "preselfpay_amt",
                "inscp_scp_amt",
            )
        )
        deductible = min(max(self.deductible - deducted, ZERO), scope)
        fund = cents((scope - deductible) * self.ratio)
        part = total - fund
        account = min(balance, part)
        return {
            "medfee_sumamt": total,
            "fulamt_ownpay_amt": own,
            "overlmt_selfpay": over,
            "preselfpay_amt": first,
            "inscp_scp_amt": scope,
            "act_pay_dedc": deductible,
            "hifp_pay": fund,
            "pool_prop_selfpay": self.ratio,
            "cvlserv_pay": ZERO,
            "hifes_pay": ZERO,
            "hifmi_pay": ZERO,
            "hifob_pay": ZERO,
            "maf_pay": ZERO,
            "oth_pay": ZERO,
            "fund_pay_sumamt": fund + account if self.fund_sum_includes_account else fund,
            "psn_part_amt": part,
            "acct_pay": account,
            "psn_cash_pay": part - account,
            "hosp_part_amt": ZERO,
            "balc": balance - account,
            "acct_mulaid_pay": ZERO,
        }


def details(amounts: Mapping[str, Decimal], insutype: str) -> list[dict[str, Decimal | str | None]]:
    """The rows of setldetail: one per fund that takes part, the account among them if it paid."""
    rows = [(*FUNDS.get(insutype, FUNDS["390"]), amounts["inscp_scp_amt"], amounts["hifp_pay"])]
    if amounts["acct_pay"]:
        rows.append((*ACCOUNT, ZERO, amounts["acct_pay"]))
    return [
        {
            "fund_pay_type": code,
            "inscp_scp_amt": scope,
            "crt_payb_lmt_amt": None,
            "fund_payamt": paid,
            "fund_pay_type_name": name,
            "setl_proc_info": None,
        }
        for code, name, scope, paid in rows
    ]
