"""The adapter: posts one transaction and says whether it was done, was refused, or nobody knows."""

from __future__ import annotations

import uuid
from typing import ClassVar, cast

import httpx

from hub.adapters import Adapter, Capabilities
from hub.clock import Clock, now
from hub.errors import Misconfigured, OutcomeUnknown, Rejected, Retryable
from hub.messages import Delivery, Message
from hub_settlement_nhsa import fields, wire
from hub_settlement_nhsa.settings import NhsaSettings

_REFUSING = frozenset({400, 401, 403, 404, 405, 406, 415})
"""Statuses by which a gateway turns a request away before the insurer sees it."""


class NhsaAdapter(Adapter):
    """NHSA settlement: JSON over HTTP, one transaction per send.

    A delivery's body is the whole envelope, its business id the msgid, its kind the transaction; a header
    `infno` names the number the region uses for it. Asking after an unknown outcome is left to conversations.
    """

    kind = "settlement-nhsa"
    Settings = NhsaSettings
    capabilities: ClassVar[Capabilities] = Capabilities(writes=True, idempotent=False, can_confirm=False)
    simulator = "hub_settlement_nhsa.simulator:Simulator"

    transport: httpx.AsyncBaseTransport | None = None
    """Tests put an httpx.MockTransport here before `open`."""
    clock: Clock = staticmethod(now)

    _client: httpx.AsyncClient | None = None

    @property
    def _settings(self) -> NhsaSettings:
        return cast(NhsaSettings, self.settings)

    async def open(self) -> None:
        self._connected()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def check(self) -> None:
        """Any HTTP answer means the address is right; it never sends a transaction."""
        try:
            await self._connected().get(self._settings.base_url)
        except httpx.TransportError as error:
            raise Retryable(f"{self._settings.base_url} is not reachable: {_reason(error)}") from error

    async def send(self, delivery: Delivery) -> Message:
        """Post one transaction.

        Raises Retryable, Rejected with the reply (without one: fields are missing or too long, all of them
        are named and nothing was sent), OutcomeUnknown, Misconfigured.
        """
        issues = fields.check(delivery.body, self._settings.optional_fields)
        if issues:
            found = "; ".join(issue.diagnostics for issue in issues)
            raise Rejected(f"{delivery.kind} was not sent, the request is incomplete: {found}")
        response = await self._post(delivery)
        return self._reply(delivery, response)

    async def _post(self, delivery: Delivery) -> httpx.Response:
        body = wire.encode(delivery.body, self._settings.charset)
        url = self._url(delivery.headers.get("infno", delivery.kind))
        charset = self._settings.charset
        headers = {"content-type": f"application/json; charset={charset}"} | self._signature(body)
        try:
            return await self._connected().post(url, content=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Retryable(f"{delivery.kind} was not sent: {_reason(error)}") from error
        except httpx.TransportError as error:
            raise OutcomeUnknown(f"{delivery.kind} was sent, no answer came: {_reason(error)}") from error
        except httpx.InvalidURL as error:
            raise Misconfigured(
                f"channel {self.channel}: base_url and path make no address: {error}"
            ) from error

    def _reply(self, delivery: Delivery, response: httpx.Response) -> Message:
        status, kind = response.status_code, delivery.kind
        if status >= 500:
            raise OutcomeUnknown(f"{kind}: HTTP status {status}")
        if status == 429:
            raise Retryable(f"{kind}: HTTP status 429, too many requests")
        answer = wire.read_answer(response.content, self._settings.system_error)
        if status in _REFUSING and answer.verdict == "unknown":
            raise Misconfigured(
                f"channel {self.channel}: HTTP status {status} for {kind}: expected base_url, path and "
                "security that the region's gateway accepts"
            )
        if answer.verdict == "unknown" or len(response.content) > self._settings.max_message:
            raise OutcomeUnknown(f"{kind}: HTTP status {status}, {answer.why or 'the answer is too long'}")
        reply = Message(
            key=f"reply:{delivery.business_id or delivery.id}",
            body=response.content,
            kind=f"{kind} reply",
            content_type="application/json",
            charset=answer.charset,
            in_reply_to=delivery.id,
        )
        if answer.verdict == "refused":
            raise Rejected(f"{kind}: {answer.why}", reply=reply)
        return reply

    def _url(self, infno: str) -> str:
        settings = self._settings
        path = settings.path
        if settings.routing == "path per transaction":
            if infno not in settings.paths:
                raise Misconfigured(f"channel {self.channel}: paths has no path for transaction {infno}")
            path = settings.paths[infno]
        return f"{settings.base_url}/{path.lstrip('/')}" if path else settings.base_url

    def _signature(self, body: bytes) -> dict[str, str]:
        settings, seconds = self._settings, self.clock() // 1_000_000
        if settings.security == "x-tif":
            token = settings.x_tif_token.get_secret_value()
            return wire.x_tif_headers(settings.x_tif_paasid, token, seconds=seconds, nonce=str(uuid.uuid4()))
        if settings.security == "x-ca":
            secret = settings.x_ca_secret.get_secret_value()
            return wire.x_ca_headers(settings.x_ca_key, secret, seconds=seconds, body=body)
        return {}

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            settings = self._settings
            self._client = httpx.AsyncClient(
                transport=self.transport,
                timeout=httpx.Timeout(settings.timeout, connect=settings.connect_timeout),
                trust_env=False,
            )
        return self._client


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
