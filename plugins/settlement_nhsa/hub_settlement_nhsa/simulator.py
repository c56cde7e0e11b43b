"""The simulated insurer: the national settlement interface over HTTP, with its own books and policy.

    async with running(Simulator(auto_enroll=True)) as insurer:
        insurer.faults.add("lose-reply", "2207A")       # settled, and nobody is told
        await insurer.act("postpone", kind="2207A", seconds=2)   # settles two seconds after the cut
        ...
        insurer.books()["settlements"]

It shares no code with the adapter; tests compare it with samples of the interface, member by member.
Kinds of its faults are transaction numbers. A sample conversation is in `docs/how-to/connect-settlement.md`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from hub.clock import Clock, now, to_datetime
from hub.testing import Fault, HttpSimulator
from hub_settlement_nhsa.simulated.books import Books, Insured, Refusal
from hub_settlement_nhsa.simulated.fields import complaints
from hub_settlement_nhsa.simulated.policy import Drug, Policy
from hub_settlement_nhsa.simulated.transactions import Rules, Transactions

CHINA = timezone(timedelta(hours=8))
ONCE = frozenset({"2201", "2202", "2203A", "2204", "2207", "2207A"})
_JSON = msgspec.json.Encoder(decimal_format="number")


class Simulator(HttpSimulator):
    """Options, all with defaults.

    persons             insured persons, as `Insured`
    auto_enroll         1101 of an unknown person with a valid identity number takes the person in
    deductible, ratio   CNY per person and year; share of the fund above it
    drugs               {national code: Drug}; everything else is level 甲
    fund_sum_includes_account   fund_pay_sumamt counts the personal account in
    sign_in, fences, oinfno     see `Rules`
    infcode_as_text, numbers_as_text   "0" instead of 0; amounts as strings
    charset             of the answers: utf-8 or gb18030
    paths               {infno: path}: each transaction at its own path; empty: one endpoint, any path
    x_tif, x_ca         (account, secret): demand these signatures
    """

    kind: ClassVar[str] = "settlement-nhsa"

    def __init__(
        self,
        *,
        persons: Sequence[Insured] = (),
        auto_enroll: bool = False,
        deductible: Decimal | str = "30.00",
        ratio: Decimal | str = "0.5000",
        drugs: Mapping[str, Drug] | None = None,
        fund_sum_includes_account: bool = False,
        sign_in: bool = True,
        fences: bool = True,
        oinfno: str = "as sent",
        infcode_as_text: bool = False,
        numbers_as_text: bool = False,
        charset: str = "utf-8",
        paths: Mapping[str, str] | None = None,
        x_tif: tuple[str, str] | None = None,
        x_ca: tuple[str, str] | None = None,
        clock: Clock = now,
    ) -> None:
        super().__init__(clock=clock)
        policy = Policy(
            deductible=Decimal(deductible),
            ratio=Decimal(ratio),
            drugs=dict(drugs or {}),
            fund_sum_includes_account=fund_sum_includes_account,
        )
        rules = Rules(auto_enroll=auto_enroll, sign_in=sign_in, fences=fences, oinfno=oinfno)
        self._books = Books()
        for person in persons:
            self._books.enroll(person)
        self._transactions = Transactions(self._books, policy, rules, self._time)
        self._infcode_as_text = infcode_as_text
        self._numbers_as_text = numbers_as_text
        self._charset = charset
        self._fund_sum_includes_account = fund_sum_includes_account
        self._paths = dict(paths or {})
        self._x_tif, self._x_ca = x_tif, x_ca
        self._postponed: list[tuple[str, float]] = []
        self._pending: set[asyncio.Task[None]] = set()

    def books(self) -> dict[str, Any]:
        """persons, visits, settlements (each with msgid, amounts and whether it was reversed), fenced."""
        with self.lock:
            return self._books.plain()

    def channel(self) -> dict[str, Any]:
        """The keys of a `[channels.NAME]` table by which an adapter reaches this insurer.

        They hold what a claim from a small clinic may leave open: who treated, where, and for what kind
        of care (med_type 11, which needs no chronic-disease entitlement).
        """
        table: dict[str, Any] = {
            "base_url": self.address,
            "opter": "D001",
            "opter_name": "测试经办",
            "med_type": "11",
            "doctor_code": "D370502000009",
            "doctor_name": "测试村医",
            "department_code": "A02",
            "fixmedins_name": "测试卫生室",
            "fund_sum_includes_account": self._fund_sum_includes_account,
            "oinfno": self._transactions.rules.oinfno,
        }
        if self._paths:
            table |= {"routing": "path per transaction", "paths": self._paths}
        if self._x_tif is not None:
            table |= {"security": "x-tif", "x_tif_paasid": self._x_tif[0], "x_tif_token": self._x_tif[1]}
        if self._x_ca is not None:
            table |= {"security": "x-ca", "x_ca_key": self._x_ca[0], "x_ca_secret": self._x_ca[1]}
        return table

    def _time(self) -> datetime:
        return to_datetime(self.clock()).astimezone(CHINA)

    # What the outside world does by itself

    async def scene_postpone(self, kind: str = "2207A", seconds: float = 1.0) -> None:
        """The next request of this kind is cut, and takes effect only after `seconds`."""
        self._postponed.append((kind, seconds))

    async def scene_enroll(self, **person: Any) -> None:
        """Somebody becomes insured; the members of `Insured`."""
        with self.lock:
            self._books.enroll(Insured(**person))

    # HTTP

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/{path:path}", self._transact, methods=["POST"])]

    async def _transact(self, request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)
        if not self._signed(request, body):
            return PlainTextResponse("signature does not match", status_code=401)
        envelope = _parse(body)
        if envelope is None:
            return self._reply({}, -1, "报文不是合法的JSON", None)
        infno = str(envelope.get("infno"))
        if self._paths and self._paths.get(infno) != "/" + request.path_params["path"]:
            return PlainTextResponse("no such path", status_code=404)
        return await self._under_faults(infno, envelope)

    async def _under_faults(self, infno: str, envelope: dict[str, Any]) -> Response:
        given: list[Response] = []

        async def act() -> Response:
            given.append(self._take(envelope))
            return given[0]

        async def refuse() -> Response:
            return self._reply(envelope, -2, f"[{infno}]测试: 拒绝本次交易", None)

        async def later() -> Response:
            assert seconds is not None
            task = asyncio.get_running_loop().create_task(self._take_later(envelope, seconds))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)
            return Response()

        seconds = self._next_postponed(infno)
        if seconds is not None:
            self.faults.rules.insert(0, Fault(what="lose-reply", kind=infno))
            return await self.answer(infno, later)
        return await self.answer(infno, act, subject=envelope, refusal=refuse)

    def _next_postponed(self, infno: str) -> float | None:
        for rule in self._postponed:
            if rule[0] == infno:
                self._postponed.remove(rule)
                return rule[1]
        return None

    async def _take_later(self, envelope: dict[str, Any], seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._take(envelope)

    def _take(self, envelope: dict[str, Any]) -> Response:
        """Check, do, answer; one request at a time."""
        infno = envelope.get("infno")
        with self.lock:
            wrong = list(complaints(envelope))
            if not wrong and self._is_repeated(envelope):
                wrong = ["msgid重复"]
            if wrong:
                return self._reply(envelope, -1, f"[{infno}]" + "; ".join(wrong), None)
            try:
                output = self._transactions.run(envelope)
            except Refusal as refusal:
                return self._reply(envelope, refusal.code, f"[{infno}]{refusal.text}", None)
            return self._reply(envelope, 0, None, output)

    def _is_repeated(self, envelope: dict[str, Any]) -> bool:
        """A msgid serves once; only a question or a withdrawal may come again, letter by letter."""
        known = self._books.messages.setdefault(envelope["msgid"], envelope)
        return known is not envelope and (envelope["infno"] in ONCE or known != envelope)

    def _reply(self, envelope: dict[str, Any], infcode: int, text: str | None, output: Any) -> Response:
        time = self._time()
        division = str(envelope.get("mdtrtarea_admvs") or "000000")[:4] + "00"
        stamp = time.strftime("%Y%m%d%H%M%S")
        with self.lock:
            number = self._books.number("inf_refmsgid", 7001)
        answer = {
            "infcode": str(infcode) if self._infcode_as_text else infcode,
            "inf_refmsgid": f"{division}{stamp}{number:010d}",
            "refmsg_time": f"{stamp}{time.microsecond // 1000:03d}",
            "respond_time": f"{stamp}{time.microsecond // 1000:03d}",
            "err_msg": text,
            "output": _as_text(output) if self._numbers_as_text else output,
        }
        body = _JSON.encode(answer)
        if self._charset != "utf-8":
            body = body.decode().encode(self._charset)
        return Response(body, media_type="application/json")

    def _signed(self, request: Request, body: bytes) -> bool:
        head = request.headers
        if self._x_tif is not None:
            time, nonce = head.get("x-tif-timestamp", ""), head.get("x-tif-nonce", "")
            expected = hashlib.sha256((time + self._x_tif[1] + nonce + time).encode()).hexdigest()
            given = (head.get("x-tif-paasid", ""), head.get("x-tif-signature", ""))
            if given != (self._x_tif[0], expected):
                return False
        if self._x_ca is not None:
            time, _, signature = head.get("x-ca-signature", "").partition(":")
            expected = hmac.new(self._x_ca[1].encode(), time.encode() + b"\n" + body, "sm3").hexdigest()
            if (head.get("x-ca-key", ""), signature.lower()) != (self._x_ca[0], expected):
                return False
        return True


def _parse(body: bytes) -> dict[str, Any] | None:
    for charset in ("utf-8", "gb18030"):
        try:
            envelope = json.loads(body.decode(charset), parse_float=Decimal)
        except ValueError:
            continue
        return envelope if isinstance(envelope, dict) else None
    return None


def _as_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _as_text(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_as_text(one) for one in value]
    return str(value) if isinstance(value, Decimal) else value
