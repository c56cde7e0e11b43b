"""Between the hub's JSON and the formats of the wire: XML both ways, indentation, gzip.

What is long is converted in a process of its own (XML) or a thread (gzip), so that it does not hold up other
requests.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial

import msgspec

from hub.api.formats import Format
from hub.errors import TooLarge
from hub.r4 import xml

LONG = 256 * 1024
"""Bytes from which on a body is converted elsewhere."""

WORTHWHILE = 2048
"""Bytes from which on an answer is compressed; below, it costs more than it saves."""


class Converter:
    """Converts for one hub; the process starts with the first long body."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def read(self, body: bytes) -> bytes:
        """The JSON of an XML body; InvalidResource with every issue."""
        return await self._long(xml.read, body) if len(body) > LONG else xml.read(body)

    async def write(self, body: bytes, format_: Format, *, pretty: bool) -> bytes:
        """FHIR JSON in the format of the answer."""
        if format_ == "json":
            return msgspec.json.format(body, indent=2) if pretty else body
        convert = partial(xml.write, pretty=pretty)
        return await self._long(convert, body) if len(body) > LONG else convert(body)

    async def _long(self, convert: Callable[[bytes], bytes], body: bytes) -> bytes:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, convert, body)
        except BrokenProcessPool:
            self.close()
            raise TooLarge("the process that converted this long body ended before it was done") from None

    def close(self) -> None:
        """End the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


async def compressed(content: bytes) -> bytes:
    """gzip of an answer."""
    if len(content) > LONG:
        return await asyncio.to_thread(_gzip, content)
    return _gzip(content)


def _gzip(content: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(content) + packer.flush()


def takes_gzip(accept_encoding: str) -> bool:
    """Whether Accept-Encoding allows gzip (RFC 9110, 12.5.3)."""
    return "gzip" in accept_encoding and len(accept_encoding) < 256 and _takes_gzip(accept_encoding)


@lru_cache(256)
def _takes_gzip(accept_encoding: str) -> bool:
    for part in accept_encoding.split(","):
        coding, _, parameter = part.partition(";")
        if coding.strip() in ("gzip", "x-gzip"):
            name, _, quality = parameter.strip().partition("=")
            return name != "q" or quality.strip().strip("0.") != ""
    return False
