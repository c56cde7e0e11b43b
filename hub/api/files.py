"""Bodies that lie on the disk: sent piece by piece, compressed on the way where the client takes it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from hub.api.exchange import Answer

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PIECE = 256 * 1024
"""Bytes in memory at a time."""


def headers(answer: Answer, gzip: bool) -> list[tuple[bytes, bytes]]:
    """What is said of the body; a compressed one has no length beforehand."""
    assert answer.file is not None
    length = (b"content-encoding", b"gzip") if gzip else (b"content-length", b"%d" % answer.file[1])
    return [(b"content-type", answer.media.encode()), (b"vary", b"Accept-Encoding"), length]


async def send(send: Send, path: Path, size: int, *, gzip: bool) -> None:
    """The first `size` bytes of a file."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31) if gzip else None
    with await asyncio.to_thread(path.open, "rb") as source:
        while size > 0:
            piece = await asyncio.to_thread(source.read, min(PIECE, size))
            if not piece:
                raise OSError(f"{path.name} ends before it should")
            size -= len(piece)
            if packer is not None:
                piece = await asyncio.to_thread(packer.compress, piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    rest = packer.flush() if packer is not None else b""
    await send({"type": "http.response.body", "body": rest})
