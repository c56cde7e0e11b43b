"""Audit rows of what was only read or refused: collected, and committed in batches.

A write's own row commits with the write (`recorded`). Losing the last second of read rows in a crash
is accepted; losing a write's row is not.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from hub.audit import Action, Audit
from hub.messages import Caller
from hub.store import audit as table

if TYPE_CHECKING:
    from hub.store.backend import Tx
    from hub.store.store import Store

log = logging.getLogger("hub.audit")

PAUSE = 1.0
BATCH = 500
MAX_WAITING = 20_000


class Auditor:
    """Collects rows; a task commits them every second or every 500 rows."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[Audit] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def note(self, row: Audit) -> None:
        """Keep one row for the next batch."""
        if len(self._waiting) >= MAX_WAITING:
            return
        self._waiting.append(row)
        if len(self._waiting) >= BATCH:
            self._begin()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._begin)

    async def flush(self) -> None:
        """Commit everything that waits."""
        if self._task is not None:
            await self._task
        await self._commit()

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._commit(), name="audit")

    async def _commit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rows, self._waiting = self._waiting, []
        if not rows:
            return

        async def work(tx: Tx) -> None:
            await table.record(tx, rows)

        try:
            await self._store.write(work)
        except Exception:
            log.exception("audit rows could not be written", extra={"rows": len(rows)})


def row(
    caller: Caller, action: Action, target: str, *, at: int, detail: str = "", status: int = 200
) -> Audit:
    """An audit row on behalf of a caller."""
    return Audit(
        at=at,
        organisation=caller.organisation,
        person=caller.person,
        via=caller.via,
        action=action,
        target=target,
        detail=detail,
        status=status,
    )


async def recorded(
    tx: Tx, caller: Caller, action: Action, target: str, *, detail: str = "", status: int = 200
) -> None:
    """Write a row in the transaction of what it tells about."""
    await table.record(tx, [row(caller, action, target, at=tx.now, detail=detail, status=status)])
