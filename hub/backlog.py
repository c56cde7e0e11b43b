"""The backlog: messages acknowledged at the inbox commit, mapped afterwards.

While messages stream in, mapping steps back so that they are taken quickly; when the stream pauses, or the
backlog nears its bound, mapping gets the whole processor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Mapping

from hub.channels import Channel
from hub.pipeline import Pipeline
from hub.store import Store, inbox

log = logging.getLogger("hub.backlog")

TOGETHER = 32
"""Messages mapped side by side, so that they share commits."""

TRICKLE = 4
"""The same while messages stream in."""

STEP_BACK_SECONDS = 0.02
SWEEP_SECONDS = 30.0
FULL = 0.9


class Backlog:
    """Maps what waits, oldest first."""

    def __init__(self, store: Store, pipeline: Pipeline, channels: Mapping[str, Channel]) -> None:
        self.store = store
        self.pipeline = pipeline
        self.channels = channels
        self._queue: deque[tuple[Channel, int]] = deque()
        self._known: set[int] = set()
        self._filled = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        pipeline.received = self.add

    def add(self, channel: Channel, seq: int) -> None:
        """A message was acknowledged and waits."""
        if seq not in self._known:
            self._known.add(seq)
            self._queue.append((channel, seq))
            channel.wait_to_be_mapped(1)
            self._filled.set()

    async def start(self, *, alone: bool) -> None:
        """Take up what an earlier run left; with other processes on the database, only what nobody maps."""
        if alone:
            await self._sweep(2**62)
        self._tasks = [asyncio.create_task(self._map(), name="backlog")]
        if not alone:
            self._tasks.append(asyncio.create_task(self._watch(), name="backlog sweep"))

    async def stop(self) -> None:
        """End; what waits is taken up at the next start."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    async def _sweep(self, before: int) -> int:
        """Queue everything that waits with a number below `before`; the highest number that waits."""
        last = 0
        while found := await inbox.waiting(self.store, last, 1000):
            for seq in found:
                if seq < before and seq not in self._known:
                    kept = await inbox.load(self.store, seq)
                    if kept is not None and kept.channel in self.channels:
                        self.add(self.channels[kept.channel], seq)
            last = found[-1]
        return last

    async def _watch(self) -> None:
        """What has waited through a whole interval belongs to a process that is gone."""
        highest = 0
        while True:
            highest = await self._sweep(highest + 1)
            await asyncio.sleep(SWEEP_SECONDS)

    async def _map(self) -> None:
        seen = 0
        while True:
            await self._filled.wait()
            streaming = self._received() > seen
            seen = self._received()
            if streaming and not self._nearly_full():
                await self._some(TRICKLE)
                await asyncio.sleep(STEP_BACK_SECONDS)
            else:
                await self._some(TOGETHER)

    def _received(self) -> int:
        return sum(channel.received for channel in self.channels.values())

    def _nearly_full(self) -> bool:
        return any(one.backlog >= FULL * one.settings.max_backlog for one in self.channels.values())

    async def _some(self, most: int) -> None:
        chosen = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
        if not self._queue:
            self._filled.clear()
        done = await asyncio.gather(
            *(self.pipeline.map_received(channel, seq) for channel, seq in chosen), return_exceptions=True
        )
        for (channel, seq), result in zip(chosen, done, strict=True):
            channel.wait_to_be_mapped(-1)
            self._known.discard(seq)
            if isinstance(result, Exception):
                log.error("channel %s: message %s stays in the backlog", channel.name, seq, exc_info=result)
                self.add(channel, seq)
        if any(isinstance(result, Exception) for result in done):
            await asyncio.sleep(1.0)
