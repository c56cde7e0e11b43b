"""The exports of one hub: a few at a time, taken up again after a restart, removed after a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from pathlib import Path

from hub.errors import HubError, Retryable
from hub.exports.asked import Asked, encoded
from hub.exports.files import remove
from hub.exports.job import LEASE_SECONDS, Job, Shape
from hub.store import exports
from hub.store.backend import Tx
from hub.store.exports import Row
from hub.store.store import Store

log = logging.getLogger("hub.exports")

POLL_SECONDS = 2.0
"""How often a process looks for what was asked at another one, or left by it."""
SWEEP_SECONDS = 60.0
RETRY_SECONDS = 5.0
MOST_WAITING = 20
"""Exports of one organisation that may wait or run."""
_ID = re.compile(r"[0-9a-f]{32}").fullmatch


class Exports:
    """Owns the tasks.

    folder      where each export has a folder of its own; several processes must share it
    jobs        exports that run at a time in this process
    limit       resources of one file
    keep_hours  how long files are there after the export ended
    """

    def __init__(
        self, store: Store, folder: Path, *, jobs: int, limit: int, keep_hours: float, shape: Shape
    ) -> None:
        self.keep_micros = round(keep_hours * 3_600_000_000)
        self._store = store
        self._folder = folder
        self._jobs = jobs
        self._limit = limit
        self._shape = shape
        self._owner = secrets.token_hex(8)
        self._woken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take up what was left, and go on."""
        if not self._store.postgres:
            await self._store.write(exports.forget_owners)
        for number in range(self._jobs):
            self._tasks.append(asyncio.create_task(self._run(), name=f"export {number + 1}"))
        self._tasks.append(asyncio.create_task(self._sweep(), name="old exports"))

    async def stop(self) -> None:
        """Leave everything where it is, for whoever goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks:
            with contextlib.suppress(HubError):
                await self._store.write(lambda tx: exports.leave(tx, self._owner))
        self._tasks = []

    async def ask(self, organisation: str, request: str, asked: Asked) -> Row | None:
        """Put an export in the queue; None while this organisation has too many of them."""
        row = Row(id=secrets.token_hex(16), organisation=organisation, request=request, asked=encoded(asked))

        async def work(tx: Tx) -> Row | None:
            if await exports.busy(tx, organisation) >= MOST_WAITING:
                return None
            return await exports.add(tx, row)

        made = await self._store.write(work)
        self._woken.set()
        return made

    async def cancel(self, id: str) -> bool:
        """Forget an export and its files; False when there is none."""
        known = await self._store.write(lambda tx: exports.remove(tx, id))
        await asyncio.to_thread(remove, self.folder_of(id))
        return known

    def folder_of(self, id: str) -> Path:
        """Where the files of an export lie."""
        return self._folder / id

    async def claim(self) -> Job | None:
        """The next export to work on, or None."""
        row = await self._store.write(lambda tx: exports.claim(tx, self._owner, LEASE_SECONDS))
        if row is None:
            return None
        return Job(self._store, row, self.folder_of(row.id), limit=self._limit, shape=self._shape)

    async def sweep(self) -> None:
        """Remove what is older than it may be, and as old files that belong to no export."""
        before = self._store.now() - self.keep_micros
        for id in await exports.old(self._store, before):
            await self.cancel(id)
        there = await asyncio.to_thread(self._folders, before)
        known = await exports.names(self._store)
        for id in there:
            if id not in known:
                await asyncio.to_thread(remove, self.folder_of(id))

    def _folders(self, before: int) -> list[str]:
        """Those of exports that nobody has written to since then (microseconds)."""
        if not self._folder.is_dir():
            return []
        return [
            one.name
            for one in self._folder.iterdir()
            if _ID(one.name) and one.stat().st_mtime_ns // 1000 <= before
        ]

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                job = await self.claim()
                while job is not None:
                    await self._finish(job)
                    job = await self.claim()
            except Exception:
                log.exception("exports could not go on; again in %ss", RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), POLL_SECONDS if self._store.postgres else None)

    async def _finish(self, job: Job) -> None:
        """Work until nothing is left; what cannot be done is told to whoever asked."""
        try:
            while await job.step():
                pass
        except Retryable:
            await self._store.write(lambda tx: exports.release(tx, job.row))
            raise
        except Exception as error:
            log.exception("export %s failed", job.row.id)
            await job.fail(_reason(error))
        if await exports.load(self._store, job.row.id) is None:
            await asyncio.to_thread(remove, self.folder_of(job.row.id))

    async def _sweep(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:
                log.exception("old exports could not be removed; again in %ss", SWEEP_SECONDS)
            await asyncio.sleep(SWEEP_SECONDS)


def _reason(error: Exception) -> str:
    """What may be told of it: nothing of a resource."""
    if isinstance(error, HubError):
        return str(error)
    if isinstance(error, OSError):
        return f"the files could not be written: {error.strerror or type(error).__name__}"
    return "the hub failed on this export; its log names the reason"
