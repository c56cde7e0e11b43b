"""Desk: what the admin routes ask of the running hub. `hub.app.Hub` is one.

A Protocol, because pausing and replaying live above this layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hub.channels import Channel
from hub.messages import Outcome
from hub.metrics import Metrics
from hub.plugins import Plugins
from hub.settings import Settings
from hub.store import Store
from hub.store.talks import Talk


class Desk(Protocol):
    """The hub as its operators see it."""

    settings: Settings
    metrics: Metrics

    @property
    def store(self) -> Store:
        """The open store; Retryable while it is not open."""
        ...

    @property
    def plugins(self) -> Plugins:
        """All plugins, the failed ones too."""
        ...

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The enabled channels by name."""
        ...

    @property
    def ready(self) -> bool:
        """The store is open and every channel that is not paused runs."""
        ...

    async def listing(self) -> list[dict[str, Any]]:
        """Every channel with its state, also when this process does not run them."""
        ...

    async def pause(self, channel: str, reason: str) -> None:
        """Stop receiving and delivering, also after a restart; NotFound."""
        ...

    async def resume(self, channel: str) -> None:
        """Go on; NotFound, or the reason why it cannot."""
        ...

    async def replay_message(self, message: int) -> Outcome:
        """Map a kept message again; NotFound, InvalidMessage."""
        ...

    async def replay_delivery(self, delivery: int) -> None:
        """Send a dead letter again; NotFound, Conflict when it is none."""
        ...

    async def retry_conversation(self, conversation: int, *, sure: bool = False) -> Talk:
        """Do anew what a conversation stopped at; NotFound, Conflict where that could double an effect."""
        ...

    async def journey(self, prescription: str) -> list[dict[str, Any]]:
        """Every step of a prescription, oldest first: when, step, system, resource; NotFound."""
        ...
