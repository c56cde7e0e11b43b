"""The books of the simulated platform: catalogue, plans, orders, shipments, receipts, returns.

Only what the platform itself believes and decides. What no public source states (that a plan is sent
once, that a shipment is received once) is assumed on the strict side.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from importlib.resources import files
from typing import Any

import msgspec

from hub.clock import Clock
from hub_procurement_zhejiang.simulated.rows import Refused, local, money, shaped

HOLD, SEND = (2, -1), 4
"""chkStas of ZJ9653 that keeps a plan unsent; chkStas of ZJ9656 that sends it."""

SUPPLIERS = {"91330199MA2TEXAMPW": "测试配送企业"}


class Item(msgspec.Struct, array_like=True):
    """One row of the catalogue; its columns are those of `catalogue.tsv`."""

    hosp_list_id: str
    prod_code: str
    name: str
    spec: str
    form: str
    package: str
    units: int
    price: Decimal
    supplier: str


def catalogue() -> list[Item]:
    """What the institution may order: invented products, and the one of the sample prescriptions."""
    lines = files(__package__).joinpath("catalogue.tsv").read_text("utf-8").splitlines()[1:]
    return [msgspec.convert(line.split("\t"), Item, strict=False) for line in lines]


class PlanRow(msgspec.Struct, kw_only=True):
    """One accepted row of a plan."""

    id: str
    own_id: str
    item: Item
    count: Decimal
    memo: str
    addr_id: str


class Plan(msgspec.Struct, kw_only=True):
    """A plan, unsent until ZJ9656."""

    code: str
    rows: list[PlanRow]
    contact: str = ""
    phone: str = ""
    title: str = ""
    plan_code: str = ""
    sent: bool = False


class OrderRow(msgspec.Struct, kw_only=True):
    """One row of an order to one supplier.

    status    1 to ship, 2 all shipped, 3 partly shipped, 4 out of stock, 5 void
    response  0 waiting, 1 accepted, 2 refused
    """

    id: str
    order_id: str
    order_code: str
    plan: Plan
    plan_row: PlanRow
    sent: int
    status: str = "1"
    response: str = "0"
    responded: int = 0
    cancelled: int = 0


class Shipment(msgspec.Struct, kw_only=True):
    """What left for one order row in one lot; `status` 2 shipped, 3 received, 4 void."""

    id: str
    code: str
    order: OrderRow
    count: Decimal
    lot: str
    expiry: str
    invoice: str
    invoice_code: str
    shipped: int
    updated: int
    status: str = "2"
    received: Decimal = Decimal(0)
    received_at: int = 0
    returned: Decimal = Decimal(0)
    cancelled: int = 0


class Return(msgspec.Struct, kw_only=True):
    """Goods the institution wants to send back."""

    id: str
    code: str
    shipment: Shipment
    count: Decimal
    reason: str
    asked: int


class Books:
    """Everything the platform knows about one institution."""

    def __init__(self, medins_code: str, medins_name: str, clock: Clock) -> None:
        self.medins_code = medins_code
        self.medins_name = medins_name
        self.clock = clock
        self.catalogue = catalogue()
        self.plans: list[Plan] = []
        self.orders: list[OrderRow] = []
        self.shipments: list[Shipment] = []
        self.returns: list[Return] = []
        self._count = 300

    def number(self) -> str:
        """The next of the platform's 19-digit numbers."""
        self._count += 1
        return f"19{self._count:017d}"

    def coded(self, prefix: str, existing: int) -> str:
        """A number for people: prefix, day, sequence."""
        return f"{prefix}{local(self.clock())[:10].replace('-', '')}{existing + 1:06d}"

    # Plans

    def create(self, data: dict[str, Any]) -> tuple[Plan, list[dict[str, Any]]]:
        """ZJ9653: a plan of the rows that are right, and what is said of each row."""
        if data["chkStas"] not in HOLD:
            raise Refused(f"chkStas {data['chkStas']}: 计划须先保存")
        plan = Plan(
            code=self.number(),
            rows=[],
            contact=data["conerName"],
            phone=data["conerTel"],
            title=data["invottl"],
        )
        told = [self._row(plan, row, data["addrId"]) for row in data["list"]]
        total = sum((money(row["purcCnt"] * row["hospPurcPric"]) for row in data["list"]), Decimal(0))
        if money(data["planSumamt"]) != total:
            raise Refused(f"planSumamt {data['planSumamt']} 与明细合计 {total} 不符")
        self.plans.append(plan)
        return plan, told

    def _row(self, plan: Plan, row: dict[str, Any], addr_id: str) -> dict[str, Any]:
        item = next((found for found in self.catalogue if found.hosp_list_id == row["hospListId"]), None)
        why = "" if item is None else self._complaint(plan, item, row)
        if item is None or why:
            why = why or "hospListId 不在常用目录"
            told = {"returnCode": 1, "returnMsg": why, "hospPurcDetlId": row["hospPurcDetlId"]}
            return shaped("ZJ9653", told)
        kept = PlanRow(
            id=self.number(),
            own_id=row["hospPurcDetlId"],
            item=item,
            count=Decimal(row["purcCnt"]),
            memo=row.get("planDetlMemo") or "",
            addr_id=row.get("addrId") or addr_id,
        )
        plan.rows.append(kept)
        told = {"returnCode": 0, "returnMsg": "成功", "hospPurcDetlId": kept.own_id, "purcPlanDetId": kept.id}
        return shaped("ZJ9653", told)

    def _complaint(self, plan: Plan, item: Item, row: dict[str, Any]) -> str:
        if row["delventpCode"] != item.supplier or row["delventpName"] != SUPPLIERS[item.supplier]:
            return "配送企业与目录不符"
        if Decimal(row["hospPurcPric"]) != item.price:
            return "采购价与目录不符"
        if row["purcCnt"] <= 0 or row["purcCnt"] != int(row["purcCnt"]):
            return "采购数量须为正整数"
        if any(kept.item is item for kept in plan.rows):
            return "同一目录重复"
        return ""

    def plan(self, code: str) -> Plan:
        """The plan of that purcCode."""
        for plan in self.plans:
            if plan.code == code:
                return plan
        raise Refused(f"purcCode {code} 不存在")

    def send(self, plan: Plan, chk_stas: int) -> list[OrderRow]:
        """ZJ9656: the plan becomes one order per supplier."""
        if chk_stas != SEND:
            raise Refused(f"chkStas {chk_stas} 无效")
        if plan.sent:
            raise Refused(f"计划 {plan.code} 已发送")
        if not plan.rows:
            raise Refused(f"计划 {plan.code} 无明细")
        plan.sent = True
        plan.plan_code = self.coded("CG", sum(1 for known in self.plans if known.plan_code))
        orders: dict[str, tuple[str, str]] = {}
        known = len({row.order_id for row in self.orders})
        made = []
        for row in plan.rows:
            if row.item.supplier not in orders:
                orders[row.item.supplier] = (self.number(), self.coded("DD", known + len(orders)))
            order_id, order_code = orders[row.item.supplier]
            made.append(
                OrderRow(
                    id=self.number(),
                    order_id=order_id,
                    order_code=order_code,
                    plan=plan,
                    plan_row=row,
                    sent=self.clock(),
                )
            )
        self.orders.extend(made)
        return made

    def cancel(self, plan: Plan) -> None:
        """ZJ9655: forget an unsent plan, or make void what nobody shipped yet."""
        if not plan.sent:
            self.plans.remove(plan)
            return
        rows = [row for row in self.orders if row.plan is plan]
        if any(shipment.order in rows for shipment in self.shipments):
            raise Refused(f"计划 {plan.code} 已配送")
        for row in rows:
            row.status, row.cancelled = "5", self.clock()

    def plan_sum(self, plan: Plan) -> Decimal:
        """What the accepted rows cost."""
        return sum((money(row.count * row.item.price) for row in plan.rows), Decimal("0.00"))

    def order_sum(self, order_id: str) -> Decimal:
        """What the rows of one order cost."""
        rows = (row.plan_row for row in self.orders if row.order_id == order_id)
        return sum((money(row.count * row.item.price) for row in rows), Decimal("0.00"))

    # Goods

    def shipped(self, row: OrderRow) -> Decimal:
        """How much of the row left so far."""
        return sum((s.count for s in self.shipments if s.order is row and s.status != "4"), Decimal(0))

    def ship(self, row: OrderRow, count: Decimal, code: str, lot: str, expiry: str, invoice: str) -> Shipment:
        """The supplier ships some of a row; more than is open cannot leave."""
        now = self.clock()
        shipment = Shipment(
            id=self.number(),
            code=code,
            order=row,
            count=count,
            lot=lot,
            expiry=expiry,
            invoice=f"INV-ID-{invoice}",
            invoice_code=f"{int(invoice):08d}",
            shipped=now,
            updated=now,
        )
        self.shipments.append(shipment)
        row.status = "2" if self.shipped(row) >= row.plan_row.count else "3"
        if row.response == "0":
            row.response, row.responded = "1", now
        return shipment

    def shipment(self, number: str) -> Shipment:
        """The shipment of that shpId."""
        for shipment in self.shipments:
            if shipment.id == number:
                return shipment
        raise Refused(f"shpId {number} 不存在")

    def receive(self, rows: Iterable[dict[str, Any]]) -> None:
        """ZJ9658: all rows or none; a shipment is received once."""
        checked = []
        for row in rows:
            shipment = self.shipment(row["shpId"])
            if shipment.status != "2" or shipment.received_at:
                raise Refused(f"shpId {shipment.id} 已收货或已作废")
            if not 0 < row["shppCnt"] <= shipment.count:
                raise Refused(f"shpId {shipment.id} 收货数量 {row['shppCnt']} 超出配送数量 {shipment.count}")
            checked.append((shipment, Decimal(row["shppCnt"])))
        for shipment, count in checked:
            shipment.received, shipment.received_at = count, self.clock()
            shipment.updated = shipment.received_at
            if count == shipment.count:
                shipment.status = "3"

    def give_back(self, reason: str, rows: Iterable[dict[str, Any]]) -> None:
        """ZJ9659: ask to return received goods."""
        checked = []
        for row in rows:
            shipment = self.shipment(row["shpId"])
            if not 0 < row["retnCnt"] <= shipment.received - shipment.returned:
                raise Refused(f"shpId {shipment.id} 退货数量 {row['retnCnt']} 超出收货数量")
            checked.append((shipment, Decimal(row["retnCnt"])))
        for shipment, count in checked:
            shipment.returned += count
            shipment.updated = self.clock()
            code = self.coded("TH", len(self.returns))
            self.returns.append(
                Return(
                    id=self.number(),
                    code=code,
                    shipment=shipment,
                    count=count,
                    reason=reason,
                    asked=self.clock(),
                )
            )
