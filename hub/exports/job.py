"""One export at work: chunk by chunk, each counted in its row once it is on the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from hub.exports.asked import Asked, Progress, decoded, encoded
from hub.exports.files import Files
from hub.exports.selecting import Selection
from hub.store import asof, exports
from hub.store.asof import Then
from hub.store.exports import Row
from hub.store.store import Store

CHUNK = 1000
"""Names of resources looked at before the row is told."""
SLICE = 200
SLICE_BYTES = 2 * 1024 * 1024
"""Resources, and bytes of them, that are in memory at a time (a longer one comes alone)."""
LEASE_SECONDS = 60.0

Shape = Callable[[bytes, tuple[str, ...]], bytes]
"""A resource with only these elements."""


class Job:
    """An export that this process has claimed."""

    def __init__(self, store: Store, row: Row, folder: Path, *, limit: int, shape: Shape) -> None:
        self.row = row
        self.asked = decoded(row.asked, Asked)
        self.progress = decoded(row.progress, Progress)
        self._store = store
        self._shape = shape
        self._files = Files(folder, self.progress.files, row.fence, limit)
        self._selection = Selection(store, row, self.asked)
        self._opened = False

    async def step(self) -> bool:
        """Write one chunk; False when nothing is left: it is done, was cancelled, or has another owner."""
        if not self._opened:
            await self._open()
        types = self.asked.types
        looked = 0
        while looked < CHUNK and self.progress.place < len(types):
            type_name = types[self.progress.place]
            await self._selection.of(type_name)
            some, last = await asof.page(
                self._store, type_name, self.progress.after, self.row.sequence, CHUNK
            )
            await self._write(type_name, some)
            looked += max(len(some), 1)
            self.progress.after = last
            self.progress.place += not last
        reached = encoded(self.progress)
        if self.progress.place < len(types):
            return await self._store.write(lambda tx: exports.keep(tx, self.row, reached, LEASE_SECONDS))
        await self._store.write(lambda tx: exports.end(tx, self.row, exports.DONE, reached))
        return False

    async def fail(self, why: str) -> None:
        """Tell whoever asked."""
        reached = encoded(self.progress)
        await self._store.write(lambda tx: exports.end(tx, self.row, exports.FAILED, reached, why))

    async def _open(self) -> None:
        await self._selection.open()
        if not await asyncio.to_thread(self._files.restore):
            await asyncio.to_thread(self._files.clear)
            self.progress.place, self.progress.after = 0, ""
        self._opened = True

    async def _write(self, type_name: str, some: Sequence[Then]) -> None:
        likely = self._selection.likely(some)
        async for part in asof.parts(self._store, likely, count=SLICE, size=SLICE_BYTES):
            taken = await self._selection.taken(part)
            gone = [_deletion(type_name, one) for one in taken if one.deleted]
            lines = [self._line(one.found.body) for one in taken if not one.deleted]
            if lines:
                await asyncio.to_thread(self._files.add, "output", type_name, lines)
            if gone:
                await asyncio.to_thread(self._files.add, "deleted", type_name, gone)
            await asyncio.sleep(0)

    def _line(self, body: bytes) -> bytes:
        """A resource as stored, but on one line."""
        if self.asked.elements:
            body = self._shape(body, self.asked.elements)
        return msgspec.json.format(body, indent=-1) if b"\n" in body or b"\r" in body else body


def _deletion(type_name: str, one: Then) -> bytes:
    """A transaction that deletes it (http://hl7.org/fhir/uv/bulkdata/export.html#response---complete-status)."""
    request = {"method": "DELETE", "url": f"{type_name}/{one.found.id}"}
    return msgspec.json.encode(
        {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": request}]}
    )
