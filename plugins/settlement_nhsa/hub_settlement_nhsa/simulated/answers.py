"""The shapes of the insurer's answers, member by member, in the order it sends them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hub_settlement_nhsa.simulated.books import Fields, Insured, Line, Settlement, Visit

_VISIT_NULLS = (
    *("adm_dept_codg", "adm_dept_name", "adm_bed", "dscg_maindiag_code", "dscg_maindiag_name"),
    *("dscg_dept_codg", "dscg_dept_name", "dscg_bed", "dscg_way"),
)
_VISIT_MORE_NULLS = (
    *("oprn_oprt_code", "oprn_oprt_name", "otp_diag_info", "inhosp_stas", "die_date", "ipt_days", "fpsc_no"),
    *("matn_type", "birctrl_type", "latechb_flag", "geso_val", "fetts", "fetus_cnt", "pret_flag"),
    *("birctrl_matn_date", "cop_flag"),
)


def person(insured: Insured, age: Decimal) -> Fields:
    """1101."""
    insurance = {
        "balc": insured.balc,
        "insutype": insured.insutype,
        "psn_type": insured.psn_type,
        "psn_insu_stas": "1",
        "psn_insu_date": "2010-01-01",
        "paus_insu_date": None,
        "cvlserv_flag": insured.cvlserv_flag,
        "insuplc_admdvs": insured.insuplc_admdvs,
        "emp_name": insured.emp_name,
    }
    return {"baseinfo": insured.base(age), "insuinfo": [insurance], "idetinfo": []}


def line(row: Fields, amount: Decimal, count: Decimal, price: Decimal, shares: Mapping[str, Any]) -> Fields:
    """One row of 2204's result."""
    return {
        "feedetl_sn": row["feedetl_sn"],
        "det_item_fee_sumamt": amount,
        "cnt": count.quantize(Decimal("0.0001")),
        "pric": price.quantize(Decimal("0.000001")),
        **shares,
        "med_chrgitm_type": "09",
        "bas_medn_flag": "1",
        "hi_nego_drug_flag": "0",
        "chld_medc_flag": None,
        "list_sp_item_flag": None,
        "lmt_used_flag": "0",
        "drt_reim_flag": "0",
        "memo": None,
    }


def settlement(
    insured: Insured,
    age: Decimal,
    envelope: Fields,
    data: Fields,
    setl_id: str | None,
    time: str | None,
    amounts: Mapping[str, Decimal],
) -> Fields:
    """setlinfo of 2206 and 2207; a pre-settlement has no setl_id and no setl_time."""
    return {
        "mdtrt_id": data["mdtrt_id"],
        "setl_id": setl_id,
        **insured.base(age),
        "insutype": insured.insutype,
        "psn_type": insured.psn_type,
        "cvlserv_flag": insured.cvlserv_flag,
        "setl_time": time,
        "mdtrt_cert_type": data["mdtrt_cert_type"],
        "med_type": data["med_type"],
        **amounts,
        "medins_setl_id": envelope["msgid"],
        "clr_optins": insured.insuplc_admdvs if setl_id else None,
        "clr_way": "1" if setl_id else None,
        "clr_type": "11",
    }


def visit(found: Visit, insured: Insured, age: Decimal, settled: Settlement | None) -> Fields:
    """One row of 5201's mdtrtinfo."""
    return {
        "mdtrt_id": found.mdtrt_id,
        **insured.base(age),
        "coner_name": None,
        "tel": None,
        "insutype": insured.insutype,
        "psn_type": insured.psn_type,
        "maf_psn_flag": None,
        "cvlserv_flag": insured.cvlserv_flag,
        "flxempe_flag": None,
        "nwb_flag": None,
        "insu_optins": insured.insuplc_admdvs,
        "emp_name": insured.emp_name,
        "begntime": found.sent["begntime"],
        "endtime": settled.info["setl_time"] if settled else None,
        "mdtrt_cert_type": found.sent["mdtrt_cert_type"],
        "med_type": found.info.get("med_type"),
        "ars_year_ipt_flag": None,
        "pre_pay_flag": None,
        "ipt_otp_no": found.sent["ipt_otp_no"],
        "medrcdno": None,
        "atddr_no": found.sent["atddr_no"],
        "chfpdr_name": found.sent["dr_name"],
        **dict.fromkeys(_VISIT_NULLS),
        "main_cond_dscr": found.info.get("main_cond_dscr") or None,
        "dise_codg": found.info.get("dise_codg") or None,
        "dise_name": found.info.get("dise_name") or None,
        **dict.fromkeys(_VISIT_MORE_NULLS),
        "opter_id": found.sent["opter"],
        "opter_name": found.sent["opter_name"],
        "opt_time": found.time,
        "memo": None,
    }


def told_settlement(found: Settlement, seen: Visit, insured: Insured, institution: str) -> Fields:
    """setlinfo of 5203: other names than 2207 for what the person pays, and no hosp_part_amt."""
    info = found.info
    names = tuple(info)
    amounts = names[names.index("medfee_sumamt") : names.index("psn_part_amt")]
    return {
        "setl_id": found.setl_id,
        "mdtrt_id": found.mdtrt_id,
        "psn_no": info["psn_no"],
        "psn_name": info["psn_name"],
        **{name: info[name] for name in ("psn_cert_type", "certno", "gend", "naty", "brdy", "age")},
        **{name: info[name] for name in ("insutype", "psn_type", "cvlserv_flag")},
        "flxempe_flag": None,
        "nwb_flag": None,
        "insu_optins": insured.insuplc_admdvs,
        "emp_name": insured.emp_name,
        "pay_loc": "2",
        "fixmedins_code": seen.institution,
        "fixmedins_name": institution,
        **dict.fromkeys(("hosp_lv", "fixmedins_poolarea", "lmtpric_hosp_lv", "dedc_hosp_lv")),
        "begndate": seen.sent["begntime"][:10],
        "enddate": info["setl_time"][:10],
        "setl_time": info["setl_time"],
        **{name: info[name] for name in ("mdtrt_cert_type", "med_type", "clr_type", "clr_way", "clr_optins")},
        **{name: info[name] for name in amounts},
        "psn_pay": info["psn_part_amt"],
        "acct_pay": info["acct_pay"],
        "cash_payamt": info["psn_cash_pay"],
        "balc": info["balc"],
        "acct_mulaid_pay": info["acct_mulaid_pay"],
        "medins_setl_id": found.msgid,
        "refd_setl_flag": "1" if found.reversed else "0",
        "year": found.year,
        "dise_codg": seen.info.get("dise_codg") or None,
        "dise_name": seen.info.get("dise_name") or None,
        "invono": found.invono,
        "opter_id": seen.sent["opter"],
        "opter_name": seen.sent["opter_name"],
        "opt_time": info["setl_time"],
    }


def told_line(found: Line, seen: Visit) -> Fields:
    """One row of 5204's output, which is an array."""
    sent, result = found.sent, found.result
    return {
        "mdtrt_id": sent["mdtrt_id"],
        "setl_id": found.setl_id or None,
        "feedetl_sn": sent["feedetl_sn"],
        "rx_drord_no": sent.get("rxno") or None,
        "med_type": seen.info.get("med_type"),
        "fee_ocur_time": sent["fee_ocur_time"],
        "cnt": result["cnt"],
        "pric": result["pric"],
        **{n: sent.get(n) for n in ("sin_dos_dscr", "used_frqu_dscr", "prd_days", "medc_way_dscr")},
        "det_item_fee_sumamt": result["det_item_fee_sumamt"],
        **{name: result[name] for name in ("pric_uplmt_amt", "selfpay_prop", "fulamt_ownpay_amt")},
        **{name: result[name] for name in ("overlmt_amt", "preselfpay_amt", "inscp_scp_amt", "chrgitm_lv")},
        "hilist_code": sent["med_list_codg"],
        "hilist_name": None,
        "list_type": "101",
        "med_list_codg": sent["med_list_codg"],
        "medins_list_codg": sent["medins_list_codg"],
        "medins_list_name": None,
        "med_chrgitm_type": result["med_chrgitm_type"],
        **dict.fromkeys(("prodname", "spec", "dosform_name")),
        **{n: sent[n] for n in ("bilg_dept_codg", "bilg_dept_name", "bilg_dr_codg", "bilg_dr_name")},
        **dict.fromkeys(("acord_dept_codg", "acord_dept_name", "orders_dr_code", "orders_dr_name")),
        "lmt_used_flag": "0",
        "hosp_prep_flag": None,
        "hosp_appr_flag": sent["hosp_appr_flag"],
        **dict.fromkeys(("tcmdrug_used_way", "prodplac_type")),
        "bas_medn_flag": "1",
        "hi_nego_drug_flag": "0",
        **dict.fromkeys(("chld_medc_flag", "etip_flag", "etip_hosp_code", "dscg_tkdrug_flag")),
        **dict.fromkeys(("list_sp_item_flag", "matn_fee_flag")),
        "drt_reim_flag": "0",
        "memo": None,
        "opter_id": sent["opter"],
        "opter_name": sent["opter_name"],
        "opt_time": sent["fee_ocur_time"],
    }
