"""Receive, map, validate, store, notify: the way of every message, in one transaction.

A message becomes resources, search index, audit, outbox rows and its own inbox row together, or it is
kept as an invalid message with the reason. A reply takes the same way and moves its conversation on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from hub import r4
from hub.audit import Audit
from hub.channels import Channel
from hub.conversations import Conversations
from hub.errors import HubError, InvalidMessage, Issue, Retryable
from hub.mapping import Change
from hub.messages import Message, Outcome
from hub.metrics import Metrics
from hub.store import Store, inbox, leases, outbox
from hub.store.audit import record
from hub.store.backend import Tx
from hub.store.inbox import Held, Kept
from hub.store.outbox import Row
from hub.store.resources import Draft, draft, get, put_all
from hub.store.search.planner import resolve
from hub.understanding import LONG, Elsewhere, Source, Understanding, Understood

log = logging.getLogger("hub.pipeline")

TRY_AGAIN = frozenset({"invalid", "rejected"})
"""A message of these states may be sent again and is then mapped again."""

UNAVAILABLE = Outcome(
    code="unavailable",
    issues=(Issue(code="transient", diagnostics="the hub cannot store now; send it again"),),
)


class Pipeline:
    """What every channel's messages pass through.

    `received` is called with a message that was acknowledged at the inbox commit and waits to be mapped.
    """

    def __init__(
        self,
        store: Store,
        understanding: Understanding,
        elsewhere: Elsewhere,
        conversations: Conversations,
        *,
        metrics: Metrics,
    ) -> None:
        self.store = store
        self.understanding = understanding
        self.elsewhere = elsewhere
        self.conversations = conversations
        self.metrics = metrics
        self.received: Callable[[Channel, int], None] = lambda channel, seq: None

    async def take(self, channel: Channel, cursor: str, message: Message) -> Outcome:
        """One arrival, from its bytes to a durable outcome; never raises."""
        try:
            with self.store.coming():
                if channel.settings.acknowledge == "received" and message.problem is None:
                    outcome = await self._receive(channel, cursor, message)
                else:
                    outcome = await self._map_and_store(channel, cursor, message)
        except Exception:
            log.exception(
                "channel %s: a message was not kept; its sender is told to send again", channel.name
            )
            outcome = UNAVAILABLE
        self.metrics.count("hub_messages_total", channel.name, outcome.code)
        return outcome

    async def _map_and_store(self, channel: Channel, cursor: str, message: Message) -> Outcome:
        received = self.store.now()
        found = await self._understand(channel, message)

        async def arrive(tx: Tx) -> Outcome:
            held = await inbox.find(tx, channel.name, message.key)
            outcome = await self._seen_before(tx, channel, message, held, received)
            if outcome is None:
                seq = await self._keep(tx, channel, message, found, received, held)
                await self._apply(tx, channel, seq, found)
                outcome = Outcome(code=found.state, message=seq, issues=tuple(found.issues))
            await _move(tx, channel, cursor)
            return outcome

        async def write(understood: Understood) -> Outcome:
            nonlocal found
            found = understood
            return await self.store.write(arrive)

        return await _or_invalid(found, write)

    async def _receive(self, channel: Channel, cursor: str, message: Message) -> Outcome:
        """Acknowledge after the inbox commit; map afterwards."""
        received = self.store.now()

        async def arrive(tx: Tx) -> Outcome:
            held = await inbox.find(tx, channel.name, message.key)
            outcome = await self._seen_before(tx, channel, message, held, received)
            if outcome is None:
                instead = held.seq if held is not None else 0
                seq = await inbox.keep(
                    tx, channel.name, message, "received", received=received, instead=instead
                )
                await inbox.wait(tx, seq)
                outcome = Outcome(code="accepted", message=seq)
            await _move(tx, channel, cursor)
            return outcome

        outcome = await self.store.write(arrive)
        if outcome.code == "accepted":
            self.received(channel, outcome.message)
        return outcome

    async def _understand(self, channel: Channel, message: Message) -> Understood:
        source = source_of(channel)
        if len(message.body) > LONG and message.problem is None:
            return await self.elsewhere.message(source, message)
        return self.understanding.message(source, message)

    async def _seen_before(
        self, tx: Tx, channel: Channel, message: Message, held: Held | None, received: int
    ) -> Outcome | None:
        """A message whose key came before: a duplicate or a conflict; None if it is new, or tried again."""
        if held is None:
            return None
        if held.digest != message.body_hash():
            text = f"message {held.seq} came under the same key with another body; a person decides"
            issue = Issue(code="conflict", diagnostics=text)
            state, body = "conflict", message
        elif held.state in TRY_AGAIN:
            return None
        else:
            issue = Issue(
                severity="information", code="duplicate", diagnostics=f"the same as message {held.seq}"
            )
            state = "duplicate"
            body = msgspec.structs.replace(
                message, body=b"", size=len(message.body), digest=held.digest.hex()
            )
        seq = await inbox.keep(
            tx, channel.name, body, state, received=received, issues=[issue], first=held.seq, hold=False
        )
        if state == "conflict":
            return Outcome(code="conflict", message=seq, issues=(issue,))
        return Outcome(code="duplicate", message=seq, first="accepted")

    async def _keep(
        self, tx: Tx, channel: Channel, message: Message, found: Understood, received: int, held: Held | None
    ) -> int:
        return await inbox.keep(
            tx,
            channel.name,
            message,
            found.row_state,
            received=received,
            issues=found.issues,
            mapping=found.mapping,
            instead=held.seq if held is not None else 0,
        )

    async def _apply(self, tx: Tx, channel: Channel, seq: int, found: Understood) -> None:
        """What an understood message does, beside being kept."""
        drafts = [*found.drafts]
        for one in found.fallbacks:
            if tx.memory.get((one.type, one.id)) is None and await get(tx, one.type, one.id) is None:
                drafts.append(one)
        drafts += [await self._changed(tx, channel, one, found) for one in found.changes]
        if drafts:
            await put_all(tx, drafts, message=seq)
            target = f"message/{seq}"
            await record(
                tx,
                [
                    Audit(
                        at=tx.now, organisation=channel.name, via=channel.name, action="create", target=target
                    )
                ],
            )
        if found.unmapped:
            await inbox.queue_codes(tx, seq, found.unmapped)

    async def _changed(self, tx: Tx, channel: Channel, change: Change, found: Understood) -> Draft:
        """The one stored resource that a change names, with its new elements; never a guess."""
        ids = await resolve(tx, change.type, change.criteria)
        stored = await get(tx, change.type, ids[0]) if len(ids) == 1 else None
        if stored is None:
            how_many = "several are" if ids else "none is"
            text = f"{change.where}: expected one stored {change.type} of this number, {how_many}"
            raise InvalidMessage(text, expression=change.where)
        before = r4.tree(stored.body)
        tree = {**before, **change.content}
        meta = {key: value for key, value in before.get("meta", {}).items() if key in ("profile", "security")}
        tags = [*before.get("meta", {}).get("tag", ()), *change.content.get("meta", {}).get("tag", ())]
        tree["meta"] = {**meta, "tag": [tag for n, tag in enumerate(tags) if tag not in tags[:n]]}
        if not tags:
            del tree["meta"]["tag"]
        if not tree["meta"]:
            del tree["meta"]
        return draft(
            self.store,
            r4.untree(tree),
            type=change.type,
            id=stored.id,
            owner=channel.name,
            event_time=found.event_time,
            mapping=found.mapping,
        )

    async def map_received(self, channel: Channel, seq: int) -> None:
        """Map one message of the backlog."""
        kept = await inbox.load(self.store, seq)
        if kept is None:
            return
        found = await self._understand(channel, message_of(kept))

        async def write(understood: Understood) -> Outcome:
            async def settle(tx: Tx) -> Outcome:
                await inbox.done(tx, seq)
                return await self._settle(tx, channel, kept, understood)

            return await self.store.write(settle)

        await _or_invalid(found, write)

    async def replay(self, channel: Channel, seq: int) -> Outcome:
        """Map a kept message again: an invalid, rejected or conflicting one, or a stored one anew."""
        kept = await inbox.load(self.store, seq)
        if kept is None or kept.channel != channel.name:
            raise InvalidMessage(f"message {seq} is not one of channel {channel.name}")
        if not kept.body or kept.size > len(kept.body):
            raise InvalidMessage(
                f"message {seq} is kept without its whole body ({kept.state}); replay the first one"
            )
        if kept.in_reply_to:
            return await self._replay_reply(channel, kept)
        message = message_of(kept)
        found = await self._understand(channel, message)

        async def write(understood: Understood) -> Outcome:
            async def settle(tx: Tx) -> Outcome:
                if understood.state == "accepted":
                    await inbox.hold(tx, kept.channel, kept.key, seq, message.body_hash())
                return await self._settle(tx, channel, kept, understood)

            return await self.store.write(settle)

        return await _or_invalid(found, write)

    async def _settle(self, tx: Tx, channel: Channel, kept: Kept, found: Understood) -> Outcome:
        """Say what became of a message that is already in the inbox, and do it."""
        await inbox.settle(
            tx, kept.seq, found.row_state, kind=kept.kind, issues=found.issues, mapping=found.mapping
        )
        await self._apply(tx, channel, kept.seq, found)
        return Outcome(code=found.state, message=kept.seq, issues=tuple(found.issues))

    async def reply(
        self,
        channel: Channel,
        row: Row,
        message: Message | None,
        env: Mapping[str, Any],
        *,
        refused: str | None = None,
    ) -> Outcome:
        """What a target said to a delivery: kept, mapped, stored, and its conversation moves on."""
        found = self._understand_reply(channel, row, message, env, refused)
        received = self.store.now()
        if message is not None:
            key = f"delivery/{row.id}/{row.attempts}"
            message = msgspec.structs.replace(message, key=key, in_reply_to=row.id)

        async def write(understood: Understood) -> Outcome:
            async def answer(tx: Tx) -> Outcome:
                seq = 0
                if message is not None:
                    held = await inbox.find(tx, channel.name, message.key)
                    if held is not None:
                        return Outcome(code="duplicate", message=held.seq)
                    seq = await self._keep(tx, channel, message, understood, received, None)
                state = "delivered" if refused is None else "refused"
                await outbox.mark(tx, row.id, state, reply=seq, error=refused or "")
                await self._apply(tx, channel, seq, understood)
                await self.conversations.advance(
                    tx, row, understood.facts, refused=refused, stopped=understood.reason
                )
                return Outcome(code=understood.state, message=seq, issues=tuple(understood.issues))

            return await self.store.write(answer)

        return await _or_invalid(found, write)

    def _understand_reply(
        self, channel: Channel, row: Row, message: Message | None, env: Mapping[str, Any], refused: str | None
    ) -> Understood:
        outcome = {"outcome": "done" if refused is None else "refused"}
        return self.understanding.reply(source_of(channel), row.reply_document, message, {**env, **outcome})

    async def _replay_reply(self, channel: Channel, kept: Kept) -> Outcome:
        """Map an answer again, after a mapping or a rule was mended; its conversation goes on from there."""
        row = await outbox.load(self.store, kept.in_reply_to)
        if row is None:
            raise InvalidMessage(f"message {kept.seq} answers delivery {kept.in_reply_to}, which is gone")
        refused = row.error if row.state == "refused" else None
        env = await self.environment(row)
        found = self._understand_reply(channel, row, message_of(kept), env, refused)

        async def write(understood: Understood) -> Outcome:
            async def settle(tx: Tx) -> Outcome:
                outcome = await self._settle(tx, channel, kept, understood)
                await self.conversations.advance(
                    tx, row, understood.facts, refused=refused, stopped=understood.reason
                )
                return outcome

            return await self.store.write(settle)

        return await _or_invalid(found, write)

    async def environment(self, row: Row) -> dict[str, Any]:
        """What the documents of a delivery may read: %facts, %settings, %focus, %sent, %unknown, %step."""
        return await self.conversations.environment(self.store, row)


async def _move(tx: Tx, channel: Channel, cursor: str) -> None:
    """The cursor commits with its message, and only while this process may poll the channel."""
    if not cursor:
        return
    if channel.lease is not None:
        await leases.check(tx, channel.name, channel.lease.owner, channel.lease.fence)
    await inbox.move_cursor(tx, channel.name, cursor)


async def _or_invalid(found: Understood, write: Callable[[Understood], Awaitable[Outcome]]) -> Outcome:
    """Store; what the store refuses (another owner, say) is kept as an invalid message with that reason."""
    try:
        return await write(found)
    except HubError as error:
        if found.state != "accepted" or isinstance(error, Retryable | leases.LeaseLost):
            raise
        return await write(Understood(state="invalid", issues=error.issues))


def source_of(channel: Channel) -> Source:
    """A channel as the mappings see it."""
    return Source(channel=channel.name, mapping=channel.settings.mapping, values=channel.values)


def message_of(kept: Kept) -> Message:
    """An inbox row as the message it was."""
    return Message(
        key=kept.key,
        body=kept.body,
        kind=kept.kind,
        content_type=kept.content_type,
        charset=kept.charset,
        in_reply_to=kept.in_reply_to,
    )
