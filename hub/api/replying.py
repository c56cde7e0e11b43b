"""An Answer on its way out: in the format the client asked for, perhaps compressed, with its headers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from hub.api import converting, files, formats, negotiation
from hub.api.exchange import Answer, Api, Parameters
from hub.api.formats import Format
from hub.api.negotiation import Headers

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("hub.api")

_TYPES = {"json": formats.FHIR_JSON.encode(), "xml": formats.FHIR_XML.encode()}
_VARY = (b"vary", b"Accept, Accept-Encoding")
_BARE = (204, 304)
"""Statuses without a body, and so without its length."""


class Wish(msgspec.Struct):
    """What the client wants of the answer, as far as it could be read: errors keep to it, too."""

    head: bool = False
    format: Format = "json"
    pretty: bool = False
    gzip: bool = False
    request_id: str = ""

    def read(self, headers: Headers) -> None:
        """What no error can come from."""
        accept = headers.get("accept", "")
        if accept:
            self.format = formats.liked(accept) or "json"
        self.gzip = converting.takes_gzip(headers.get("accept-encoding", ""))
        if "x-request-id" in headers:
            self.request_id = negotiation.request_id(headers)

    def choose(self, headers: Headers, query: Parameters, *, ndjson: bool = False) -> None:
        """The format by `_format` and Accept; NotAcceptable."""
        named = ""
        for name, value in query:
            if name == "_format" and not named:
                named = value
            elif name == "_pretty":
                self.pretty = value == "true"
        self.format = formats.wanted(headers.get("accept", ""), named, ndjson=ndjson)


async def content(api: Api, answer: Answer, wish: Wish) -> bytes:
    """The body in the format of the answer."""
    if not answer.body or answer.media or (wish.format == "json" and not wish.pretty):
        return answer.body
    return await api.converter.write(answer.body, wish.format, pretty=wish.pretty)


async def told(api: Api, answer: Answer, wish: Wish) -> bytes:
    """The same for an error, which is told in JSON where nothing else works."""
    try:
        return await content(api, answer, wish)
    except Exception:
        log.exception("an error could not be told in the format of the answer")
        wish.format = "json"
        return answer.body


async def send_answer(api: Api, send: Send, answer: Answer, content: bytes, wish: Wish) -> None:
    """Headers and body."""
    headers: list[tuple[bytes, bytes]] = []
    if answer.file is not None:
        headers += files.headers(answer, wish.gzip)
    elif content:
        headers.append((b"content-type", answer.media.encode() if answer.media else _TYPES[wish.format]))
        headers.append(_VARY)
        if wish.gzip and len(content) >= converting.WORTHWHILE:
            content = await converting.compressed(content)
            headers.append((b"content-encoding", b"gzip"))
    if answer.status not in _BARE and answer.file is None:
        headers.append((b"content-length", b"%d" % len(content)))
    if answer.version:
        headers.append((b"etag", b'W/"%d"' % answer.version))
    if answer.updated:
        headers.append((b"last-modified", negotiation.http_date(answer.updated)))
    if answer.headers:
        headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers]
    if answer.location:
        headers.append((b"location", f"{api.base}/{answer.location}".encode()))
    if wish.request_id:
        headers.append((b"x-request-id", wish.request_id.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.file is not None and not wish.head:
        await files.send(send, *answer.file, gzip=wish.gzip)
        return
    await send({"type": "http.response.body", "body": b"" if wish.head else content})
