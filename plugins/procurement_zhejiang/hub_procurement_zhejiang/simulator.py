"""A procurement platform on a loopback socket: signatures, tokens, envelopes; the rest is in its books.

    simulator = Simulator()
    await simulator.start()
    Settings(**simulator.channel())                          # an adapter that reaches it
    await simulator.act("ship", part=0.6, lot="LOT-A01", expiry="2028-01-31")
    await simulator.act("ship", lot="LOT-B02", expiry="2028-02-29")     # the rest

Checked against samples of the platform's wire format; it shares no code with the adapter. Faults are
chosen by transaction (`ZJ9653`) or by `token`.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from datetime import date
from decimal import ROUND_UP, Decimal
from typing import Any, ClassVar

import msgspec
from cryptography.hazmat.primitives import hashes
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.clock import Clock, now
from hub.testing import HttpSimulator
from hub_procurement_zhejiang.simulated.books import Books, OrderRow
from hub_procurement_zhejiang.simulated.rows import Refused, strictly, whole
from hub_procurement_zhejiang.simulated.views import ANSWERS, order_row, plan_row, shipment_row

TOKEN_PATH, TRANSACTION_PATH = "/oauth/access-token", "/procurement/api"


class Simulator(HttpSimulator):
    """One platform that knows one institution.

    token_life        seconds a token is good for
    signature_window  seconds a signature's time may differ from the clock; 0: any
    """

    kind: ClassVar[str] = "procurement-zhejiang"

    def __init__(
        self,
        *,
        account: str = "H33019900001",
        medins_name: str = "测试卫生院",
        secret: str = "example-secret-not-real",
        app_code: str = "example-app",
        auth_code: str = "example-auth",
        token_life: float = 1800.0,
        signature_window: float = 300.0,
        clock: Clock = now,
    ) -> None:
        super().__init__(clock=clock)
        self.account = account
        self.medins_name = medins_name
        self.token_life = token_life
        self.signature_window = signature_window
        self._secret, self._app_code, self._auth_code = secret, app_code, auth_code
        self._tokens: dict[str, int] = {}
        self._books = Books(account, medins_name, clock)

    def channel(self) -> dict[str, Any]:
        """The keys of a `[channels.NAME]` table by which an adapter reaches this platform."""
        return {
            "server_host": self.address,
            "sign_in_uri": TOKEN_PATH,
            "service_uri": TRANSACTION_PATH,
            "account": self.account,
            "secret": self._secret,
            "app_code": self._app_code,
            "auth_code": self._auth_code,
            "medins_name": self.medins_name,
            "addr_id": "1900000000000000201",
            "contact_name": "测试联系人",
            "contact_phone": "00000000000",
        }

    def routes(self) -> Sequence[Route]:
        return [
            Route(TOKEN_PATH, self.token, methods=["POST"]),
            Route(TRANSACTION_PATH, self.transaction, methods=["POST"]),
        ]

    # The door

    async def token(self, request: Request) -> Response:
        """The bare token request."""
        body = await request.body()

        async def act() -> Response:
            why = self._unsigned(request, body)
            if why:
                return _no(why, 401)
            if _read(body) != {"appCode": self._app_code, "authCode": self._auth_code}:
                return _no("appCode 或 authCode 错误")
            token = f"example-token-{len(self._tokens) + 1}"
            self._tokens[token] = self.clock() + int(self.token_life * 1_000_000)
            return _yes({"accessToken": token})

        return await self.answer("token", act, refusal=_refusal)

    async def transaction(self, request: Request) -> Response:
        """Every other request."""
        body = await request.body()
        why = self._unsigned(request, body) or self._stranger(request)
        if why:
            return _no(why, 401)
        asked = _read(body)
        infno = asked.get("infno", "") if isinstance(asked, dict) else ""

        async def act() -> Response:
            return self._answered(infno, asked)

        return await self.answer(str(infno), act, subject=asked, refusal=_refusal)

    def _answered(self, infno: str, asked: Any) -> Response:
        if not isinstance(asked, dict) or asked.keys() != {"infno", "input"} or infno not in ANSWERS:
            return _no("infno 或报文结构错误")
        if not isinstance(asked["input"], dict) or asked["input"].keys() != {"data"}:
            return _no("input.data 缺失")
        data = asked["input"]["data"]
        try:
            strictly(infno, data)
            with self.lock:
                return _yes(ANSWERS[infno](self._books, data))
        except Refused as refused:
            return _no(str(refused))
        except (KeyError, TypeError) as error:
            return _no(f"{infno}: 缺少字段 {error}")

    def _unsigned(self, request: Request, body: bytes) -> str:
        """Why the signature does not hold; empty if it does."""
        if request.headers.get("x-ca-key") != self.account:
            return "x-ca-key 未知"
        seconds, _, told = request.headers.get("x-ca-signature", "").partition(":")
        if not seconds.isdigit():
            return "x-ca-signature 格式错误"
        if self.signature_window and abs(self.clock() / 1e6 - int(seconds)) > self.signature_window:
            return "x-ca-signature 时间过期"
        expected = _keyed_sm3(self._secret.encode(), seconds.encode() + b"\n" + body)
        return "" if hmac.compare_digest(expected, told.lower()) else "x-ca-signature 错误"

    def _stranger(self, request: Request) -> str:
        token = request.headers.get("access-token", "")
        return "" if self._tokens.get(token, 0) > self.clock() else "Access-Token 无效"

    # What the outside world does by itself

    async def scene_ship(
        self,
        *,
        part: float | None = None,
        count: int | None = None,
        lot: str = "LOT-A01",
        expiry: str | date = "2028-01-31",
        prod_code: str = "",
        ord_detl_id: str = "",
    ) -> list[str]:
        """Ship open order rows: `count` of each, `part` (0 to 1) of what was ordered, else all that is left.

        Returns the shpIds; rows with nothing open, void or refused are left alone.
        """
        day = expiry if isinstance(expiry, date) else date.fromisoformat(expiry)
        with self.lock:
            code = self._books.coded("PS", len({shipment.code for shipment in self._books.shipments}))
            made = []
            for row in list(self._books.orders):
                amount = self._amount(row, part, count, prod_code, ord_detl_id)
                if amount > 0:
                    invoice = str(len(self._books.shipments) + 1)
                    made.append(self._books.ship(row, amount, code, lot, day.isoformat(), invoice).id)
        return made

    def _amount(
        self, row: OrderRow, part: float | None, count: int | None, prod_code: str, ord_detl_id: str
    ) -> Decimal:
        if row.status in ("4", "5") or row.response == "2":
            return Decimal(0)
        if row.plan_row.item.prod_code != (prod_code or row.plan_row.item.prod_code):
            return Decimal(0)
        if row.id != (ord_detl_id or row.id):
            return Decimal(0)
        left = row.plan_row.count - self._books.shipped(row)
        wanted = left
        if count is not None:
            wanted = Decimal(count)
        elif part is not None:
            wanted = (row.plan_row.count * Decimal(str(part))).quantize(Decimal(1), ROUND_UP)
        return min(left, wanted)

    async def scene_respond(self, *, ord_detl_id: str = "", accept: bool = True) -> None:
        """The supplier accepts or refuses order rows that wait for an answer."""
        with self.lock:
            for row in self._books.orders:
                if row.response == "0" and ord_detl_id in ("", row.id):
                    row.response, row.responded = ("1" if accept else "2"), self.clock()

    async def scene_void(self, *, shp_id: str) -> None:
        """The supplier takes a shipment back before it is received."""
        with self.lock:
            shipment = self._books.shipment(shp_id)
            shipment.status, shipment.cancelled = "4", self.clock()
            shipment.updated = shipment.cancelled
            shipment.order.status = "3" if self._books.shipped(shipment.order) else "1"

    async def scene_receive(self, *, shp_id: str, count: int) -> None:
        """Somebody enters the receipt on the platform's own web page."""
        with self.lock:
            self._books.receive([{"shpId": shp_id, "shppCnt": count}])

    async def scene_forget_tokens(self) -> None:
        """Every token is void from now on."""
        self._tokens = dict.fromkeys(self._tokens, 0)

    def books(self) -> dict[str, Any]:
        """`plans` (with `sent`), `orders`, `shipments`: lists of rows in the platform's words; and counts."""
        with self.lock:
            books = self._books
            return {
                "plans": [
                    {
                        "purcCode": plan.code,
                        "sent": plan.sent,
                        "rows": [plan_row(plan, row) for row in plan.rows],
                    }
                    for plan in books.plans
                ],
                "orders": [order_row(books, row) for row in books.orders],
                "shipments": [shipment_row(books, shipment) for shipment in books.shipments],
                "tokens": len(self._tokens),
                "returns": len(books.returns),
                "ordered": len(books.orders),
                "shipped": len(books.shipments),
                "received": sum(1 for shipment in books.shipments if shipment.received_at),
                "received_count": whole(sum((s.received for s in books.shipments), Decimal(0))),
            }


def _keyed_sm3(key: bytes, text: bytes) -> str:
    """HMAC (RFC 2104) over SM3, written out, so that it can disagree with the adapter's."""

    def sm3(data: bytes) -> bytes:
        digest = hashes.Hash(hashes.SM3())
        digest.update(data)
        return digest.finalize()

    block = (sm3(key) if len(key) > 64 else key).ljust(64, b"\0")
    inner = sm3(bytes(byte ^ 0x36 for byte in block) + text)
    return sm3(bytes(byte ^ 0x5C for byte in block) + inner).hex()


def _read(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=Decimal)
    except ValueError:
        return None


_JSON = msgspec.json.Encoder(decimal_format="number")


def _answer(code: str, data: dict[str, Any] | None, status: int) -> Response:
    body = {"infcode": code, "output": {"data": data}}
    return Response(_JSON.encode(body), status_code=status, media_type="application/json")


def _yes(data: dict[str, Any]) -> Response:
    return _answer("0", {"returnCode": 0, "returnMsg": "成功"} | data, 200)


def _no(why: str, status: int = 200) -> Response:
    code = "0" if status == 200 else str(status)
    return _answer(code, {"returnCode": 1, "returnMsg": why}, status)


async def _refusal() -> Response:
    return _no("平台拒绝")
