"""Adapter: the base class of everything that speaks another system's protocol.

An adapter moves bytes, cursors, acknowledgements and signatures; a mapping gives the meaning.
It never builds FHIR (the adapter for FHIR servers excepted), gets no live hub object, and runs one
effect per `send`. Every method has a default body, so an adapter implements what its system offers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar

import msgspec
from pydantic import BaseModel, ConfigDict

from hub.errors import NotSupported
from hub.messages import Confirmation, Delivery, Message, Outcome, StillUnknown


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What the system behind an adapter can do; contract tests are chosen by it.

    reads        `receive` yields messages       writes       `send` delivers
    ordered      it keeps order within a key     idempotent   the same bytes twice take effect once
    can_confirm  `confirm` can tell what an unanswered send did
    max_batch    effects per send (1 unless the system has real batches)
    polls        `receive` asks the system by itself: of several processes one at a time does it
    """

    reads: bool = False
    writes: bool = False
    ordered: bool = True
    idempotent: bool = False
    can_confirm: bool = False
    max_batch: int = 1
    polls: bool = False


class AdapterSettings(BaseModel):
    """The part of a `[channels.NAME]` table that belongs to the adapter.

    Subclass it; describe every field with `Field(description=...)`; secrets are `SecretStr`.
    Unknown keys are refused, so that a misspelt one is noticed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class Adapter:
    """One connection to one external system, configured by one channel.

    `channel` is the channel's name, `settings` its checked settings.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type[AdapterSettings]] = AdapterSettings
    capabilities: ClassVar[Capabilities] = Capabilities()
    simulator: ClassVar[str | None] = None

    def __init__(self, channel: str, settings: AdapterSettings) -> None:
        self.channel = channel
        self.settings = settings

    async def check(self) -> None:
        """Return if the system can be reached with these settings; raise a HubError that says why not."""

    async def open(self) -> None:
        """Bind listeners and open clients; called once before `receive` or `send`."""

    async def receive(self, cursor: str) -> AsyncIterator[tuple[str, Message]]:
        """Yield `(cursor, message)` for ever, from `cursor` on ("" at first).

        The cursor is committed with its message; after a restart reading continues there, so an
        overlap is right and a gap is wrong. Listeners yield an empty cursor.
        """
        return
        yield  # pragma: no cover

    async def acknowledge(self, message: Message, outcome: Outcome) -> None:
        """Tell the sender. Called once per received message, only after the outcome is durable."""

    async def send(self, delivery: Delivery) -> Message | None:
        """Send the bytes once and return the reply, if the system gives one.

        Raises Retryable (certainly not sent), Rejected (with the reply), OutcomeUnknown (sent, no
        readable answer), Misconfigured.
        """
        raise NotSupported(
            f"adapter {self.kind!r} only receives: channel {self.channel!r} cannot be a target"
        )

    async def confirm(self, delivery: Delivery) -> Confirmation:
        """Did an unanswered send take effect? Only asks, never acts."""
        return StillUnknown("this adapter cannot ask its system")

    async def close(self) -> None:
        """Stop listening, close clients; pending arrivals stay unacknowledged."""
