"""rest-hook: takes notifications to their endpoints, http://hl7.org/fhir/R4/subscription.html#channels

Without a payload an empty POST to the endpoint; with one, the version that called for the notification is
sent as an update, `PUT [endpoint]/[type]/[id]`. Endpoint and headers are those of the Subscription as it is
now, so that mending it lets what waits go on. Unlike the adapters of plugins, this one reads the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, ClassVar

from hub import r4
from hub.adapters import Adapter, AdapterSettings, Capabilities
from hub.errors import NotFound, Rejected, Retryable
from hub.messages import Delivery, Message
from hub.store.backend import Reader
from hub.store.reading import get, version
from hub.subscriptions.acceptance import header
from hub.subscriptions.endpoints import Endpoints
from hub.subscriptions.payload import rendered

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
READ_BYTES = 65_536
"""Of an answer's body, which is of no interest; so much is read that the connection can be kept."""


class RestHook(Adapter):
    """The hub's own adapter of the channel `subscriptions`."""

    kind: ClassVar[str] = "rest-hook"
    capabilities: ClassVar[Capabilities] = Capabilities(writes=True, idempotent=True)

    def __init__(self, channel: str, store: Reader, endpoints: Endpoints) -> None:
        super().__init__(channel, AdapterSettings())
        self._store = store
        self._endpoints = endpoints
        self._client: httpx.AsyncClient | None = None

    async def send(self, delivery: Delivery) -> Message | None:
        """One notification. Raises Retryable unless the endpoint answers 2xx in time."""
        import httpx  # loaded when there is something to send

        try:
            request = await self._request(delivery)
        except NotFound as error:
            raise Rejected(str(error)) from error
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status = await self._sent(request)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Retryable(f"the endpoint did not answer within {ANSWER_SECONDS:.0f} s") from error
        except httpx.ConnectError as error:
            raise Retryable("no connection to the endpoint") from error
        except httpx.HTTPError as error:
            raise Retryable("the connection to the endpoint broke off") from error
        if not 200 <= status < 300:
            raise Retryable(f"the endpoint answered with HTTP status {status}")
        return None

    async def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _request(self, delivery: Delivery) -> httpx.Request:
        subscription = await get(self._store, *_name(delivery.order))
        if subscription is None or subscription.deleted:
            raise NotFound("the Subscription is gone")
        channel: dict[str, Any] = r4.tree(subscription.body).get("channel", {})
        endpoint, payload = channel.get("endpoint", ""), channel.get("payload")
        why = self._endpoints.refusal(endpoint)
        if why:
            raise Retryable(f"nothing is sent to this endpoint: {why}")
        headers = [header(line or "") for line in channel.get("header", [])]
        if not payload:
            return self._connected().build_request("POST", endpoint, headers=headers)
        name, _, number = delivery.business_id.partition("/_history/")
        changed = await version(self._store, *_name(name), int(number))
        if changed is None:
            raise NotFound("the version it is about is gone")
        return self._connected().build_request(
            "PUT",
            f"{endpoint.rstrip('/')}/{name}",
            content=rendered(changed.body, payload),
            headers=[*headers, ("Content-Type", payload)],
        )

    async def _sent(self, request: httpx.Request) -> int:
        import httpx

        answer = await self._connected().send(request, stream=True)
        try:
            read = 0
            with contextlib.suppress(httpx.HTTPError):
                async for part in answer.aiter_raw():
                    read += len(part)
                    if read > READ_BYTES:
                        break
        finally:
            await answer.aclose()
        return answer.status_code

    def _connected(self) -> httpx.AsyncClient:
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
                verify=ssl.create_default_context(),
                follow_redirects=False,
                trust_env=False,
                headers={"User-Agent": "sanyi-hub"},
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            )
        return self._client


def _name(reference: str) -> tuple[str, str]:
    type_name, _, id = reference.partition("/")
    return type_name, id
