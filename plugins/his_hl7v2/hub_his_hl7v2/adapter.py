"""The MLLP listener: frames become messages, outcomes become acknowledgements, in each connection's order.

A connection holds its unanswered messages in a queue; an acknowledgement leaves when all before it have
left, so a sender may pipeline. Reading stops, for everybody, while `max_waiting` messages wait for the
hub, and for one connection while it does not read its acknowledgements.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import socket
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import cast

from hub.adapters import Adapter, Capabilities
from hub.errors import Issue, Misconfigured
from hub.messages import Message, Outcome, body_digest
from hub_his_hl7v2.settings import HisHl7v2Settings, address
from hub_his_hl7v2.wire import NO_HEADER, Frame, Framer, Header, acknowledgement, read_header

log = logging.getLogger("hub_his_hl7v2")

_WAITING_BYTES = 64 * 1024 * 1024
_LONGEST_KEY = 240
_NO_MSH = Issue(code="structure", diagnostics="no MSH segment opens the message", expression="MSH-1")
_NO_TYPE = Issue(code="required", diagnostics="MSH-9 is empty: the message has no type", expression="MSH-9")


class HisHl7v2(Adapter):
    """Hospitals connect and send; each message is answered once the hub says what became of it."""

    kind = "his-hl7v2"
    Settings = HisHl7v2Settings
    capabilities = Capabilities(reads=True, ordered=True)
    simulator = "hub_his_hl7v2.simulator:Simulator"

    settings: HisHl7v2Settings

    def __init__(self, channel: str, settings: HisHl7v2Settings) -> None:
        super().__init__(channel, settings)
        self.address = ""
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._connections: set[_Connection] = set()
        self._arrivals: dict[str, _Arrival] = {}
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._stopped_reading = False
        self._more: asyncio.Future[None] | None = None
        self._numbers = itertools.count(1)
        self._control_ids = itertools.count(time.time_ns() // 1000)
        self._stamp = (0, "")

    async def check(self) -> None:
        """Bind the address and let it go again. Raises Misconfigured if it is taken or not ours."""
        if self._server is None:
            _bind(self.channel, self.settings.listen).close()

    async def open(self) -> None:
        """Listen; `address` is where. Raises Misconfigured as `check` does."""
        if self._server is not None:
            return
        sock = _bind(self.channel, self.settings.listen)
        host, port = sock.getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), sock=sock, backlog=1024)
        if self.settings.idle_timeout:
            self._sweeping = loop.create_task(self._sweep(), name=f"{self.channel} idle connections")

    async def receive(self, cursor: str) -> AsyncIterator[tuple[str, Message]]:
        """Yield `("", message)` as frames complete, until `close`."""
        while self._server is not None or self._waiting:
            while self._waiting:
                message = self._waiting.popleft()
                self._waiting_bytes -= len(message.body)
                if self._stopped_reading:
                    self._resume()
                yield "", message
            if self._server is None:
                return
            self._more = asyncio.get_running_loop().create_future()
            await self._more

    async def acknowledge(self, message: Message, outcome: Outcome) -> None:
        """Write the ACK, or let it wait for those before it; nothing if the sender has gone."""
        arrival = self._arrivals.pop(message.arrival, None)
        if arrival is None:
            return
        if arrival.answered:
            arrival.ack = acknowledgement(arrival.header, outcome, str(next(self._control_ids)), self._time())
        else:
            arrival.ack = b""
        arrival.connection.answer()

    async def close(self) -> None:
        """Stop listening, let written acknowledgements leave, drop the connections."""
        server, self._server = self._server, None
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        if server is None:
            return
        server.close()
        left = [connection.lost for connection in self._connections]
        for connection in list(self._connections):
            connection.transport.close()
        if left:
            await asyncio.wait(left, timeout=1)
        for connection in list(self._connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        await server.wait_closed()
        self._arrivals.clear()
        self._wake()

    def _take(self, connection: _Connection, frame: Frame) -> None:
        """One frame of a connection: it becomes a message and waits for the hub."""
        header = read_header(frame.body)
        arrival = _Arrival(connection, header or NO_HEADER, frame.problem in ("", "too-long"))
        handle = str(next(self._numbers))
        self._arrivals[handle] = arrival
        connection.unanswered.append(arrival)
        message = _message(frame, header, self.settings, handle)
        self._waiting.append(message)
        self._waiting_bytes += len(message.body)
        self._wake()

    def _is_full(self) -> bool:
        full = len(self._waiting) >= self.settings.max_waiting or self._waiting_bytes >= _WAITING_BYTES
        self._stopped_reading = self._stopped_reading or full
        return self._stopped_reading

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    def _resume(self) -> None:
        """Read again once half of what waited is gone."""
        if len(self._waiting) * 2 <= self.settings.max_waiting and self._waiting_bytes * 2 <= _WAITING_BYTES:
            self._stopped_reading = False
            for connection in self._connections:
                connection.resume()

    def _time(self) -> str:
        """HL7 TS of this second, with its offset: UTC, so that nobody has to know where the hub stands."""
        second = int(time.time())
        if self._stamp[0] != second:
            self._stamp = (second, time.strftime("%Y%m%d%H%M%S+0000", time.gmtime(second)))
        return self._stamp[1]

    async def _sweep(self) -> None:
        """Close connections on which nothing came for too long and nothing waits for an answer."""
        limit = self.settings.idle_timeout
        while True:
            await asyncio.sleep(min(limit / 4, 30))
            now = asyncio.get_running_loop().time()
            for connection in list(self._connections):
                if not connection.unanswered and not connection.paused and now - connection.heard > limit:
                    connection.transport.close()


class _Arrival:
    """A message between its frame and its acknowledgement; `ack` is None until the hub has spoken."""

    __slots__ = ("ack", "answered", "connection", "header")

    def __init__(self, connection: _Connection, header: Header, answered: bool) -> None:
        self.connection = connection
        self.header = header
        self.answered = answered
        self.ack: bytes | None = None


class _Connection(asyncio.Protocol):
    """One sender."""

    def __init__(self, adapter: HisHl7v2) -> None:
        self.adapter = adapter
        self.framer = Framer(adapter.settings.max_message)
        self.unanswered: deque[_Arrival] = deque()
        self.paused = False
        self.heard = 0.0
        self._clogged = False
        self._ended = False
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.heard = self._loop.time()
        if len(self.adapter._connections) >= self.adapter.settings.max_connections:
            log.warning("%s: more than %d connections", self.adapter.channel, len(self.adapter._connections))
            self.transport.abort()
            return
        self.adapter._connections.add(self)
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.adapter._is_full():
            self._pause()

    def data_received(self, data: bytes) -> None:
        self.heard = self._loop.time()
        for frame in self.framer.feed(data):
            self.adapter._take(self, frame)
        if self.adapter._is_full():
            self._pause()

    def eof_received(self) -> bool:
        """The sender has said everything; it may still read, so what it waits for is answered first."""
        self._rest()
        return bool(self.unanswered)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self.adapter._connections:
            self.adapter._connections.discard(self)
            self._rest()
        self.unanswered.clear()
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        self._clogged = True
        self._pause()

    def resume_writing(self) -> None:
        self._clogged = False
        if not self.adapter._is_full():
            self.resume()

    def resume(self) -> None:
        """Read on, unless the sender does not read its acknowledgements."""
        if self.paused and not self._clogged:
            self.paused = False
            if not self._ended and not self.transport.is_closing():
                self.transport.resume_reading()

    def answer(self) -> None:
        """Write the acknowledgements whose turn it is."""
        ready = []
        while self.unanswered and self.unanswered[0].ack is not None:
            ready.append(self.unanswered.popleft().ack or b"")
        if self.transport.is_closing():
            return
        if any(ready):
            self.transport.write(b"".join(ready))
        if self._ended and not self.unanswered:
            self.transport.close()

    def _pause(self) -> None:
        if not self.paused and not self.transport.is_closing():
            self.paused = True
            self.transport.pause_reading()

    def _rest(self) -> None:
        if not self._ended:
            self._ended = True
            for frame in self.framer.end():
                self.adapter._take(self, frame)


def _message(frame: Frame, header: Header | None, settings: HisHl7v2Settings, arrival: str) -> Message:
    """The frame as the hub keeps it."""
    problem = _problem(frame, header, settings)
    digest = frame.digest
    if frame.problem or header is None or not header.control_id or settings.key == "body":
        digest = digest or body_digest(frame.body).hex()
        key = f"{frame.problem or 'body'}:{digest}"
    else:
        key = _key(header)
    return Message(
        key=key,
        body=frame.body,
        kind=header.kind if header is not None else "",
        content_type="application/hl7-v2",
        charset=header.charset if header is not None else "",
        arrival=arrival,
        problem=problem,
        size=frame.size if frame.digest else 0,
        digest=digest,
    )


def _problem(frame: Frame, header: Header | None, settings: HisHl7v2Settings) -> Issue | None:
    match frame.problem:
        case "truncated":
            said = f"truncated: the end of the frame (FS) never came, {frame.size} bytes did"
            return Issue(code="structure", diagnostics=said)
        case "unframed":
            said = f"no VT opened this frame of {frame.size} bytes; it is not answered"
            return Issue(code="structure", diagnostics=said)
        case "too-long":
            said = f"{frame.size} bytes, at most {settings.max_message} are taken (max_message)"
            return Issue(code="too-long", diagnostics=said)
    if header is None:
        return _NO_MSH
    return None if header.type else _NO_TYPE


def _key(header: Header) -> str:
    """MSH-3, 4, 7 and 10 on one line; one too long to be an index key is shortened to its hash."""
    parts = (header.sending_app, header.sending_facility, header.time, header.control_id)
    key = "|".join(part.replace("|", "\\F\\") if "|" in part else part for part in parts)
    return key if len(key) <= _LONGEST_KEY else f"key:{body_digest(key.encode()).hex()}"


def _bind(channel: str, listen: str) -> socket.socket:
    """A listening socket; Misconfigured names channel, address and remedy."""
    host, port = address(listen)
    family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(1024)
    except OSError as error:
        sock.close()
        why = {
            errno.EADDRINUSE: f"port {port} is taken: stop what listens there, or choose another",
            errno.EACCES: f"port {port} may not be opened by this user: choose one above 1023",
            errno.EADDRNOTAVAIL: f"{host} is no address of this machine",
        }.get(error.errno or 0, str(error))
        raise Misconfigured(f"channels.{channel}.listen: {listen}: {why}") from error
    sock.setblocking(False)
    return sock
