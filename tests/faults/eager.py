"""A hub with a fault put in: it acknowledges before the commit. The loop must find messages lost.

The product has no such switch; this script patches the class and then runs `hub` as it is.
"""

import asyncio
from typing import Any

from hub.channels import Channel
from hub.messages import Message, Outcome
from hub.pipeline import Pipeline

DELAY_SECONDS = 0.3
_take = Pipeline.take
_later: set[asyncio.Task[Any]] = set()


async def acknowledge_first(self: Pipeline, channel: Channel, cursor: str, message: Message) -> Outcome:
    async def store() -> None:
        await asyncio.sleep(DELAY_SECONDS)
        await _take(self, channel, cursor, message)

    task = asyncio.create_task(store())
    _later.add(task)
    task.add_done_callback(_later.discard)
    return Outcome(code="accepted")


Pipeline.take = acknowledge_first  # type: ignore[method-assign]

if __name__ == "__main__":
    from hub.cli import main

    main()
