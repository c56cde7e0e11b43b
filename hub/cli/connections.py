"""The HTTP connections of `hub serve`: uvicorn's, with bounds on what a client makes them hold or wait for.

A request has a time for its head and a rate for its body; whoever is slower, or writes a head without end, is
told so and cut off. What is no HTTP at all is told in an OperationOutcome, too.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from hub.api import formats, outcome
from hub.errors import Issue

MAX_HEAD = 64 * 1024
"""Bytes of a request line and its headers."""

_LONG_HEAD = f"the request line and the headers have more than {MAX_HEAD} bytes"

SWEEP = 5.0
HEAD_SECONDS = 20.0
"""For the request line and the headers, and for a new connection to say anything."""

BODY_SECONDS = 20.0
BODY_BYTES = 16 * 1024
"""In each such span of time a body brings at least so much, or its end."""


class Bounded(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._since = self.loop.time()
        self._bytes = 0
        self._in_head = False
        self._in_body = False
        self._refusal = (400, "this is not an HTTP request that the hub can read")

    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        super().data_received(data)
        if self._in_head and self._bytes > MAX_HEAD:
            self._refuse(431, _LONG_HEAD)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._since = self.loop.time()
        self._bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_HEAD:
            self._refusal = (414, f"the URL has more than {MAX_HEAD} bytes; POST the parameters to _search")
            raise ValueError

    def on_headers_complete(self) -> None:
        # a head that came in one piece was not met by `data_received`
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            self._refusal = (431, _LONG_HEAD)
            raise ValueError
        self._in_head = False
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser refused, uvicorn's own way to say so."""
        self._refuse(*self._refusal)

    def check(self, now: float) -> None:
        """Cut off a client that is too slow; called every few seconds."""
        waited = now - self._since
        if self.cycle is None and not self._in_head and waited > HEAD_SECONDS:
            self.transport.close()  # it never said anything
        elif self._in_head and waited > HEAD_SECONDS:
            self._refuse(408, f"the headers did not come within {HEAD_SECONDS:.0f} seconds")
        elif self._in_body and waited > BODY_SECONDS:
            if self.cycle.response_complete:
                self.transport.close()  # it had its answer, and time to stop
            elif self._bytes < BODY_BYTES:
                self._refuse(408, "the body comes too slowly")
            self._since, self._bytes = now, 0

    def _refuse(self, status: int, text: str) -> None:
        """Answer, unless an answer is on its way already, and close."""
        if self.transport.is_closing():
            return
        pending = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not pending:
            code = "timeout" if status == 408 else "too-long" if status in (414, 431) else "structure"
            content = outcome.render([Issue(severity="fatal", code=code, diagnostics=text)])
            head = f"content-type: {formats.FHIR_JSON}\r\ncontent-length: {len(content)}\r\n"
            self.transport.write(STATUS_LINE[status] + head.encode() + b"connection: close\r\n\r\n" + content)
        self._in_head = self._in_body = False
        self.transport.close()


async def sweep(connections: set[Any]) -> None:
    """Look at every connection from time to time, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP)
        now = loop.time()
        for one in list(connections):
            if isinstance(one, Bounded):
                one.check(now)
