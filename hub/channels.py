"""A channel: one adapter with its settings, wired to the pipeline, started, paused and resumed.

The runner takes what the adapter receives, keeps a bounded number in flight, and tells the adapter the
outcome. Messages with a cursor are taken one by one, because the cursor commits with its message.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Literal
from uuid import uuid4

import msgspec
from pydantic import SecretStr, ValidationError

from hub.adapters import Adapter
from hub.errors import HubError, Misconfigured
from hub.messages import Message, Outcome
from hub.plugins import Plugins
from hub.settings import ChannelSettings, Settings, complaint
from hub.store import Store, inbox, leases

log = logging.getLogger("hub.channels")

Take = Callable[["Channel", str, Message], Awaitable[Outcome]]
State = Literal["stopped", "running", "paused", "failed"]
SHARED_KEYS = ("key", "max_message")
LEASE_SECONDS = 30.0
LOOK_SECONDS = LEASE_SECONDS / 10
RESTART_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Lease(msgspec.Struct, frozen=True):
    """The right to poll a channel: who holds it, and the fence that its cursor commits with."""

    owner: str
    fence: int


_PROCESS = uuid4().hex
"""How this process signs its leases."""


class Channel:
    """One configured connection. `values` are the adapter's settings without secrets, for mappings."""

    def __init__(self, name: str, settings: ChannelSettings, adapter: Adapter) -> None:
        self.name = name
        self.settings = settings
        self.adapter = adapter
        self.values = plain_values(adapter)
        self.state: State = "stopped"
        self.reason = ""
        self.received = 0
        self.backlog = 0
        self.room = asyncio.Event()
        self.room.set()
        self.lease: Lease | None = None

    def pause(self, reason: str) -> None:
        """Note that the channel must not go on; its runner stops it."""
        self.state, self.reason = "paused", reason

    def wait_to_be_mapped(self, change: int) -> None:
        """Count messages into (1) or out of (-1) the backlog; reading stops while it is full."""
        self.backlog += change
        if self.backlog < self.settings.max_backlog:
            self.room.set()
        else:
            self.room.clear()

    def describe(self) -> dict[str, Any]:
        """One row of `hub channel list`."""
        return {
            "name": self.name,
            "adapter": self.adapter.kind,
            "state": self.state,
            "reason": self.reason,
            "mapping": self.settings.mapping,
            "acknowledge": self.settings.acknowledge,
            "received": self.received,
            "backlog": self.backlog,
        }


def build(settings: Settings, plugins: Plugins) -> dict[str, Channel]:
    """Every enabled channel of the settings; Misconfigured names file and key of what is wrong."""
    channels = {}
    for name, one in settings.channels.items():
        if one.enabled:
            channels[name] = Channel(name, one, build_adapter(settings, plugins, name, one))
    return channels


def build_adapter(settings: Settings, plugins: Plugins, name: str, one: ChannelSettings) -> Adapter:
    """The adapter of one channel, with checked settings."""
    where = str(settings.file or "settings")
    try:
        adapter = plugins.adapter(one.adapter)
    except Misconfigured as error:
        raise Misconfigured(f"{where}: channels.{name}.adapter: {error}") from error
    shared = {key: getattr(one, key) for key in SHARED_KEYS if key in adapter.Settings.model_fields}
    try:
        checked = adapter.Settings.model_validate(shared | one.adapter_settings)
    except ValidationError as error:
        raise Misconfigured(complaint(where, error, f"channels.{name}")) from error
    return adapter(name, checked)


def check_names(settings: Settings, sets: Collection[str], conversations: Collection[str]) -> None:
    """Raise Misconfigured, with file and key, where a channel names a set or document that is not there."""
    where = str(settings.file or "settings")
    for name, one in settings.channels.items():
        named = [("mapping", "mapping set", one.mapping, sets)] if one.mapping else []
        named += [("conversations", "conversation", each, conversations) for each in one.conversations]
        for key, what, wanted, known in named if one.enabled else ():
            if wanted not in known:
                there = ", ".join(sorted(known)) or "none"
                raise Misconfigured(
                    f"{where}: channels.{name}.{key}: there is no {what} {wanted!r} (there are: {there})"
                )


def plain_values(adapter: Adapter) -> dict[str, Any]:
    """An adapter's settings as JSON values, secrets left out."""
    secret = {
        name
        for name in type(adapter.settings).model_fields
        if isinstance(getattr(adapter.settings, name), SecretStr)
    }
    return adapter.settings.model_dump(mode="json", exclude=secret)


class Runner:
    """Runs one channel until it is stopped."""

    def __init__(self, channel: Channel, take: Take, store: Store) -> None:
        self.channel = channel
        self.take = take
        self.store = store
        self._task: asyncio.Task[None] | None = None
        self._open = False
        self._running: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(channel.settings.max_in_flight)

    async def start(self) -> None:
        """Open the adapter and begin to receive; returns when it listens, or raises why it cannot."""
        if self._task is None:
            await self.channel.adapter.open()
            self._open = True
            self.channel.state, self.channel.reason = "running", ""
            self._task = asyncio.create_task(self._receive(), name=f"channel {self.channel.name}")

    async def hush(self) -> None:
        """Stop receiving; what is in flight is stored, and acknowledged if the sender is still there.

        The adapter stays open, so that a send under way gets its answer.
        """
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if self._running:
                await asyncio.wait(self._running, timeout=10)
            await self._let_go()

    async def stop(self) -> None:
        """Stop receiving and close the adapter."""
        await self.hush()
        if self._open:
            self._open = False
            await self.channel.adapter.close()
        if self.channel.state == "running":
            self.channel.state = "stopped"

    async def _receive(self) -> None:
        await self._read()
        await self._let_go()

    async def _read(self) -> None:
        failures = 0
        while self.channel.state == "running":
            try:
                if self.channel.adapter.capabilities.polls:
                    await self._poll()
                else:
                    cursor = await inbox.read_cursor(self.store, self.channel.name)
                    async for place, message in self.channel.adapter.receive(cursor):
                        failures = 0
                        await self._accept(place, message)
                    return
            except Misconfigured as error:
                self.channel.pause(str(error))
                log.error("channel %s paused: %s", self.channel.name, error)
                return
            except HubError as error:
                wait = RESTART_SECONDS[min(failures, len(RESTART_SECONDS) - 1)]
                failures += 1
                log.warning("channel %s: %s; again in %ss", self.channel.name, error, wait)
                await asyncio.sleep(wait)
            except Exception:
                wait = RESTART_SECONDS[min(failures, len(RESTART_SECONDS) - 1)]
                failures += 1
                log.exception("channel %s failed; again in %ss", self.channel.name, wait)
                await asyncio.sleep(wait)

    async def _poll(self) -> None:
        """Read from the cursor on while this process holds the lease; another one waits for it."""
        name = self.channel.name
        await self._hold()
        if self.channel.lease is None:
            await asyncio.sleep(LOOK_SECONDS)
            return
        renewing = asyncio.create_task(self._renew(), name=f"lease {name}")
        try:
            async for place, message in self.channel.adapter.receive(
                await inbox.read_cursor(self.store, name)
            ):
                await self._accept(place, message)
                if self.channel.lease is None or self.channel.state != "running":
                    return
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self) -> None:
        while self.channel.lease is not None:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with contextlib.suppress(HubError):
                await self._hold()

    async def _hold(self) -> None:
        """Take or renew the lease; `channel.lease` is None while another process has it."""
        name, held = self.channel.name, self.channel.lease is not None
        fence = await self.store.write(lambda tx: leases.take(tx, name, _PROCESS, LEASE_SECONDS))
        self.channel.lease = Lease(_PROCESS, fence) if fence else None
        if bool(fence) != held:
            who = "this process" if fence else "another process"
            log.info("channel %s: %s polls from now on", name, who, extra={"pid": os.getpid()})

    async def _let_go(self) -> None:
        """Give the lease back, so that another process need not wait for its end."""
        held, self.channel.lease = self.channel.lease, None
        if held is not None:
            await self.store.write(lambda tx: leases.release(tx, self.channel.name, held.owner))
            log.info("channel %s: nobody polls until a process takes over", self.channel.name)

    async def _accept(self, place: str, message: Message) -> None:
        self.channel.received += 1
        if place:
            await self._answer(place, message)
            return
        await self.channel.room.wait()
        await self._places.acquire()
        task = asyncio.create_task(self._answer(place, message))
        self._running.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._places.release()

    async def _answer(self, place: str, message: Message) -> None:
        outcome = await self.take(self.channel, place, message)
        try:
            await self.channel.adapter.acknowledge(message, outcome)
        except Exception:
            log.exception(
                "channel %s: message %s stored but not acknowledged", self.channel.name, outcome.message
            )
        if place and outcome.code == "unavailable":
            raise HubError("the store is not available: the cursor stays where it is")
