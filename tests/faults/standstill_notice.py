"""A sound hub that stands still between the answer to its third notification and the commit of it.

Its leases are short, so that on PostgreSQL another process takes over within seconds.
"""

import asyncio
from typing import Any

import short_leases  # noqa: F401  (beside this script)

from hub.delivery import DeliveryWorker

_notified = DeliveryWorker._answered
_seen: list[int] = []


async def stand_still(self: DeliveryWorker, channel: Any, row: Any, *answer: Any, **more: Any) -> None:
    _seen.append(row.id)
    if len(_seen) == 3:
        await asyncio.Event().wait()
    await _notified(self, channel, row, *answer, **more)


DeliveryWorker._answered = stand_still  # type: ignore[method-assign]

if __name__ == "__main__":
    from hub.cli import main

    main()
