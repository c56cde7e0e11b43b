"""What the simulated platform answers: one function per list row and one per transaction.

`ANSWERS` maps a transaction to the function that gives its `output.data`, without returnCode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hub_procurement_zhejiang.simulated.books import (
    SUPPLIERS,
    Books,
    Item,
    OrderRow,
    Plan,
    PlanRow,
    Return,
    Shipment,
)
from hub_procurement_zhejiang.simulated.rows import Refused, local, local_or_null, money, shaped, whole

Data = dict[str, Any]


def catalogue_row(books: Books, item: Item) -> Data:
    return shaped(
        "ZJ9652",
        {
            "convrat": item.units,
            "hospListId": item.hosp_list_id,
            "hospPurcPric": item.price,
            "dosform": item.form,
            "prodName": item.name,
            "medinsName": books.medins_name,
            "delventpCode": item.supplier,
            "prodSpec": item.spec,
            "delventpName": SUPPLIERS[item.supplier],
            "prodCode": item.prod_code,
            "pubonlnStas": "1",
            "prodPac": item.package,
            "UpdateTime": "2026-01-31 10:00:00",
            "pubonlnPric": item.price,
            "medinsCode": books.medins_code,
        },
    )


def plan_row(plan: Plan, row: PlanRow) -> Data:
    return shaped(
        "ZJ9670",
        {
            "purcPlanId": plan.code,
            "planDetlMemo": row.memo or None,
            "purcCnt": whole(row.count),
            "purcPlanDetId": row.id,
            "prodSpec": row.item.spec,
            "delventpName": SUPPLIERS[row.item.supplier],
            "dosform": row.item.form,
            "prodCode": row.item.prod_code,
            "prodName": row.item.name,
            "addrId": row.addr_id,
            "pubonlnPric": row.item.price,
            "addr": "测试地址",
            "purcpric": str(row.item.price),
        },
    )


def order_row(books: Books, row: OrderRow) -> Data:
    item = row.plan_row.item
    return shaped(
        "ZJ9657",
        {
            "ordDetlId": row.id,
            "purcCnt": whole(row.plan_row.count),
            "cnclTime": local_or_null(row.cancelled),
            "hospListId": item.hosp_list_id,
            "conerTel": row.plan.phone,
            "ordId": row.order_id,
            "stroomName": "药库",
            "purcPlanCode": row.plan.plan_code,
            "conerName": row.plan.contact,
            "ordCode": row.order_code,
            "invottl": row.plan.title,
            "prodName": item.name,
            "medinsName": books.medins_name,
            "delventpCode": item.supplier,
            "addr": "测试地址",
            "responseTime": local_or_null(row.responded),
            "ordDetlStas": row.status,
            "responseStatus": row.response,
            "sendTime": local(row.sent),
            "delventpName": SUPPLIERS[item.supplier],
            "ordSumamt": books.order_sum(row.order_id),
            "medinsCode": books.medins_code,
            "purcpric": item.price,
        },
    )


def shipment_row(books: Books, shipment: Shipment) -> Data:
    order, item = shipment.order, shipment.order.plan_row.item
    return shaped(
        "ZJ9671",
        {
            "planDetlMemo": order.plan_row.memo or None,
            "shpPric": item.price,
            "outstoTime": local(shipment.shipped),
            "shpCnt": whole(shipment.count),
            "invoicePrimaryIds": shipment.invoice,
            "ordDetlId": order.id,
            "purcCnt": whole(order.plan_row.count),
            "retnCnt": whole(shipment.returned),
            "cnclTime": local_or_null(shipment.cancelled),
            "expyEndtime": shipment.expiry,
            "hospListId": item.hosp_list_id,
            "ordId": order.order_id,
            "purcPlanCode": order.plan.plan_code,
            "ordCode": order.order_code,
            "shppCnt": whole(shipment.received),
            "prodName": item.name,
            "shpStas": shipment.status,
            "medinsName": books.medins_name,
            "delventpCode": item.supplier,
            "shpTime": local(shipment.shipped),
            "manuLotnum": shipment.lot,
            "shppTime": local_or_null(shipment.received_at),
            "purcAmt": money(order.plan_row.count * item.price),
            "rtnbCnt": 0,
            "shpAmt": money(shipment.count * item.price),
            "shpCode": shipment.code,
            "invoiceCode": shipment.invoice_code,
            "sendTime": local(order.sent),
            "delventpName": SUPPLIERS[item.supplier],
            "shppAmt": money(shipment.received * item.price),
            "shpId": shipment.id,
            "ordSumamt": books.order_sum(order.order_id),
            "invoiceId": shipment.invoice,
            "medinsCode": books.medins_code,
            "purcpric": item.price,
        },
    )


def return_row(books: Books, back: Return) -> Data:
    shipment, item = back.shipment, back.shipment.order.plan_row.item
    return shaped(
        "ZJ9660",
        {
            "retnId": back.id,
            "retnCode": back.code,
            "ordCode": shipment.order.order_code,
            "ordDetlId": shipment.order.id,
            "shpCode": shipment.code,
            "shpId": shipment.id,
            "medinsCode": books.medins_code,
            "medinsName": books.medins_name,
            "delventpCode": item.supplier,
            "delventpName": SUPPLIERS[item.supplier],
            "prodName": item.name,
            "shpCnt": whole(shipment.count),
            "shpPric": item.price,
            "shppCnt": whole(shipment.received),
            "retnCnt": whole(back.count),
            "rtnbCnt": 0,
            "hospListId": item.hosp_list_id,
            "retnChkStas": "1",
            "medinsRetnRea": back.reason,
            "medinsRetnTime": local(back.asked),
            "manuLotnum": shipment.lot,
        },
    )


# Transactions


def catalogue(books: Books, data: Data) -> Data:
    _mine(books, data, "orgCode")
    wanted = [
        item
        for item in books.catalogue
        if _asked(data, "prodCode", item.prod_code) and (data.get("prodName") or "") in item.name
    ]
    return _page(data, [catalogue_row(books, item) for item in wanted])


def create_plan(books: Books, data: Data) -> Data:
    _mine(books, data)
    plan, told = books.create(data)
    return {"purcCode": plan.code, "planSumamt": books.plan_sum(plan), "dataList": told}


def cancel_plan(books: Books, data: Data) -> Data:
    _mine(books, data)
    books.cancel(books.plan(data["purcCode"]))
    return {}


def send_plan(books: Books, data: Data) -> Data:
    _mine(books, data)
    plan = books.plan(data["purcCode"])
    made = books.send(plan, data["chkStas"])
    return {
        "PurcCode": plan.code,
        "purcPlanCode": plan.plan_code,
        "ordDetlIdList": [
            {"ordDetlId": row.id, "purcPlanDetId": row.plan_row.id, "ordId": row.order_id} for row in made
        ],
        "ordIdList": [{"ordId": order_id} for order_id in dict.fromkeys(row.order_id for row in made)],
    }


def plan_detail(books: Books, data: Data) -> Data:
    _mine(books, data)
    plan = books.plan(data["purcCode"])
    return {"data": [plan_row(plan, row) for row in plan.rows]}


def order_detail(books: Books, data: Data) -> Data:
    _mine(books, data)
    rows = [
        row
        for row in books.orders
        if _asked(data, "purcCode", row.plan.code)
        and _asked(data, "delventpCode", row.plan_row.item.supplier)
        and _between(data, "crteTimeUn", "crteTimeEn", local(row.sent))
        and _listed(data, "ordDetlId", row.id)
    ]
    return _page(data, [order_row(books, row) for row in rows])


def shipments(books: Books, data: Data) -> Data:
    _mine(books, data)
    found = [
        shipment
        for shipment in books.shipments
        if _asked(data, "delventpCode", shipment.order.plan_row.item.supplier)
        and _between(data, "shpUpdateStartTime", "shpUpdateEndTime", local(shipment.updated))
        and _listed(data, "ordDetlId", shipment.order.id)
    ]
    return _page(data, [shipment_row(books, shipment) for shipment in found])


def receive_goods(books: Books, data: Data) -> Data:
    _mine(books, data)
    books.receive(data["list"])
    return {}


def apply_return(books: Books, data: Data) -> Data:
    _mine(books, data)
    books.give_back(data["retnRea"], data["list"])
    return {}


def returns(books: Books, data: Data) -> Data:
    _mine(books, data)
    found = [
        back
        for back in books.returns
        if _between(data, "startMedinsRetnTime", "endMedinsRetnTime", local(back.asked))
    ]
    return _page(data, [return_row(books, back) for back in found])


ANSWERS: dict[str, Callable[[Books, Data], Data]] = {
    "ZJ9652": catalogue,
    "ZJ9653": create_plan,
    "ZJ9655": cancel_plan,
    "ZJ9656": send_plan,
    "ZJ9657": order_detail,
    "ZJ9658": receive_goods,
    "ZJ9659": apply_return,
    "ZJ9660": returns,
    "ZJ9670": plan_detail,
    "ZJ9671": shipments,
}


def _mine(books: Books, data: Data, name: str = "medinsCode") -> None:
    if data.get(name) != books.medins_code:
        raise Refused(f"{name} {data.get(name)} 与账号不符")


def _asked(data: Data, name: str, value: str) -> bool:
    """An empty or missing criterion matches everything."""
    return not data.get(name) or data[name] == value


def _between(data: Data, start: str, end: str, moment: str) -> bool:
    """Both ends belong to the span; the text order of such dates is their order in time."""
    return (data.get(start) or "") <= moment <= (data.get(end) or "9999")


def _listed(data: Data, name: str, value: str) -> bool:
    rows = data.get("list")
    return not rows or any(row.get(name) == value for row in rows)


def _page(data: Data, rows: Sequence[Data]) -> Data:
    current, size = data.get("current") or 1, data.get("size") or 10
    if current < 1 or not 1 <= size <= 500:
        raise Refused("current 或 size 无效")
    return {
        "dataList": list(rows[(current - 1) * size : current * size]),
        "currentPageNumber": current,
        "totalPageCount": -(-len(rows) // size),
        "totalRecordCount": len(rows),
    }
