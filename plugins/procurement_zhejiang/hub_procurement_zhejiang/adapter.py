"""The adapter: posts one transaction, asks after an unanswered one, and looks for changed shipments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, ClassVar, cast
from zoneinfo import ZoneInfo

import httpx

from hub.adapters import Adapter, Capabilities
from hub.clock import Clock, now, to_datetime, to_micros
from hub.errors import Misconfigured, OutcomeUnknown, Rejected, Retryable
from hub.messages import (
    Applied,
    Confirmation,
    Delivery,
    Message,
    NotApplied,
    Outcome,
    StillUnknown,
    body_digest,
)
from hub_procurement_zhejiang import wire
from hub_procurement_zhejiang.settings import ZhejiangSettings

SECOND = 1_000_000
ORDER_ROW = "ord-detl-id"
"""Header of a ZJ9658 delivery: the order row by which its receipt can be found again."""


class ProcurementAdapter(Adapter):
    """Zhejiang-type procurement: signed JSON over HTTP, one transaction per send.

    A delivery's body is the whole envelope, its kind the transaction. What is received are shipment
    rows as they change: kind `ZJ9671`, the body is one row in the platform's own characters.
    """

    kind = "procurement-zhejiang"
    Settings = ZhejiangSettings
    capabilities: ClassVar[Capabilities] = Capabilities(reads=True, writes=True, can_confirm=True, polls=True)
    simulator = "hub_procurement_zhejiang.simulator:Simulator"

    transport: httpx.AsyncBaseTransport | None = None
    """Tests put an httpx.MockTransport here before `open`."""
    clock: Clock = staticmethod(now)

    def __init__(self, channel: str, settings: ZhejiangSettings) -> None:
        super().__init__(channel, settings)
        self._client: httpx.AsyncClient | None = None
        self._token, self._token_until = "", 0
        self._one_token = asyncio.Lock()
        self._zone = ZoneInfo(settings.timezone)
        self._born = self.clock()
        self._sent: dict[int, int] = {}
        self._told: set[str] = set()

    @property
    def _settings(self) -> ZhejiangSettings:
        return cast(ZhejiangSettings, self.settings)

    async def open(self) -> None:
        self._connected()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def check(self) -> None:
        """A token, and one row of the catalogue: address, both paths, signature and account are right."""
        data = {"orgCode": self._settings.medins_code, "current": 1, "size": 1}
        await self._asked("ZJ9652", data)

    # Writing

    async def send(self, delivery: Delivery) -> Message:
        """Post one transaction.

        Raises Retryable, Rejected with the reply (also when some rows of a plan were refused),
        OutcomeUnknown, Misconfigured.
        """
        self._sent[delivery.id] = self.clock()
        told, body = await self._transact(delivery.kind, delivery.body)
        del self._sent[delivery.id]
        reply = Message(
            key=f"reply-{delivery.id}-{delivery.attempt}",
            body=body,
            kind=f"{delivery.kind} reply",
            content_type="application/json",
            charset=told.charset,
            in_reply_to=delivery.id,
        )
        if told.verdict == "refused":
            raise Rejected(f"{delivery.kind}: {told.why}", reply=reply)
        return reply

    async def confirm(self, delivery: Delivery) -> Confirmation:
        """Ask ZJ9657 after an unanswered ZJ9656, and ZJ9671 after an unanswered ZJ9658; nothing finds others.

        No trace counts as "not done" only after `effect_horizon`: the request may still be on its way.
        """
        ask = {"ZJ9656": self._order_sent, "ZJ9658": self._goods_received}.get(delivery.kind)
        if ask is None:
            return StillUnknown(f"the platform offers no question that finds a {delivery.kind}")
        try:
            return await ask(delivery)
        except (Retryable, OutcomeUnknown, Rejected) as error:
            return StillUnknown(str(error))

    async def _order_sent(self, delivery: Delivery) -> Confirmation:
        """Order rows exist: the plan was sent; the answer of ZJ9657 stands in for the lost reply."""
        data = self._page(1) | {"purcCode": str(wire.sent_data(delivery.body).get("purcCode", ""))}
        told, body = await self._asked("ZJ9657", data)
        if not told.data.get("dataList"):
            return self._without_trace(delivery, "no order row exists for the plan")
        reply = Message(
            key=f"confirm-{delivery.id}-{delivery.attempt}",
            body=body,
            kind="ZJ9657 reply",
            content_type="application/json",
            charset=told.charset,
            in_reply_to=delivery.id,
        )
        return Applied(reply)

    async def _goods_received(self, delivery: Delivery) -> Confirmation:
        """Every shipment shows the received count that was sent."""
        row_id = delivery.headers.get(ORDER_ROW, "")
        if not row_id:
            return StillUnknown(f"the delivery has no header {ORDER_ROW}; its mapping has to give it")
        counts = {
            str(row.get("shpId")): row.get("shppCnt")
            for page in [page async for page in self._pages("ZJ9671", {"list": [{"ordDetlId": row_id}]})]
            for row in page[0].data.get("dataList") or []
        }
        wanted = {str(row["shpId"]): row["shppCnt"] for row in wire.sent_data(delivery.body).get("list", [])}
        found = {number: counts.get(number) for number in wanted}
        if found == wanted:
            return Applied()
        if all(count is not None and not count for count in found.values()):
            return self._without_trace(delivery, "no receipt is booked")
        return StillUnknown("the platform shows another received count than we sent; somebody has to look")

    def _without_trace(self, delivery: Delivery, why: str) -> Confirmation:
        """Certain only when the last send is long enough ago; before this process began, any was."""
        since = self.clock() - max(delivery.created, self._sent.get(delivery.id, self._born))
        if since < self._settings.effect_horizon * SECOND:
            return StillUnknown(f"{why}; it may still be on its way")
        return NotApplied(why)

    # Reading

    async def receive(self, cursor: str) -> AsyncIterator[tuple[str, Message]]:
        """Yield every shipment row that changed; the cursor is the platform's local time, looked at up to.

        A window's end is given only with the last of its rows, so a stop in between loses none. Rows of
        the overlap that are known already are left out.
        """
        settings = self._settings
        since = self._micros(cursor) if cursor else self.clock() - int(settings.poll_since * SECOND)
        while True:
            until = min(self.clock(), since + int(settings.poll_window * SECOND))
            messages = await self._changed(since - int(settings.poll_overlap * SECOND), until)
            fresh = [message for message in messages if message.key not in self._told]
            for index, message in enumerate(fresh, 1):
                yield self._local(until if index == len(fresh) else since), message
            self._told &= {message.key for message in messages}
            since = until
            if self.clock() - until < settings.poll_interval * SECOND:
                await asyncio.sleep(settings.poll_interval)

    async def acknowledge(self, message: Message, outcome: Outcome) -> None:
        """Nobody waits at the platform; what is durable need not be looked at twice."""
        if outcome.code != "unavailable":
            self._told.add(message.key)

    async def _changed(self, start: int, end: int) -> list[Message]:
        window = {"shpUpdateStartTime": self._local(start), "shpUpdateEndTime": self._local(end)}
        messages: dict[str, Message] = {}
        try:
            async for told, body in self._pages("ZJ9671", window):
                for row in wire.shipment_rows(body):
                    message = self._shipment(row, told.charset)
                    messages[message.key] = message
        except OutcomeUnknown as error:
            raise Retryable(f"a question without an answer is asked again: {error}") from error
        except Rejected as error:
            raise Retryable(f"the platform refuses to list shipments: {error}") from error
        return list(messages.values())

    def _shipment(self, row: wire.Row, charset: str) -> Message:
        return Message(
            key=f"{row.number}:{body_digest(row.body).hex()}",
            body=row.body,
            kind="ZJ9671",
            content_type="application/json",
            charset=charset,
        )

    # Asking

    async def _pages(self, infno: str, criteria: dict[str, Any]) -> AsyncIterator[tuple[wire.Answer, bytes]]:
        page, last = 1, 1
        while page <= last:
            told, body = await self._asked(infno, self._page(page) | criteria)
            yield told, body
            last, page = int(told.data.get("totalPageCount") or 1), page + 1

    def _page(self, number: int) -> dict[str, Any]:
        settings = self._settings
        return {"medinsCode": settings.medins_code, "current": number, "size": settings.page_size}

    async def _asked(self, infno: str, data: dict[str, Any]) -> tuple[wire.Answer, bytes]:
        """The answer of a question, which has no effect; Rejected if the platform says no."""
        told, body = await self._transact(infno, wire.question(infno, data))
        if told.verdict == "refused":
            raise Rejected(f"{infno}: {told.why}")
        return told, body

    # The wire

    async def _transact(self, infno: str, body: bytes) -> tuple[wire.Answer, bytes]:
        """Post with a token, once more with a fresh one if the platform does not accept it."""
        for fresh in (False, True):
            token = await self._access_token(fresh=fresh)
            response = await self._post(infno, self._settings.service_uri, body, token)
            told = wire.read_answer(response.content, self._settings.unknown_codes)
            if response.status_code != 401 and told.code not in self._settings.session_refused:
                return self._judged(infno, response, told), response.content
            self._token = ""
        raise Misconfigured(
            f"channel {self.channel}: the platform refuses a fresh token for {infno}: expected account, "
            f"secret, app_code and auth_code that it knows; it says {told.why or response.status_code}"
        )

    def _judged(self, infno: str, response: httpx.Response, told: wire.Answer) -> wire.Answer:
        status = response.status_code
        if status == 429:
            raise Retryable(f"{infno}: HTTP status 429, too many requests")
        if status >= 500:
            raise OutcomeUnknown(f"{infno}: HTTP status {status}")
        if len(response.content) > self._settings.max_message:
            raise OutcomeUnknown(f"{infno}: the answer is longer than max_message")
        if status >= 300 and told.verdict != "refused":
            raise Misconfigured(
                f"channel {self.channel}: HTTP status {status} for {infno}: expected server_host and "
                f"service_uri that the platform knows, found {response.request.url}"
            )
        if told.verdict == "unknown":
            raise OutcomeUnknown(f"{infno}: {told.why}")
        return told

    async def _access_token(self, *, fresh: bool) -> str:
        """The token at hand, or a new one; asking for one has no effect, so its failures are retryable."""
        async with self._one_token:
            if self._token and self.clock() < self._token_until and not fresh:
                return self._token
            settings = self._settings
            body = wire.token_request(
                settings.app_code.get_secret_value(), settings.auth_code.get_secret_value()
            )
            asked_at = self.clock()
            try:
                response = await self._post("token", settings.sign_in_uri, body)
            except OutcomeUnknown as error:
                raise Retryable(str(error)) from error
            told = wire.read_answer(response.content)
            token = str(told.data.get("accessToken") or "")
            if response.status_code >= 500 or response.status_code == 429 or told.verdict == "unknown":
                raise Retryable(f"token: HTTP status {response.status_code}: {told.why or 'no answer'}")
            if told.verdict == "refused" or not token:
                raise Misconfigured(
                    f"channel {self.channel}: the platform gives no token: expected account, secret, "
                    f"app_code and auth_code that it knows; it says {told.why or 'nothing'}"
                )
            self._token = token
            self._token_until = asked_at + int(settings.session_life * 0.9 * SECOND)
            return token

    async def _post(self, infno: str, path: str, body: bytes, token: str = "") -> httpx.Response:
        settings = self._settings
        seconds = self.clock() // SECOND
        headers = wire.headers(settings.account, settings.secret.get_secret_value(), seconds, body, token)
        try:
            url = f"{settings.server_host}{path}"
            return await self._connected().post(url, content=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Retryable(f"{infno} was not sent: {_reason(error)}") from error
        except httpx.TransportError as error:
            raise OutcomeUnknown(f"{infno} was sent, no answer came: {_reason(error)}") from error
        except httpx.InvalidURL as error:
            raise Misconfigured(f"channel {self.channel}: server_host makes no address: {error}") from error

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            settings = self._settings
            self._client = httpx.AsyncClient(
                transport=self.transport,
                timeout=httpx.Timeout(settings.timeout, connect=settings.connect_timeout),
                trust_env=False,
            )
        return self._client

    def _local(self, micros: int) -> str:
        return to_datetime(micros).astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")

    def _micros(self, local: str) -> int:
        try:
            return to_micros(datetime.strptime(local, "%Y-%m-%d %H:%M:%S").replace(tzinfo=self._zone))
        except ValueError as error:
            raise Misconfigured(
                f"channel {self.channel}: cursor: expected a date and time, found {local!r}"
            ) from error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
