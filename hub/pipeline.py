"""Receive, map, validate, store, notify: the way of every message, in one transaction.

A message becomes resources, search index, audit, outbox rows and its own inbox row together, or it is
kept as an invalid message with the reason. A reply takes the same way and moves its conversation on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from hub.audit import Audit
from hub.channels import Channel
from hub.conversations import Conversations
from hub.errors import HubError, InvalidMessage, Issue, NotSupported
from hub.mapping import Context, Mapping as Document, Mappings
from hub.messages import Message, Outcome, OutcomeCode
from hub.metrics import Metrics
from hub.store import Store, inbox, outbox
from hub.store.backend import Tx
from hub.store.inbox import Held, Kept
from hub.store.outbox import Row
from hub.store.resources import Draft, draft, put
from hub.store.audit import record
from hub.validation.rules import Rules

log = logging.getLogger("hub.pipeline")

TRY_AGAIN = frozenset({"invalid", "rejected"})
"""A message of these states may be sent again and is then mapped again."""


class Understood(msgspec.Struct, kw_only=True):
    """A message after mapping and validation, ready to be stored; or why it cannot be."""

    state: OutcomeCode
    drafts: Sequence[Draft] = ()
    issues: Sequence[Issue] = ()
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    mapping: bytes = b""
    unmapped: Sequence[tuple[str, str, str]] = ()

    @property
    def row_state(self) -> str:
        return "stored" if self.state == "accepted" else self.state

    @property
    def reason(self) -> str:
        return self.issues[0].diagnostics if self.issues else ""


class Pipeline:
    """What every channel's messages pass through.

    `backlog` holds the numbers of messages that were acknowledged when received and wait to be mapped.
    """

    def __init__(
        self,
        store: Store,
        mappings: Mappings,
        conversations: Conversations,
        rules: Rules,
        *,
        hub_key: bytes,
        canonical: str,
        now: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self.store = store
        self.mappings = mappings
        self.conversations = conversations
        self.rules = rules
        self.hub_key = hub_key
        self.canonical = canonical
        self.now = now
        self.metrics = metrics
        self.received: Callable[[Channel, int], None] = lambda channel, seq: None

    async def take(self, channel: Channel, cursor: str, message: Message) -> Outcome:
        """One arrival, from its bytes to a durable outcome."""
        try:
            if channel.settings.acknowledge == "received" and message.problem is None:
                outcome = await self._receive(channel, cursor, message)
            else:
                outcome = await self._store(channel, cursor, message, self.understand(channel, message))
        except Exception:
            log.exception("channel %s: a message could not be kept; the sender is told to try again", channel.name)
            outcome = Outcome(code="unavailable", issues=(Issue(code="transient", diagnostics="try again later"),))
        self.metrics.count("hub_messages_total", channel.name, outcome.code)
        return outcome

    def understand(self, channel: Channel, message: Message) -> Understood:
        """Map and validate; what cannot be understood comes back with its reason."""
        if message.problem is not None:
            too_long = message.problem.code == "too-long"
            return Understood(state="rejected" if too_long else "invalid", issues=(message.problem,))
        document = self.mappings.for_kind(channel.settings.mapping, message.kind)
        if document is None:
            text = f"no mapping of the set {channel.settings.mapping!r} understands {message.kind or 'this message'!r}"
            return Understood(state="rejected", issues=(Issue(code="not-supported", diagnostics=text),))
        return self._understand(channel, message, document, {})

    def _understand(
        self, channel: Channel, message: Message, document: Document, env: Mapping[str, Any]
    ) -> Understood:
        try:
            context = Context(
                system=channel.name,
                hub_key=self.hub_key,
                zone=self.store.zone,
                env={"settings": channel.values, "base": self.canonical, **env},
                charset=message.charset,
                content_type=message.content_type,
            )
            mapped = document.map(message.body, context)
            drafts, issues = [], list(mapped.issues)
            for one in mapped.resources:
                made = draft(
                    self.store,
                    one.body,
                    type=one.type,
                    id=one.id,
                    owner=channel.name,
                    event_time=mapped.event_time,
                    mapping=mapped.mapping_hash,
                )
                issues += self.rules.check(one.type, one.body, channel.values)
                drafts.append(made)
        except NotSupported as error:
            return Understood(state="rejected", issues=error.issues)
        except HubError as error:
            return Understood(state="invalid", issues=error.issues)
        except Exception as error:
            log.exception("channel %s: mapping %s failed", channel.name, document.name)
            text = f"mapping {document.name} failed on this message: {type(error).__name__}"
            return Understood(state="invalid", issues=(Issue(code="exception", diagnostics=text),))
        return Understood(
            state="accepted",
            drafts=drafts,
            issues=issues,
            facts=mapped.facts,
            mapping=mapped.mapping_hash,
            unmapped=mapped.unmapped,
        )

    async def _store(self, channel: Channel, cursor: str, message: Message, found: Understood) -> Outcome:
        received = self.now()

        async def work(tx: Tx) -> Outcome:
            held = await inbox.find(tx, channel.name, message.key)
            outcome = await self._known(tx, channel, message, held, received)
            if outcome is None:
                seq = await inbox.keep(
                    tx,
                    channel.name,
                    message,
                    found.row_state,
                    received=received,
                    issues=found.issues,
                    mapping=found.mapping,
                )
                if held is not None:
                    await inbox.replace(tx, held.seq, seq)
                await self._effects(tx, channel, seq, found)
                outcome = Outcome(code=found.state, message=seq, issues=tuple(found.issues))
            if cursor:
                await inbox.move_cursor(tx, channel.name, cursor)
            return outcome

        return await self._or_invalid(work, channel, cursor, message, found)

    async def _or_invalid(
        self, work: Callable[[Tx], Any], channel: Channel, cursor: str, message: Message, found: Understood
    ) -> Outcome:
        """Store; what the store refuses (another owner, say) is kept as an invalid message."""
        try:
            outcome: Outcome = await self.store.write(work)
            return outcome
        except HubError as error:
            if found.state != "accepted":
                raise
            return await self._store(channel, cursor, message, Understood(state="invalid", issues=error.issues))

    async def _known(
        self, tx: Tx, channel: Channel, message: Message, held: Held | None, received: int
    ) -> Outcome | None:
        """A message whose key came before: a duplicate or a conflict; None if it is new, or tried again."""
        if held is None:
            return None
        if held.digest != message.body_hash():
            issue = Issue(
                code="conflict",
                diagnostics=f"message {held.seq} came under the same key with another body; a person decides",
            )
            seq = await inbox.keep(
                tx, channel.name, message, "conflict", received=received, issues=[issue], first=held.seq, hold=False
            )
            return Outcome(code="conflict", message=seq, issues=(issue,))
        if held.state in TRY_AGAIN:
            return None
        again = msgspec.structs.replace(message, body=b"", size=len(message.body), digest=held.digest.hex())
        issue = Issue(severity="information", code="duplicate", diagnostics=f"the same as message {held.seq}")
        seq = await inbox.keep(
            tx, channel.name, again, "duplicate", received=received, issues=[issue], first=held.seq, hold=False
        )
        return Outcome(code="duplicate", message=seq, first="accepted")

    async def _effects(self, tx: Tx, channel: Channel, seq: int, found: Understood) -> None:
        """What an understood message does, beside being kept."""
        if found.drafts:
            for one in found.drafts:
                await put(tx, one, message=seq)
            row = Audit(
                at=tx.now, organisation=channel.name, via=channel.name, action="create", target=f"message/{seq}"
            )
            await record(tx, [row])
        if found.unmapped:
            await inbox.queue_codes(tx, seq, found.unmapped)

    async def _receive(self, channel: Channel, cursor: str, message: Message) -> Outcome:
        """Acknowledge after the inbox commit; map afterwards."""
        received = self.now()

        async def work(tx: Tx) -> Outcome:
            held = await inbox.find(tx, channel.name, message.key)
            outcome = await self._known(tx, channel, message, held, received)
            if outcome is None:
                seq = await inbox.keep(tx, channel.name, message, "received", received=received)
                if held is not None:
                    await inbox.replace(tx, held.seq, seq)
                await inbox.wait(tx, seq)
                outcome = Outcome(code="accepted", message=seq)
            if cursor:
                await inbox.move_cursor(tx, channel.name, cursor)
            return outcome

        outcome = await self.store.write(work)
        if outcome.code == "accepted":
            self.received(channel, outcome.message)
        return outcome

    async def map_received(self, channel: Channel, seq: int) -> None:
        """Map one message of the backlog."""
        kept = await inbox.load(self.store, seq)
        if kept is not None:
            await self._resolve(channel, kept, self.understand(channel, message_of(kept)), backlog=True)

    async def replay(self, channel: Channel, seq: int) -> Outcome:
        """Map a kept message again: an invalid, rejected or conflicting one, or a stored one anew."""
        kept = await inbox.load(self.store, seq)
        if kept is None or kept.channel != channel.name:
            raise InvalidMessage(f"message {seq} is not one of channel {channel.name}")
        if kept.state == "duplicate" or not kept.body or kept.size > len(kept.body):
            raise InvalidMessage(f"message {seq} is kept without its body ({kept.state}); replay the first one")
        if kept.in_reply_to:
            return await self._replay_reply(channel, kept)
        return await self._resolve(channel, kept, self.understand(channel, message_of(kept)))

    async def _resolve(self, channel: Channel, kept: Kept, found: Understood, backlog: bool = False) -> Outcome:
        async def work(tx: Tx) -> Outcome:
            await inbox.settle(
                tx, kept.seq, found.row_state, kind=kept.kind, issues=found.issues, mapping=found.mapping
            )
            if backlog:
                await inbox.done(tx, kept.seq)
            elif found.state == "accepted":
                await inbox.hold(tx, kept.channel, kept.key, kept.seq, message_of(kept).body_hash())
            await self._effects(tx, channel, kept.seq, found)
            return Outcome(code=found.state, message=kept.seq, issues=tuple(found.issues))

        try:
            return await self.store.write(work)
        except HubError as error:
            if found.state != "accepted":
                raise
            return await self._resolve(
                channel, kept, Understood(state="invalid", issues=error.issues), backlog=backlog
            )

    async def reply(
        self,
        channel: Channel,
        row: Row,
        message: Message | None,
        env: Mapping[str, Any],
        *,
        refused: str | None = None,
    ) -> Outcome:
        """What a target said to a delivery: kept, mapped, stored, and the conversation moves on."""
        found = self._understand_reply(channel, row, message, env, refused)
        received = self.now()

        async def work(tx: Tx) -> Outcome:
            seq = 0
            if message is not None:
                named = msgspec.structs.replace(
                    message, key=f"delivery/{row.id}/{row.attempts}", in_reply_to=row.id
                )
                held = await inbox.find(tx, channel.name, named.key)
                if held is not None:
                    return Outcome(code="duplicate", message=held.seq)
                seq = await inbox.keep(
                    tx,
                    channel.name,
                    named,
                    found.row_state,
                    received=received,
                    issues=found.issues,
                    mapping=found.mapping,
                )
            state = "delivered" if refused is None else "refused"
            await outbox.mark(tx, row.id, state, reply=seq, error=refused or "")
            await self._effects(tx, channel, seq, found)
            stopped = found.reason if found.state != "accepted" else ""
            await self.conversations.advance(tx, row, found.facts, refused=refused, stopped=stopped)
            return Outcome(code=found.state, message=seq, issues=tuple(found.issues))

        try:
            return await self.store.write(work)
        except HubError as error:
            if found.state != "accepted":
                raise
            found = Understood(state="invalid", issues=error.issues)
            return await self.store.write(work)

    def _understand_reply(
        self, channel: Channel, row: Row, message: Message | None, env: Mapping[str, Any], refused: str | None
    ) -> Understood:
        if message is None or not row.reply_document:
            return Understood(state="accepted")
        document = self.mappings.named(row.reply_document)
        return self._understand(
            channel, message, document, {**env, "outcome": "done" if refused is None else "refused"}
        )

    async def _replay_reply(self, channel: Channel, kept: Kept) -> Outcome:
        """Map an answer again, after a mapping or a rule was mended; its conversation goes on from there."""
        row = await outbox.load(self.store, kept.in_reply_to)
        if row is None:
            raise InvalidMessage(f"message {kept.seq} answers delivery {kept.in_reply_to}, which is gone")
        env = await self.environment(row)
        refused = row.error if row.state == "refused" else None
        found = self._understand_reply(channel, row, message_of(kept), env, refused)

        async def work(tx: Tx) -> Outcome:
            await inbox.settle(
                tx, kept.seq, found.row_state, kind=kept.kind, issues=found.issues, mapping=found.mapping
            )
            await self._effects(tx, channel, kept.seq, found)
            stopped = found.reason if found.state != "accepted" else ""
            await self.conversations.advance(tx, row, found.facts, refused=refused, stopped=stopped)
            return Outcome(code=found.state, message=kept.seq, issues=tuple(found.issues))

        return await self.store.write(work)

    async def environment(self, row: Row) -> dict[str, Any]:
        """What the documents of a delivery may read: %facts, %settings, %focus, %sent, %unknown, %step."""
        return await self.conversations.environment(self.store, row)


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
