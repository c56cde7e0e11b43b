"""A sound hub that stands still between the answer to a settlement and the commit of it, until it is killed.

So a kill certainly meets a settlement that is at the insurer and not yet in the hub. The product has no such
switch; this script patches the class and then runs `hub` as it is.
"""

import asyncio
from typing import Any

from hub.delivery import DeliveryWorker

SETTLEMENT = "2207A"
_answered = DeliveryWorker._answered


async def stand_still(self: DeliveryWorker, channel: Any, row: Any, *answer: Any, **more: Any) -> None:
    if row.kind == SETTLEMENT:
        await asyncio.Event().wait()
    await _answered(self, channel, row, *answer, **more)


DeliveryWorker._answered = stand_still  # type: ignore[method-assign]

if __name__ == "__main__":
    from hub.cli import main

    main()
