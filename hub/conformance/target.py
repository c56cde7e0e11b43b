"""The server under test, and what goes over the wire. It is not trusted: size and time are bounded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import httpx

from hub import r4
from hub.errors import HubError, InvalidMessage, InvalidResource, Misconfigured, Retryable
from hub.r4 import xml

MAX_BODY_BYTES = 16_000_000
SECONDS = 60.0
_LOCATION = re.compile(
    r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?/?$"
)


class Unreachable(Retryable):
    """Nothing answers at the target."""


@dataclass(frozen=True)
class Asked:
    """A request as it was sent."""

    method: str
    url: str
    headers: httpx.Headers
    body: bytes | None = None


@dataclass(frozen=True)
class Answered:
    """A response, with its body read to the end."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters, in small letters."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @cached_property
    def tree(self) -> dict[str, Any]:
        """The resource of the body, in JSON or XML. Raises InvalidMessage if it carries none."""
        if not self.body:
            raise InvalidMessage("expected a resource, the response has no body")
        try:
            if "xml" in self.media_type:
                return r4.tree(xml.read(self.body))
            return r4.tree(self.body)
        except InvalidResource:
            raise InvalidMessage(
                "expected a resource, the body of the response is not readable FHIR"
            ) from None

    @property
    def identity(self) -> tuple[str, str, str]:
        """Type, id and version of what it is about, by its Location or its body; "" where it does not say."""
        found = _LOCATION.search(path_of(self.headers.get("location", "")))
        if found:
            return found[1], found[2], found[3] or ""
        try:
            tree = self.tree
        except InvalidMessage:
            return "", "", ""
        return identity(tree)


def path_of(url: str) -> str:
    """The path of a URL, absolute or not; "" for what is none."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def identity(tree: dict[str, Any]) -> tuple[str, str, str]:
    """Type, id and version that a resource carries; "" where it carries none."""
    meta = tree.get("meta")
    version = meta.get("versionId", "") if isinstance(meta, dict) else ""
    return str(tree.get("resourceType", "")), str(tree.get("id", "")), str(version)


class Target:
    """A FHIR server by its base URL."""

    def __init__(self, base: str, client: httpx.AsyncClient) -> None:
        self.base = base.rstrip("/")
        self._client = client

    def url(self, path: str) -> str:
        """The absolute URL of a path below the base; Misconfigured for one that leads to another server."""
        try:
            relative = not urlsplit(path).scheme and not path.startswith("//")
        except ValueError:
            raise Misconfigured("the URL of the operation is none") from None
        if relative:
            if path.startswith("/"):
                path = path[1:]
            return f"{self.base}/{path}" if path and path[0] != "?" else f"{self.base}{path}"
        if _origin(path) != _origin(self.base):
            raise Misconfigured("the URL leads to another server than the target; it was not followed")
        return path

    async def ask(self, asked: Asked) -> Answered:
        """Send; the whole answer. Raises Unreachable, or HubError for one that is too large or too slow."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._ask(asked)
        except TimeoutError:
            raise HubError(f"no complete answer within {SECONDS:.0f} seconds") from None
        except httpx.TimeoutException as error:
            raise HubError(f"no answer in time ({type(error).__name__})") from error
        except httpx.TransportError as error:
            raise Unreachable(f"the target does not answer ({type(error).__name__})") from error
        except (httpx.InvalidURL, httpx.DecodingError, UnicodeError) as error:
            raise HubError(f"no readable exchange ({type(error).__name__})") from None

    async def _ask(self, asked: Asked) -> Answered:
        request = self._client.build_request(
            asked.method, asked.url, headers=asked.headers, content=asked.body
        )
        response = await self._client.send(request, stream=True)
        body = bytearray()
        try:
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise HubError(f"the answer has more than {MAX_BODY_BYTES} bytes")
        finally:
            await response.aclose()
        return Answered(response.status_code, response.headers, bytes(body))

    async def check(self) -> None:
        """Raise Unreachable unless something answers there."""
        try:
            await self.ask(
                Asked("GET", self.url("metadata"), httpx.Headers({"Accept": "application/fhir+json"}))
            )
        except Unreachable:
            raise
        except HubError as error:
            raise Unreachable(str(error)) from error


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        port = None
    return parts.scheme, parts.hostname or "", port


@asynccontextmanager
async def reach(base: str, transport: httpx.AsyncBaseTransport | None = None) -> AsyncIterator[Target]:
    """A target by its base URL (`http://127.0.0.1:8080/fhir`). Redirects are not followed.

    Raises Misconfigured for what is no http(s) URL.
    """
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise Misconfigured(
            "--target: expected the base URL of a FHIR server, such as http://127.0.0.1:8080/fhir"
        )
    async with httpx.AsyncClient(
        transport=transport, trust_env=False, follow_redirects=False, timeout=30
    ) as client:
        yield Target(base, client)
