"""A running hub.

`Hub.open` builds from the bottom up (plugins, channels, mappings, store, conversations, pipeline, delivery)
and starts from the inside out; `Hub.close` goes the other way. Nothing is at module level.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send

from hub import channels, clock, conversations, mapping, plugins, timeline
from hub.api.endpoint import unavailable
from hub.api.exchange import Api
from hub.api.routes import Fhir
from hub.api.vocabulary import Vocabulary
from hub.app.recipes import address, exporting, mapping_folders, recipe, understanding
from hub.backlog import Backlog
from hub.channels import Channel, Runner
from hub.conversations import Conversations, Target
from hub.delivery import DeliveryWorker
from hub.errors import Conflict, HubError, Misconfigured, NotFound, Retryable
from hub.messages import Outcome
from hub.metrics import Metrics
from hub.pipeline import Pipeline
from hub.plugins import Plugins
from hub.settings import ChannelSettings, Settings
from hub.store import Store, inbox, open_store, outbox
from hub.store import subscriptions as told
from hub.store.filling import Filler
from hub.store.talks import Talk
from hub.subscriptions import CHANNEL, Acceptance, Endpoints, RestHook, Subscriptions
from hub.terminology.tables import tables
from hub.understanding import Elsewhere
from hub.validation.rules import Rules

log = logging.getLogger("hub.app")

RETRY_SECONDS = 5.0
WORD_SECONDS = 1.0
"""How often a process looks for what an operator told another one."""


class Hub:
    """One hub: its store, channels, pipeline and delivery.

    `run_channels=False` opens the store and everything that reads it, but neither listens nor sends: so
    work commands that find no running hub. `listens=False` leaves out the channels that wait for senders:
    so works a worker beside a serving hub, which delivers and polls.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        run_channels: bool = True,
        listens: bool = True,
        found: Plugins | None = None,
        now: clock.Clock = clock.now,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.run_channels = run_channels
        self.listens = listens
        self.now = now
        self._found = found
        self._store: Store | None = None
        self._channels: dict[str, Channel] = {}
        self._runners: dict[str, Runner] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard: dict[str, int] = {}
        self._switching = asyncio.Lock()
        self._wired = False

    async def open(self) -> None:
        """Build and start everything; Misconfigured names file and key of what is wrong."""
        self._found = self._found or plugins.load()
        self._channels = channels.build(self.settings, self._found)
        named = {one.mapping for one in self.settings.channels.values()}
        talks = {name for one in self.settings.channels.values() for name in one.conversations}
        folders = mapping_folders(self.settings)
        documents = conversations.load(folders if talks else folders[1:])
        self.mappings = mapping.load(folders)
        channels.check_names(self.settings, self.mappings.sets, documents)
        self.mappings.read(named | {name.partition("/")[0] for name in talks})
        self._store = await self.open_store()
        try:
            self._wire(documents)
            await self._start()
        except BaseException:
            await self.close()
            raise

    async def open_store(self) -> Store:
        """The database of the settings; Misconfigured names the key and where it was set."""
        settings = self.settings
        try:
            return await open_store(
                settings.database_url,
                zone=settings.zone,
                base_url=settings.fhir_base,
                clock=self.now,
                address=address(settings),
            )
        except Misconfigured as error:
            what = str(error).removeprefix("database_url")
            raise Misconfigured(settings.origin("database_url") + what) from error.__cause__

    def _wire(self, documents: Mapping[str, conversations.Document]) -> None:
        store, found = self.store, self.plugins
        targets = [
            Target(channel=name, documents=one.settings.conversations, values=one.values)
            for name, one in self._channels.items()
            if one.settings.conversations
        ]
        self.conversations = Conversations(documents, targets)
        store.changed.append(self.conversations.stored)
        store.committed.append(self.conversations.committed)
        self.subscriptions = self._subscribing(store)
        self.filler = Filler(store)
        rules = Rules(found.rules)
        self.understanding = understanding(self.settings, self.mappings, rules, store)
        self.elsewhere = Elsewhere(partial(recipe, self.settings))
        self.pipeline = Pipeline(
            store, self.understanding, self.elsewhere, self.conversations, metrics=self.metrics
        )
        self.backlog = Backlog(store, self.pipeline, self._channels)
        self.delivery = DeliveryWorker(
            store,
            self.pipeline,
            self.conversations,
            self._channels,
            now=self.now,
            metrics=self.metrics,
            subscriptions=self.subscriptions,
        )
        self.conversations.woken = self.subscriptions.woken = self.delivery.wake
        shipped = partial(tables, mapping_folders(self.settings), self.settings.canonical)
        store.terms = vocabulary = Vocabulary(store, base=self.settings.fhir_base, tables=shipped)
        self.exports = exporting(self.settings, store)
        self.api = Api(
            store,
            base=self.settings.fhir_base,
            rules=rules,
            operations=found.operations,
            metrics=self.metrics,
            now=self.now,
            max_body=self.settings.max_body,
            name=self.settings.name,
            acceptance=self.subscriptions.acceptance,
            vocabulary=vocabulary,
            exports=self.exports,
        )
        self.fhir = Fhir(self.api)
        self._wired = True

    def _subscribing(self, store: Store) -> Subscriptions:
        """The Subscriptions of this store, and the channel that their notifications leave by."""
        settings = self.settings
        endpoints = Endpoints(settings.subscriptions_allow, address(settings))
        acceptance = Acceptance(endpoints, known=lambda: store.known, base=settings.fhir_base, now=self.now)
        found = Subscriptions(acceptance, now=self.now)
        store.changed.append(found.stored)
        store.committed.append(found.committed)
        sending = ChannelSettings.model_validate(
            {"adapter": RestHook.kind, "attempts": settings.subscriptions_attempts}
        )
        self._channels[CHANNEL] = Channel(CHANNEL, sending, RestHook(CHANNEL, store, endpoints))
        return found

    async def _start(self) -> None:
        await self.filler.start(fill=self.run_channels)
        said = await inbox.said(self.store)
        self._heard = {name: word.at for name, word in said.items()}
        for name, channel in self._channels.items():
            self._runners[name] = Runner(channel, self.pipeline.take, self.store)
            if name in said and said[name].paused:
                channel.pause(said[name].reason)
        if not self.run_channels:
            return
        for one in self.plugins.loaded:
            if one.failed:
                log.error("plugin %s FAILED: %s", one.name, one.failed)
        await self.exports.start()
        alone = not self.store.postgres
        await self.backlog.start(alone=alone)
        await self.delivery.start(alone=alone)
        for channel in self._mine():
            if channel.state != "paused":
                await self._run(channel.name)
        self._keep(
            asyncio.create_task(self.subscriptions.keep_ending(self.store), name="ends of subscriptions")
        )
        if not alone:
            self._keep(asyncio.create_task(self._hear(), name="operators' words"))

    async def close(self) -> None:
        """Stop listening, finish what is in flight, then close the store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._store is None:
            return
        await self._each(Runner.hush)
        if self._wired:
            await self.delivery.stop()
        await self._each(Runner.stop)
        if self._wired:
            await self.exports.stop()
            await self.filler.stop()
            await self.backlog.stop()
            self.elsewhere.close()
            self.api.converter.close()
            await self.api.auditor.flush()
        store, self._store = self._store, None
        await store.close()

    async def _each(self, step: Callable[[Runner], Awaitable[None]]) -> None:
        """One step of the way down, of every channel, whatever goes wrong with one of them."""
        ended = await asyncio.gather(*map(step, self._runners.values()), return_exceptions=True)
        for name, error in zip(self._runners, ended, strict=True):
            if isinstance(error, Exception):
                log.error("channel %s did not stop cleanly", name, exc_info=error)

    @property
    def store(self) -> Store:
        if self._store is None:
            raise Retryable("the store is not open yet")
        return self._store

    @property
    def plugins(self) -> Plugins:
        return self._found or Plugins()

    @property
    def channels(self) -> Mapping[str, Channel]:
        return self._channels

    @property
    def ready(self) -> bool:
        states = [channel.state for channel in self._mine()]
        return self._store is not None and (
            not self.run_channels or all(state in ("running", "paused") for state in states)
        )

    def _mine(self) -> list[Channel]:
        """The channels this process runs."""
        can = ((one, one.adapter.capabilities) for one in self._channels.values())
        return [one for one, has in can if self.listens or has.polls or not has.reads]

    async def listing(self) -> list[dict[str, Any]]:
        said = await inbox.said(self.store)
        rows = []
        for name, channel in self._channels.items():
            row = channel.describe()
            if name in said and said[name].paused:
                row |= {"state": "paused", "reason": said[name].reason}
            if name != CHANNEL or row["state"] in ("paused", "failed") or await self._subscribed():
                rows.append(row)
        return rows

    async def _subscribed(self) -> bool:
        """Whether the hub's own channel has anything to do: until then nobody need know of it."""
        return bool(await told.listing(self.store)) or bool(await outbox.next_due(self.store, CHANNEL))

    async def pause(self, channel: str, reason: str) -> None:
        self._channel(channel)
        async with self._switching:
            word = await self.store.write(lambda tx: inbox.say(tx, channel, True, reason))
            await self._obey(channel, word)

    async def resume(self, channel: str) -> None:
        self._channel(channel)
        async with self._switching:
            word = await self.store.write(lambda tx: inbox.say(tx, channel, False, ""))
            await self._obey(channel, word)

    async def _obey(self, name: str, word: inbox.Said) -> None:
        """Do what an operator said of a channel, at this process or at another one."""
        self._heard[name] = word.at
        channel, runner = self._channels[name], self._runners[name]
        if word.paused:
            channel.pause(word.reason)
            await runner.hush()
            await self.delivery.quiet(name)
            await runner.stop()
            return
        await runner.stop()
        channel.state, channel.reason = "stopped", ""
        if self.run_channels and channel in self._mine():
            await self._run(name)
            self.delivery.wake(name)

    async def _hear(self) -> None:
        """Other processes share this database: an operator's word to one of them counts here too."""
        while True:
            await asyncio.sleep(WORD_SECONDS)
            try:
                async with self._switching:
                    for name, word in (await inbox.said(self.store)).items():
                        if name in self._channels and self._heard.get(name) != word.at:
                            await self._obey(name, word)
            except Exception:
                log.exception("what operators said could not be read or done; again in %ss", WORD_SECONDS)

    async def replay_message(self, message: int) -> Outcome:
        kept = await inbox.load(self.store, message)
        if kept is None:
            raise NotFound(f"message {message} is not known")
        return await self.pipeline.replay(self._channel(kept.channel), message)

    async def replay_delivery(self, delivery: int) -> None:
        row = await outbox.load(self.store, delivery)
        if row is None:
            raise NotFound(f"delivery {delivery} is not known")
        if not await self.delivery.replay(delivery):
            raise Conflict(f"delivery {delivery} is {row.state}, not a dead letter")

    async def retry_conversation(self, conversation: int, *, sure: bool = False) -> Talk:
        return await self.store.write(lambda tx: self.conversations.retry(tx, conversation, sure=sure))

    async def journey(self, prescription: str) -> list[dict[str, Any]]:
        return timeline.plain(await timeline.journey(self.store, prescription), self.store)

    def _channel(self, name: str) -> Channel:
        if name not in self._channels:
            known = ", ".join(sorted(self._channels)) or "none"
            raise NotFound(f"no channel {name!r} (there are: {known})")
        return self._channels[name]

    async def _run(self, name: str) -> None:
        """Start a channel; one that cannot start is tried again, and holds up no other."""
        try:
            await self._runners[name].start()
        except (HubError, OSError) as error:
            channel = self._channels[name]
            channel.state, channel.reason = "failed", str(error)
            log.error("channel %s cannot start: %s", name, error)
            self._keep(asyncio.create_task(self._again(name), name=f"start {name}"))

    def _keep(self, task: asyncio.Task[None]) -> None:
        """Until it is done, or the hub closes."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _again(self, name: str) -> None:
        await asyncio.sleep(RETRY_SECONDS)
        if self._channels[name].state == "failed":
            await self._run(name)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The FHIR routes, or 503 while the store is not open."""
        if self._store is None:
            await unavailable(scope, send)
        else:
            await self.fhir(scope, receive, send)
