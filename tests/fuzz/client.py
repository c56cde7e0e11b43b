"""A client that sends whatever it is told and reads any answer; one connection after the other."""

from __future__ import annotations

import asyncio
import time
import zlib

from tests.fuzz.judging import Answer
from tests.fuzz.requests import Request

PATIENCE = 60.0


class NoAnswer(Exception):
    """The server closed the connection without an answer."""


class Client:
    """Keeps a connection while it can."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, request: Request) -> Answer:
        """The answer; NoAnswer when there is none, TimeoutError when it does not come within PATIENCE."""
        began = time.perf_counter()
        async with asyncio.timeout(PATIENCE):
            try:
                answer = await self._exchange(request)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                await self.close()
                raise NoAnswer(type(error).__name__) from error
        answer.seconds = time.perf_counter() - began
        if answer.headers.get("connection") == "close":
            await self.close()
        return answer

    async def _exchange(self, request: Request) -> Answer:
        if self._writer is None or self._writer.is_closing() or (self._reader and self._reader.at_eof()):
            self._reader, self._writer = await asyncio.open_connection(self.host, self.port, limit=2**20)
        assert self._reader is not None
        self._writer.write(request.wire(f"{self.host}:{self.port}"))
        while True:
            status, headers = await _head(self._reader)
            if status != 100:
                break
        body = b"" if request.method == "HEAD" or status in (204, 304) else await _body(self._reader, headers)
        if headers.get("content-encoding") == "gzip" and body:
            body = zlib.decompress(body, wbits=31)
        return Answer(status, headers, body)

    async def close(self) -> None:
        """Give the connection up."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = text.rstrip().split("\r\n")
    pairs = (one.partition(":") for one in rest)
    return int(line.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        parts = []
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            parts.append(await reader.readexactly(size + 2))
        await reader.readexactly(2)
        return b"".join(part[:-2] for part in parts)
    return await reader.readexactly(int(headers.get("content-length", "0")))
