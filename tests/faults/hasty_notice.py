"""A hub with a fault put in: a notification counts as delivered before it is sent. The loop must miss one.

It stands still before the third send, so that the kill certainly falls into the gap. The product has no such
switch; this script patches the classes and then runs `hub` as it is.
"""

import asyncio
from typing import Any

from hub.delivery import DeliveryWorker
from hub.store import outbox
from hub.subscriptions import RestHook

_send = RestHook.send
_prepare = DeliveryWorker._prepare
_seen: list[int] = []


async def prepare(self: DeliveryWorker, channel: Any, row: Any) -> Any:
    claimed = await _prepare(self, channel, row)
    if claimed is not None:
        await self.store.write(lambda tx: outbox.mark(tx, row.id, "delivered"))
    return claimed


async def stand_still(self: RestHook, delivery: Any) -> Any:
    _seen.append(delivery.id)
    if len(_seen) == 3:
        await asyncio.Event().wait()
    return await _send(self, delivery)


DeliveryWorker._prepare = prepare  # type: ignore[method-assign]
RestHook.send = stand_still  # type: ignore[method-assign]

if __name__ == "__main__":
    from hub.cli import main

    main()
