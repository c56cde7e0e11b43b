"""Understanding: map and validate one message, in this process or, when it is long, in another.

What comes out is everything the store needs, or the reason why the message cannot be understood; nothing
here reads or writes the database.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import tzinfo
from typing import Any

import msgspec

from hub.errors import HubError, Issue, NotSupported
from hub.mapping import Change, Context, Mappings
from hub.mapping import Mapping as Document
from hub.messages import Message, OutcomeCode
from hub.store.resources import Draft, draft
from hub.validation.rules import Rules

log = logging.getLogger("hub.understanding")

LONG = 256 * 1024
"""Bytes; a longer message is mapped in another process, so that it does not hold up the others."""

OLDEST = 1
"""Event time of what only repeats another message: anything else is newer."""


class Understood(msgspec.Struct, kw_only=True):
    """A message after mapping and validation, ready to be stored; or why it cannot be.

    `fallbacks` are stored only where nothing is known under their id yet; `changes` are elements for
    resources that are stored already, and `event_time` is when the message says it happened.
    """

    state: OutcomeCode
    drafts: Sequence[Draft] = ()
    fallbacks: Sequence[Draft] = ()
    changes: Sequence[Change] = ()
    event_time: int = 0
    issues: Sequence[Issue] = ()
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    mapping: bytes = b""
    unmapped: Sequence[tuple[str, str, str]] = ()

    @property
    def row_state(self) -> str:
        """The state of its inbox row."""
        return "stored" if self.state == "accepted" else self.state

    @property
    def reason(self) -> str:
        """The first finding, where it was not accepted."""
        return "" if self.state == "accepted" or not self.issues else self.issues[0].diagnostics


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a message came from: the channel's name, its mapping set, its settings without secrets."""

    channel: str
    mapping: str
    values: dict[str, Any]


class Bench:
    """Where a reader's draft is made: zone and base for the index, and what is known to be stored."""

    def __init__(self, zone: tzinfo, base_url: str, memory: Any = None) -> None:
        self.zone = zone
        self.base_url = base_url
        self.memory = memory


class Understanding:
    """Maps and validates with one set of mappings and rules."""

    def __init__(
        self, bench: Any, mappings: Mappings, rules: Rules, *, hub_key: bytes, canonical: str
    ) -> None:
        self.bench = bench
        self.mappings = mappings
        self.rules = rules
        self.hub_key = hub_key
        self.canonical = canonical

    def message(self, source: Source, message: Message) -> Understood:
        """An arrival, by the mapping of its channel that knows its kind."""
        if message.problem is not None:
            too_long = message.problem.code == "too-long"
            return Understood(state="rejected" if too_long else "invalid", issues=(message.problem,))
        document = self.mappings.for_kind(source.mapping, message.kind)
        if document is None:
            text = f"no mapping of the set {source.mapping!r} understands {message.kind or 'this message'!r}"
            return Understood(state="rejected", issues=(Issue(code="not-supported", diagnostics=text),))
        return self.by(document, source, message, {})

    def reply(
        self, source: Source, document: str, message: Message | None, env: Mapping[str, Any]
    ) -> Understood:
        """An answer, by the mapping its conversation names; without one it only moves the conversation on."""
        if message is None or not document:
            return Understood(state="accepted")
        return self.by(self.mappings.named(document), source, message, env)

    def context(self, channel: str, env: Mapping[str, Any], message: Message | None = None) -> Context:
        """What a document may read."""
        return Context(
            system=channel,
            hub_key=self.hub_key,
            zone=self.bench.zone,
            env={"base": self.canonical, **env},
            charset=message.charset if message else "",
            content_type=message.content_type if message else "",
        )

    def by(self, document: Document, source: Source, message: Message, env: Mapping[str, Any]) -> Understood:
        """Map by one document and check every resource it makes."""
        try:
            context = self.context(source.channel, {"settings": source.values, **env}, message)
            mapped = document.map(message.body, context)
            drafts: list[Draft] = []
            fallbacks: list[Draft] = []
            issues = list(mapped.issues)
            for one in mapped.resources:
                made = draft(
                    self.bench,
                    one.body,
                    type=one.type,
                    id=one.id,
                    owner=source.channel,
                    event_time=OLDEST if one.keep else mapped.event_time,
                    mapping=mapped.mapping_hash,
                    fallback=one.keep,
                )
                issues += self.rules.check(one.type, one.body, source.values)
                (fallbacks if one.keep else drafts).append(made)
        except NotSupported as error:
            return Understood(state="rejected", issues=error.issues)
        except HubError as error:
            return Understood(state="invalid", issues=error.issues)
        except Exception as error:
            log.exception("channel %s: mapping %s failed", source.channel, document.name)
            text = f"mapping {document.name} failed on this message: {type(error).__name__}"
            return Understood(state="invalid", issues=(Issue(code="exception", diagnostics=text),))
        return Understood(
            state="accepted",
            drafts=drafts,
            fallbacks=fallbacks,
            changes=mapped.changes,
            event_time=mapped.event_time,
            issues=issues,
            facts=mapped.facts,
            mapping=mapped.mapping_hash,
            unmapped=mapped.unmapped,
        )


Recipe = Callable[[], Understanding]
"""Makes an Understanding in another process; a module-level function or a partial of one."""

_own: Understanding | None = None


def _begin(recipe: Recipe) -> None:
    global _own
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _own = recipe()


def _end_with_parent() -> None:
    """A hub that is killed cannot end its other process; that one would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _map(source: Source, message: Message) -> Understood:
    assert _own is not None
    return _own.message(source, message)


class Elsewhere:
    """One other process for long messages, started when the first one comes."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._pool: ProcessPoolExecutor | None = None

    async def message(self, source: Source, message: Message) -> Understood:
        """As `Understanding.message`; if the process died of the message, that is what is said of it."""
        if self._pool is None:
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, spawn, _begin, (self._recipe,))
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, _map, source, message)
        except BrokenProcessPool:
            self.close()
            log.exception("channel %s: the process that mapped a long message ended", source.channel)
            text = "the process that mapped this long message ended before it was done"
            return Understood(state="invalid", issues=(Issue(code="exception", diagnostics=text),))

    def close(self) -> None:
        """End the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
