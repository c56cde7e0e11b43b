"""What the simulated insurer demands of a request, typed by hand from the interface's field lists.

A specification is a length (`30`), a number (`n16,2`: digits in all, decimals), a time (`t`) or a
date (`d`); `!` at the end means required: neither missing nor null nor empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

ENVELOPE = {
    "infno": "6!",
    "msgid": "30!",
    "mdtrtarea_admvs": "6!",
    "insuplc_admdvs": "6",
    "recer_sys_code": "10!",
    "dev_no": "100",
    "dev_safe_info": "2000",
    "cainfo": "1024",
    "signtype": "10",
    "infver": "6!",
    "opter_type": "3!",
    "opter": "30!",
    "opter_name": "50!",
    "inf_time": "t!",
    "fixmedins_code": "12!",
    "fixmedins_name": "200!",
    "sign_no": "30",
}

_SETTLE = {
    "psn_no": "30!",
    "mdtrt_cert_type": "3!",
    "mdtrt_cert_no": "50!",
    "med_type": "6!",
    "medfee_sumamt": "n16,2!",
    "psn_setlway": "6!",
    "mdtrt_id": "30!",
    "chrg_bchno": "30!",
    "acct_used_flag": "1!",
    "insutype": "6!",
}
_SHARES = {
    "invono": "20",
    "fulamt_ownpay_amt": "n16,2!",
    "overlmt_selfpay": "n16,2!",
    "preselfpay_amt": "n16,2!",
    "inscp_scp_amt": "n16,2!",
}

NODES: dict[str, dict[str, dict[str, str]]] = {
    "9001": {"signIn": {"opter_no": "20!", "mac": "20!", "ip": "20!"}},
    "1101": {
        "data": {
            "mdtrt_cert_type": "3!",
            "mdtrt_cert_no": "50!",
            "card_sn": "32",
            "psn_cert_type": "6!",
            "certno": "50",
            "psn_name": "50",
        }
    },
    "2201": {
        "data": {
            "psn_no": "30!",
            "insutype": "6!",
            "begntime": "t!",
            "mdtrt_cert_type": "3!",
            "mdtrt_cert_no": "50!",
            "ipt_otp_no": "30!",
            "atddr_no": "30!",
            "dr_name": "50!",
            "dept_code": "30!",
            "dept_name": "100!",
            "caty": "6!",
        }
    },
    "2202": {"data": {"psn_no": "30!", "mdtrt_id": "30!", "ipt_otp_no": "30!"}},
    "2203A": {
        "mdtrtinfo": {
            "mdtrt_id": "30!",
            "psn_no": "30!",
            "med_type": "6!",
            "begntime": "t!",
            "main_cond_dscr": "1000",
            "dise_codg": "30",
            "dise_name": "500",
        },
        "diseinfo[]": {
            "diag_type": "3!",
            "diag_srt_no": "n2,0!",
            "diag_code": "20!",
            "diag_name": "100!",
            "diag_dept": "50!",
            "dise_dor_no": "30!",
            "dise_dor_name": "50!",
            "diag_time": "t!",
            "vali_flag": "3!",
        },
    },
    "2204": {
        "feedetail[]": {
            "feedetl_sn": "30!",
            "mdtrt_id": "30!",
            "psn_no": "30!",
            "chrg_bchno": "30!",
            "dise_codg": "30",
            "rxno": "30",
            "rx_circ_flag": "3!",
            "fee_ocur_time": "t!",
            "med_list_codg": "50!",
            "medins_list_codg": "150!",
            "det_item_fee_sumamt": "n16,2!",
            "cnt": "n16,4!",
            "pric": "n16,6!",
            "sin_dos_dscr": "200",
            "used_frqu_dscr": "200",
            "prd_days": "n4,2",
            "medc_way_dscr": "200",
            "bilg_dept_codg": "30!",
            "bilg_dept_name": "100!",
            "bilg_dr_codg": "30!",
            "bilg_dr_name": "50!",
            "hosp_appr_flag": "3!",
        }
    },
    "2205": {"data": {"mdtrt_id": "30!", "chrg_bchno": "30!", "psn_no": "30!"}},
    "2206": {"data": _SETTLE},
    "2206A": {"data": _SETTLE},
    "2207": {"data": _SETTLE | _SHARES},
    "2207A": {"data": _SETTLE | _SHARES},
    "2601": {"data": {"psn_no": "30!", "omsgid": "30!", "oinfno": "6!"}},
    "5201": {
        "data": {"psn_no": "30!", "begntime": "t!", "endtime": "t!", "med_type": "6!", "mdtrt_id": "30"}
    },
    "5203": {"data": {"psn_no": "30!", "setl_id": "30!", "mdtrt_id": "30!"}},
    "5204": {"data": {"psn_no": "30!", "setl_id": "30", "mdtrt_id": "30!"}},
}

_MSGID = re.compile(r"([A-Z]\d{11})(\d{14})(\d{4})")


def complaints(envelope: dict[str, Any]) -> Iterator[str]:
    """Everything that is wrong with a request, in the insurer's words; nothing means well formed."""
    yield from _check("", envelope, ENVELOPE)
    yield from _check_msgid(envelope)
    infno = str(envelope.get("infno"))
    if infno not in NODES:
        yield f"交易编号{infno}不存在"
        return
    given = envelope.get("input")
    if not isinstance(given, dict):
        yield "input不能为空"
        return
    for name, fields in NODES[infno].items():
        node = name.removesuffix("[]")
        content = given.get(node)
        items = content if name.endswith("[]") else [content]
        if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
            yield f"{node}节点不能为空"
            continue
        for item in items:
            yield from _check(node + ".", item, fields)
    if any("psn_no" in item for item in _items(given)) and not envelope.get("insuplc_admdvs"):
        yield "入参包含人员编号时参保地医保区划insuplc_admdvs不能为空"


def _items(given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for node in given.values():
        yield from (item for item in (node if isinstance(node, list) else [node]) if isinstance(item, dict))


def _check_msgid(envelope: dict[str, Any]) -> Iterator[str]:
    match = _MSGID.fullmatch(str(envelope.get("msgid")))
    if match is None or not _is_time(match[2], "%Y%m%d%H%M%S"):
        yield "msgid格式错误: 应为定点医药机构编号(12)+时间(14)+顺序号(4)"
    elif match[1] != envelope.get("fixmedins_code"):
        yield "msgid与定点医药机构编号不一致"


def _check(prefix: str, content: dict[str, Any], fields: dict[str, str]) -> Iterator[str]:
    for field, told in fields.items():
        value = content.get(field)
        specification = told.removesuffix("!")
        if value is None or value == "":
            if told.endswith("!"):
                yield f"{prefix}{field}不能为空"
        elif specification == "t":
            if not _is_time(value, "%Y-%m-%d %H:%M:%S"):
                yield f"{prefix}{field}应为yyyy-MM-dd HH:mm:ss"
        elif specification.startswith("n"):
            yield from _check_number(prefix + field, value, specification[1:])
        elif not isinstance(value, str):
            yield f"{prefix}{field}应为字符型"
        elif len(value) > int(specification):
            yield f"{prefix}{field}长度超过{specification}"


def _check_number(name: str, value: Any, size: str) -> Iterator[str]:
    digits, decimals = (int(part) for part in size.split(","))
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        yield f"{name}应为数值型"
        return
    number = Decimal(value)
    if abs(number) >= 10 ** (digits - decimals) or number != round(number, decimals):
        yield f"{name}超出数值型({size})"


def _is_time(value: Any, pattern: str) -> bool:
    try:
        return bool(datetime.strptime(value, pattern).strftime(pattern) == value)
    except (TypeError, ValueError):
        return False
