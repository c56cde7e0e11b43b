"""The engine: a stored resource starts a conversation, a reply advances it, silence makes it ask.

Every move happens inside the transaction that brought its cause, so a conversation is never ahead of or
behind its messages. No move sends anything: it writes the next outbox row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from hub import r4
from hub.conversations.document import Document, Step, Unknown
from hub.conversations.doubling import check_without_effect
from hub.conversations.neighbourhood import neighbourhood, sent_tree
from hub.errors import Conflict, Misconfigured, NotFound
from hub.store import outbox, talks
from hub.store.backend import Reader, Tx
from hub.store.outbox import Row
from hub.store.resources import Written, get
from hub.store.talks import Talk

SECOND = 1_000_000
STUCK = ("waiting", "refused")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A channel that conversations speak to, with the settings its documents may read."""

    channel: str
    documents: tuple[str, ...]
    values: dict[str, Any]


class Conversations:
    """All conversations of one hub.

    `woken` is called with a channel's name when a commit gave it something to deliver; hang `committed` into
    the store for that.
    """

    def __init__(
        self,
        documents: Mapping[str, Document],
        targets: Sequence[Target],
        woken: Callable[[str], None] = lambda channel: None,
    ) -> None:
        self.documents = documents
        self.targets = {target.channel: target for target in targets}
        self.woken = woken
        self._fresh: set[str] = set()
        self._by_type: dict[str, list[tuple[Document, Target]]] = {}
        for target in targets:
            for name in target.documents:
                if name not in documents:
                    known = ", ".join(sorted(documents)) or "none"
                    raise Misconfigured(
                        f"channels.{target.channel}.conversations: no document {name!r} (there are: {known})"
                    )
                self._by_type.setdefault(documents[name].resource, []).append((documents[name], target))

    async def stored(self, tx: Tx, changes: Sequence[Written]) -> None:
        """Start what the stored resources ask for; hung into the store."""
        for change in changes:
            if change.type in self._by_type and change.change in ("created", "updated", "restored"):
                await self._offer(tx, change)

    async def _offer(self, tx: Tx, change: Written) -> None:
        focus = r4.tree(change.body)
        for document, target in self._by_type[change.type]:
            env = {"facts": {}, "settings": target.values, "resource": focus}
            if document.when is not None and not document.when.truth(focus, env):
                continue
            reference = f"{change.type}/{change.id}"
            key = str(document.key.first(focus, env) if document.key else None or reference)
            if await talks.find(tx, document.name, key):
                continue
            order = document.order.first(focus, env) if document.order else None
            talk = Talk(
                id=0,
                document=document.name,
                key=key,
                channel=target.channel,
                focus=reference,
                ordering=str(order or key),
                state="running",
                place={},
                facts={},
            )
            talk.id = await talks.begin(tx, talk)
            await self._go(tx, talk, document, 0, focus)

    def committed(self) -> None:
        """After a commit: wake the channels that have something new to deliver."""
        fresh, self._fresh = self._fresh, set()
        for channel in fresh:
            self.woken(channel)

    async def advance(
        self, tx: Tx, row: Row, facts: Mapping[str, Any], *, refused: str | None = None, stopped: str = ""
    ) -> None:
        """A reply came: keep its facts and take the next step.

        `refused` is the other system's reason; `stopped` says why the reply itself cannot be used, which
        is for a person to look at.
        """
        talk = await talks.lock(tx, row.conversation)
        if talk is None or talk.place.get("delivery") != row.id or talk.state not in ("running", "waiting"):
            return
        waited, talk.state, talk.reason = talk.state == "waiting", "running", ""
        talk.facts |= facts
        document = self._document(talk)
        role = talk.place["role"]
        if stopped:
            await self._halt(tx, talk, "waiting", f"{row.step}: {stopped}")
        elif refused is not None:
            await self._refused(tx, talk, document, f"{row.step}: {refused}", by_person=waited)
        elif role == "step":
            await self._stepped(tx, talk, document)
        elif role == "undo":
            await self._undone(tx, talk)
        else:
            await self._asked(tx, talk, document, talk.place["ask"] + 1)

    async def unknown(self, tx: Tx, row: Row, why: str) -> bool:
        """An effect went unanswered. True: the conversation has taken it over; False: the worker decides."""
        talk = await talks.lock(tx, row.conversation)
        if talk is None or talk.state != "running" or talk.place.get("delivery") != row.id:
            return False
        document = self._document(talk)
        step = self._step(talk)
        if talk.place["role"] == "undo" or step.unknown is None:
            return False
        if step.unknown.mode == "resend":
            await outbox.mark(tx, row.id, "cancelled", error=why)
            await self._send(tx, talk, step, {**talk.place, "role": "step"})
            return True
        if step.unknown.mode == "ask":
            await outbox.release(tx, row.id, why)
            unanswered = {
                "delivery": row.id,
                "business_id": row.business_id,
                "number": row.number,
                "created": row.created,
                "kind": row.kind,
                "since": tx.now,
            }
            talk.place = {"step": step.name, "again": talk.place.get("again", False), "unknown": unanswered}
            await self._asked(tx, talk, document, 0)
            return True
        return False

    def mode(self, row: Row, talk: Talk | None) -> str:
        """What the worker does with an unanswered effect that no conversation took over."""
        if talk is None:
            return "adapter"
        step = self._step(talk)
        if talk.place.get("role") == "undo":
            undo = step.unknown.undo if step.unknown else None
            return "same" if undo is not None and undo.idempotent else "person"
        return step.unknown.mode if step.unknown else "adapter"

    async def wait_for_person(self, tx: Tx, row: Row, why: str) -> None:
        """A delivery became a dead letter: its conversation says so."""
        talk = await talks.lock(tx, row.conversation)
        if talk is not None and talk.state == "running":
            await self._halt(tx, talk, "waiting", f"{row.step}: {why}")

    async def resume(self, tx: Tx, row: Row) -> None:
        """Its dead letter goes out again."""
        talk = await talks.lock(tx, row.conversation)
        if talk is not None and talk.state == "waiting" and talk.place.get("delivery") == row.id:
            talk.state, talk.reason = "running", ""
            await talks.save(tx, talk)

    async def retry(self, tx: Tx, which: int, *, sure: bool = False) -> Talk:
        """Let a conversation that waits or was refused go on: where it stopped, anew, with fresh bytes.

        Only where what stopped it certainly had no effect; of an unanswered one a person may be `sure`.
        A dead letter in its way is given up. Raises NotFound, and Conflict with what to do instead.
        """
        seen = await talks.load(tx, which)
        if seen is None:
            raise NotFound(f"conversation {which} is not known")
        row = await outbox.load(tx, seen.place.get("delivery", 0))
        dropped = row is not None and await outbox.drop(tx, row.id)
        talk = await talks.lock(tx, which)
        moved = talk is None or talk.place != seen.place or (row is not None and row.open and not dropped)
        if talk is None or moved or talk.state not in STUCK:
            state = "running" if moved else seen.state
            raise Conflict(f"conversation {which} is {state}: only one that waits or was refused is retried")
        talk.state, talk.reason = "running", ""
        document, step, role = self._document(talk), self._step(talk), talk.place["role"]
        place = {name: value for name, value in talk.place.items() if name not in ("refused", "ask")}
        if role == "undone" or (
            role == "ask" and ("refused" in talk.place or (sure and "last" not in place))
        ):
            talk.place = place
            await self._anew(tx, talk, step)
        elif role == "ask":
            talk.place = {**place, "unknown": {**place["unknown"], "since": tx.now}}
            await self._asked(tx, talk, document, 0)
        else:
            undo = step.unknown.undo if role == "undo" and step.unknown else None
            check_without_effect(row, talk, undo or step, sure=sure)
            await self._send(tx, talk, undo or step, place)
        return talk

    def env(self, talk: Talk) -> dict[str, Any]:
        """%facts, %settings, %step and %unknown for the documents of a conversation."""
        unknown = talk.place.get("unknown") or {}
        return {
            "facts": talk.facts,
            "settings": self.targets[talk.channel].values if talk.channel in self.targets else {},
            "step": talk.place.get("step", ""),
            "unknown": unknown,
        }

    async def environment(self, reader: Reader, row: Row) -> dict[str, Any]:
        """The env of a delivery's documents, with the focus, and what it refers to for resolve()."""
        talk = await talks.load(reader, row.conversation) if row.conversation else None
        if talk is None:
            return {"facts": {}, "settings": {}, "unknown": {}, "step": row.step, "focus": {}, "sent": {}}
        near = await neighbourhood(reader, talk.focus)
        return {
            **self.env(talk),
            "step": row.step,
            "focus": near.get(talk.focus, {}),
            "sent": sent_tree(row),
            "resolve": near.get,
        }

    def _step(self, talk: Talk) -> Step:
        document = self._document(talk)
        return document.steps[document.position(talk.place["step"])]

    def _document(self, talk: Talk) -> Document:
        if talk.document not in self.documents:
            raise Misconfigured(
                f"conversation document {talk.document!r} is gone; put it back or end {talk.key}"
            )
        return self.documents[talk.document]

    async def _go(
        self, tx: Tx, talk: Talk, document: Document, index: int, focus: dict[str, Any] | None = None
    ) -> None:
        """Take the first step from `index` on that is not skipped."""
        place: dict[str, Any] = {"unknown": talk.place["unknown"]} if "unknown" in talk.place else {}
        for step in document.steps[index:]:
            if step.skip is not None:
                focus = focus or await self._focus(tx, talk)
                if step.skip.truth(focus, self.env(talk)):
                    continue
            await self._send(tx, talk, step, {**place, "step": step.name, "role": "step"})
            return
        talk.state, talk.place = "done", {"step": "", "role": "done"}
        await talks.save(tx, talk)

    async def _refused(self, tx: Tx, talk: Talk, document: Document, reason: str, *, by_person: bool) -> None:
        """The other system said no: of a first attempt that is the end, later it proves little."""
        role, unknown = talk.place["role"], self._step(talk).unknown
        if role == "undo":
            await self._halt(tx, talk, "waiting", f"{reason} (it was to be undone)")
        elif role == "step" and talk.place.get("again"):
            talk.place = {**talk.place, "refused": reason}
            await self._asked(tx, talk, document, 0)
        elif role == "step" or unknown is None:
            await self._halt(tx, talk, "refused", reason)
        else:
            await self._not_told(tx, talk, unknown, reason, by_person=by_person)

    async def _not_told(self, tx: Tx, talk: Talk, unknown: Unknown, reason: str, *, by_person: bool) -> None:
        """A refused question is no answer: the whole round again until the horizon, then a person."""
        since = tx.now if by_person else talk.place["unknown"]["since"]
        if tx.now - since >= self._seconds(talk, unknown.horizon) and not by_person:
            await self._halt(
                tx, talk, "waiting", f"{reason} (nobody can tell what became of {talk.place['step']})"
            )
            return
        place = {**talk.place, "ask": 0, "unknown": {**talk.place["unknown"], "since": since}}
        await self._send(tx, talk, unknown.asks[0], place, wait=self._seconds(talk, unknown.every))

    async def _stepped(self, tx: Tx, talk: Talk, document: Document) -> None:
        index = document.position(talk.place["step"])
        step = document.steps[index]
        if step.repeat is not None:
            focus = await self._focus(tx, talk)
            if not step.repeat.until.truth(focus, self.env(talk)):
                await self._send(tx, talk, step, talk.place, wait=self._seconds(talk, step.repeat.every))
                return
        if talk.place.get("again") and step.unknown is not None and step.unknown.undo is not None:
            talk.place = {**talk.place, "last": True}
            await self._asked(tx, talk, document, 0)
            return
        await self._go(tx, talk, document, index + 1)

    async def _asked(self, tx: Tx, talk: Talk, document: Document, index: int) -> None:
        """Ask the next question, or draw the conclusion when all are answered."""
        position = document.position(talk.place["step"])
        unknown = document.steps[position].unknown
        if unknown is None or unknown.found is None:
            raise Misconfigured(
                f"conversation {document.name}: step {talk.place['step']!r} asks nothing any more"
            )
        focus = await self._focus(tx, talk)
        for number, question in enumerate(unknown.asks[index:], index):
            if question.skip is None or not question.skip.truth(focus, self.env(talk)):
                await self._send(tx, talk, question, {**talk.place, "role": "ask", "ask": number})
                return
        found = unknown.found.truth(focus, self.env(talk))
        if talk.place.get("last"):
            if found:
                await self._halt(
                    tx, talk, "waiting", f"{talk.place['step']} took effect twice: undo one of them"
                )
            else:
                await self._go(tx, talk, document, position + 1)
        elif found:
            await self._go(tx, talk, document, position + 1)
        elif "refused" in talk.place:
            await self._halt(tx, talk, "refused", talk.place["refused"])
        else:
            await self._not_found(tx, talk, unknown)

    async def _not_found(self, tx: Tx, talk: Talk, unknown: Unknown) -> None:
        waited = tx.now - talk.place["unknown"]["since"]
        if waited < self._seconds(talk, unknown.horizon):
            question = unknown.asks[0]
            wait = self._seconds(talk, unknown.every)
            await self._send(tx, talk, question, {**talk.place, "role": "ask", "ask": 0}, wait=wait)
        elif unknown.undo is not None:
            await self._send(tx, talk, unknown.undo, {**talk.place, "role": "undo"})
        elif unknown.again:
            await self._anew(tx, talk, self._step(talk))
        else:
            await self._halt(tx, talk, "waiting", f"{talk.place['step']}: not found, and nothing can undo it")

    async def _undone(self, tx: Tx, talk: Talk) -> None:
        step = self._step(talk)
        if step.unknown is not None and step.unknown.again:
            await self._anew(tx, talk, step)
        else:
            talk.place = {name: value for name, value in talk.place.items() if name != "delivery"}
            talk.place["role"] = "undone"
            await self._halt(tx, talk, "waiting", f"{step.name} was undone")

    async def _anew(self, tx: Tx, talk: Talk, step: Step) -> None:
        """The step once more, with a new number; what `undo` took back is looked for afterwards."""
        await self._send(tx, talk, step, {**talk.place, "role": "step", "again": True})

    async def _send(self, tx: Tx, talk: Talk, step: Step, place: dict[str, Any], wait: int = 0) -> None:
        number = await outbox.add(
            tx,
            talk.channel,
            conversation=talk.id,
            step=step.name,
            document=step.send,
            reply_document=step.reply,
            effect=step.effect,
            ordering=talk.ordering,
            due=tx.now + wait,
        )
        talk.place = {**place, "delivery": number}
        await talks.save(tx, talk)
        self._fresh.add(talk.channel)

    async def _halt(self, tx: Tx, talk: Talk, state: str, reason: str) -> None:
        talk.state, talk.reason = state, reason
        await talks.save(tx, talk)

    async def _focus(self, tx: Tx, talk: Talk) -> dict[str, Any]:
        kind, _, name = talk.focus.partition("/")
        stored = await get(tx, kind, name)
        return r4.tree(stored.body) if stored is not None and not stored.deleted else {}

    def _seconds(self, talk: Talk, value: str) -> int:
        """Microseconds from a number of seconds or the name of an adapter setting."""
        known = self.targets[talk.channel].values if talk.channel in self.targets else {}
        try:
            return round(float(known.get(value, value)) * SECOND)
        except (TypeError, ValueError) as error:
            raise Misconfigured(
                f"conversation {talk.document}: {value!r} is neither seconds nor a setting of {talk.channel}"
            ) from error
