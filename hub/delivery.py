"""Delivery: takes what the outbox holds to its target, and brings the answer back into the pipeline.

Bytes, number and business id are committed before the first send, and a retry sends the same bytes. An
effect without a readable answer is never sent again blindly: its conversation asks, the adapter confirms,
or a person decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from hub.channels import Channel
from hub.clock import to_datetime
from hub.conversations import Conversations
from hub.errors import HubError, Misconfigured, OutcomeUnknown, Rejected, Retryable
from hub.messages import Applied, Delivery, Message, NotApplied
from hub.metrics import Metrics
from hub.pipeline import Pipeline
from hub.store import Store, outbox, talks
from hub.store.backend import Tx
from hub.store.outbox import Row
from hub.subscriptions import Subscriptions

log = logging.getLogger("hub.delivery")

SECOND = 1_000_000
LEASE_SECONDS = 180
SEND_SECONDS = 150
IDLE_SECONDS = 1.0
STOP_SECONDS = 10.0
QUIET_SECONDS = 30.0
AT_ONCE = 16


class DeliveryWorker:
    """Delivers for every writing channel of one process; several processes share one PostgreSQL outbox."""

    def __init__(
        self,
        store: Store,
        pipeline: Pipeline,
        conversations: Conversations,
        channels: Mapping[str, Channel],
        *,
        now: Callable[[], int],
        metrics: Metrics,
        subscriptions: Subscriptions | None = None,
    ) -> None:
        self.store = store
        self.pipeline = pipeline
        self.conversations = conversations
        self.subscriptions = subscriptions or Subscriptions()
        self.channels = {name: one for name, one in channels.items() if one.adapter.capabilities.writes}
        self.now = now
        self.metrics = metrics
        self._wake = {name: asyncio.Event() for name in self.channels}
        self._loops: list[asyncio.Task[None]] = []
        self._sends: dict[asyncio.Task[None], str] = {}

    def wake(self, channel: str) -> None:
        """Something new may be ready for a channel."""
        if channel in self._wake:
            self._wake[channel].set()

    async def start(self, *, alone: bool) -> None:
        """Begin; `alone` says that no other process works on this outbox, so every lease is over."""
        if alone:
            await self.store.write(outbox.strand)
        self._loops = [
            asyncio.create_task(self._run(channel), name=f"delivery {name}")
            for name, channel in self.channels.items()
        ]

    async def stop(self) -> None:
        """End after the sends that are on their way; what stays open is taken up at the next start."""
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if self._sends:
            _, late = await asyncio.wait(self._sends, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._loops = []

    async def quiet(self, channel: str) -> None:
        """Wait for the sends of a paused channel that are on their way, so that none goes unanswered."""
        under_way = [task for task, name in self._sends.items() if name == channel]
        if under_way:
            await asyncio.wait(under_way, timeout=QUIET_SECONDS)

    async def _run(self, channel: Channel) -> None:
        busy: set[int] = set()
        while True:
            try:
                self._wake[channel.name].clear()
                if channel.state == "running":
                    await self._begin(channel, busy)
                await self._rest(channel)
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("delivery to %s stumbled", channel.name)
                await asyncio.sleep(IDLE_SECONDS)

    async def _begin(self, channel: Channel, busy: set[int]) -> None:
        if len(busy) >= AT_ONCE:
            return
        for which in await outbox.ready(self.store, channel.name, self.now(), AT_ONCE + len(busy)):
            if which in busy or len(busy) >= AT_ONCE:
                continue
            busy.add(which)
            task = asyncio.create_task(self._deliver(channel, which))
            self._sends[task] = channel.name

            def done(task: asyncio.Task[None], which: int = which) -> None:
                self._sends.pop(task, None)
                busy.discard(which)
                self.wake(channel.name)

            task.add_done_callback(done)

    async def _rest(self, channel: Channel) -> None:
        """Until woken, or until the next delivery is due; other processes' rows are seen within a second."""
        due = await outbox.next_due(self.store, channel.name)
        wait = IDLE_SECONDS
        if due is not None and due > self.now():
            wait = min(wait, (due - self.now()) / SECOND)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(wait, 0.005)):
                await self._wake[channel.name].wait()

    async def _deliver(self, channel: Channel, which: int) -> None:
        try:
            row = await outbox.load(self.store, which)
            if row is None or not row.open or row.due > self.now():
                return  # another worker took it since this one saw it
            if row.state == "in_flight":
                await self._after_crash(channel, row)
            elif row.state == "unknown":
                await self._confirm(channel, row)
            else:
                await self._send(channel, row)
        except Exception:
            log.exception("delivery %s to %s: taken up again when its lease ends", which, channel.name)

    async def _after_crash(self, channel: Channel, row: Row) -> None:
        """A worker died between the send and the answer."""
        until = self.now() + LEASE_SECONDS * SECOND

        async def take(tx: Tx) -> bool:
            return await outbox.claim(tx, row, "in_flight", until, row.attempts)

        if await self.store.write(take):
            row = msgspec.structs.replace(row, due=until)
            await self._unanswered(channel, row, "the hub stopped before it had the answer")

    async def _send(self, channel: Channel, row: Row) -> None:
        try:
            claimed = await self._prepare(channel, row)
        except HubError as error:
            await self._bury(row, f"{row.document or row.kind}: {error}")
            return
        if claimed is None:
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                reply = await channel.adapter.send(delivery_of(claimed))
        except Rejected as error:
            message = error.reply if isinstance(error.reply, Message) else None
            await self._answered(channel, claimed, message, refused=str(error))
        except Retryable as error:
            await self._again(channel, claimed, str(error))
        except Misconfigured as error:
            channel.pause(str(error))
            log.error("channel %s paused: %s", channel.name, error)
            await self._again(channel, claimed, str(error))
        except OutcomeUnknown as error:
            await self._unanswered(channel, claimed, str(error))
        except Exception as error:
            log.exception("adapter %s failed in send", channel.adapter.kind)
            await self._unanswered(channel, claimed, f"{type(error).__name__} in the adapter")
        else:
            await self._answered(channel, claimed, reply)

    async def _prepare(self, channel: Channel, row: Row) -> Row | None:
        """Claim a row and, at the first attempt, make and keep its bytes. None: another worker has it."""
        ready = bool(row.body) or row.notice
        env = {} if ready else await self.pipeline.environment(row)

        async def work(tx: Tx) -> Row | None:
            until = tx.now + LEASE_SECONDS * SECOND
            if not await outbox.claim(tx, row, "in_flight", until, row.attempts + 1):
                return None
            made = row if ready else await self._write_bytes(tx, channel, row, env)
            return msgspec.structs.replace(made, state="in_flight", due=until, attempts=row.attempts + 1)

        return await self.store.write(work)

    async def _write_bytes(self, tx: Tx, channel: Channel, row: Row, env: Mapping[str, Any]) -> Row:
        document = self.pipeline.understanding.mappings.named(row.document)
        created = to_datetime(tx.now).astimezone(self.store.zone)
        delivery: dict[str, Any] = {
            "created": created.isoformat(timespec="milliseconds"),
            "number": 0,
            "id": row.id,
        }
        context = self.pipeline.understanding.context(channel.name, {**env, "delivery": delivery})
        focus = env.get("focus", {})
        scope = document.counter_scope(focus, context) or channel.name
        number = delivery["number"] = await outbox.number(tx, f"{channel.name}/{scope}")
        rendered = document.render(focus, context)
        letter = outbox.Letter(
            number=number,
            created=tx.now,
            kind=rendered.kind,
            business_id=rendered.business_id,
            content_type=rendered.content_type,
            headers=msgspec.json.encode(rendered.headers).decode(),
            mapping=rendered.mapping_hash,
            body=rendered.body,
        )
        await outbox.write(tx, row.id, letter)
        return msgspec.structs.replace(row, **msgspec.structs.asdict(letter))

    async def _answered(
        self, channel: Channel, row: Row, reply: Message | None, *, refused: str | None = None
    ) -> None:
        self.metrics.count(
            "hub_deliveries_total", channel.name, "refused" if refused is not None else "delivered"
        )
        if row.notice:
            await self._if_held(row, lambda tx: self._notified(tx, row, refused))
            return
        await self.pipeline.reply(channel, row, reply, await self.pipeline.environment(row), refused=refused)

    async def _notified(self, tx: Tx, row: Row, refused: str | None) -> None:
        """A notice arrived; it is refused where the Subscription, or the version it is about, is gone."""
        await outbox.mark(tx, row.id, "delivered" if refused is None else "refused", error=refused or "")
        if refused is None:
            await self.subscriptions.delivered(tx, row)

    async def _again(self, channel: Channel, row: Row, why: str) -> None:
        """Certainly not sent: the same bytes later, or a dead letter after the last attempt."""
        if row.attempts >= channel.settings.attempts:
            await self._bury(row, f"{why} ({row.attempts} attempts)")
            return
        self.metrics.count("hub_deliveries_total", channel.name, "retried")
        due = self.now() + self._pause(channel, row.attempts)

        async def work(tx: Tx) -> None:
            await outbox.mark(tx, row.id, "pending", due=due, error=why)
            if row.notice:
                await self.subscriptions.failed(tx, row, why)

        await self._if_held(row, work)

    async def _if_held(self, row: Row, work: Callable[[Tx], Awaitable[object]]) -> None:
        """Write only while this worker's claim stands: an answer another worker brought is never undone."""

        async def guarded(tx: Tx) -> None:
            if await outbox.holds(tx, row):
                await work(tx)

        await self.store.write(guarded)

    async def _unanswered(self, channel: Channel, row: Row, why: str) -> None:
        """Nobody knows whether it took effect."""
        if row.effect:
            await self._if_held(row, lambda tx: outbox.doubt(tx, row.id, True))
        if not row.effect or channel.adapter.capabilities.idempotent:
            await self._again(channel, row, why)
            return
        self.metrics.count("hub_deliveries_total", channel.name, "unknown")

        async def work(tx: Tx) -> str:
            if await self.conversations.unknown(tx, row, why):
                return "taken over"
            talk = await talks.load(tx, row.conversation) if row.conversation else None
            mode = self.conversations.mode(row, talk)
            if mode == "adapter" and channel.adapter.capabilities.can_confirm:
                await outbox.mark(tx, row.id, "unknown", due=tx.now + self._pause(channel, 1), error=why)
            elif mode == "same" and row.attempts < channel.settings.attempts:
                due = tx.now + self._pause(channel, row.attempts)
                await outbox.mark(tx, row.id, "pending", due=due, error=why)
            else:
                await self._wait_for_person(tx, row, f"outcome unknown: {why}")
            return mode

        await self._if_held(row, work)

    async def _confirm(self, channel: Channel, row: Row) -> None:
        """Ask the adapter whether an unanswered effect took place."""
        lease = self.now() + LEASE_SECONDS * SECOND

        async def take(tx: Tx) -> bool:
            return await outbox.claim(tx, row, "unknown", lease, row.attempts + 1)

        if not await self.store.write(take):
            return
        row = msgspec.structs.replace(row, due=lease, attempts=row.attempts + 1)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                found = await channel.adapter.confirm(delivery_of(row))
        except Exception as error:
            log.warning("channel %s: confirm of delivery %s failed: %s", channel.name, row.id, error)
            found = None
        if isinstance(found, Applied):
            await self._answered(channel, row, found.reply)
            return

        async def work(tx: Tx) -> None:
            if isinstance(found, NotApplied):
                await outbox.doubt(tx, row.id, False)
                await outbox.mark(tx, row.id, "pending", error=found.why)
            elif row.attempts >= channel.settings.attempts:
                await self._wait_for_person(tx, row, "outcome unknown, and the system cannot tell")
            else:
                due = tx.now + self._pause(channel, row.attempts)
                await outbox.mark(tx, row.id, "unknown", due=due, error=found.why if found else row.error)

        await self._if_held(row, work)

    async def _bury(self, row: Row, why: str) -> None:
        self.metrics.count("hub_deliveries_total", row.channel, "dead")

        await self._if_held(row, lambda tx: self._wait_for_person(tx, row, why))

    async def _wait_for_person(self, tx: Tx, row: Row, why: str) -> None:
        log.warning("delivery %s to %s is a dead letter", row.id, row.channel)
        await outbox.mark(tx, row.id, "dead", error=why)
        if row.notice:
            await self.subscriptions.failed(tx, row, why, dead=True)
        await self.conversations.wait_for_person(tx, row, why)

    async def replay(self, which: int) -> bool:
        """Send a dead letter again; False if it is none."""
        row = await outbox.load(self.store, which)

        async def work(tx: Tx) -> bool:
            if row is None or not await outbox.replay(tx, which):
                return False
            await self.conversations.resume(tx, row)
            return True

        sent = await self.store.write(work)
        if row is not None:
            self.wake(row.channel)
        return sent

    def _pause(self, channel: Channel, attempts: int) -> int:
        """Exponential back-off with jitter, in microseconds."""
        longest = channel.settings.retry_seconds_max
        wait = min(channel.settings.retry_seconds * 2.0 ** (attempts - 1), longest)
        return round(float(wait) * random.uniform(0.5, 1.0) * SECOND)


def delivery_of(row: Row) -> Delivery:
    """An outbox row as the value an adapter gets."""
    return Delivery(
        id=row.id,
        channel=row.channel,
        kind=row.kind,
        body=row.body,
        content_type=row.content_type,
        business_id=row.business_id,
        order=row.ordering,
        attempt=row.attempts,
        created=row.created,
        effect=row.effect,
        headers=msgspec.json.decode(row.headers, type=dict[str, str]),
    )
