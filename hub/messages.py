"""What flows: plain values, so that an adapter can live in its own process.

`Message` came in, `Delivery` goes out, `Outcome` is what the hub tells a sender, `Caller` is who asks.
Times are microseconds since the epoch, UTC.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from hub.errors import Issue

OutcomeCode = Literal["accepted", "duplicate", "invalid", "conflict", "rejected", "unavailable"]


class Caller(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """On whose behalf something happens.

    `organisation` owns what the caller writes (a channel's name for messages, `api` for an open
    loopback client); `person` is the authenticated subject, where there is one.
    """

    organisation: str
    person: str = ""
    via: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message, verbatim.

    key           idempotency key, unique within the channel; the same key and the same body is the
                  same message
    body          the bytes as they came
    kind          what it is in its own words: `ADT^A04`, `2207A reply`, `ZJ9671`; mappings are chosen by it
    content_type  `application/hl7-v2`, `application/json`, `application/xml`, `application/fhir+json`
    charset       as declared by the sender; empty: to be sniffed
    arrival       the adapter's own handle for the acknowledgement; never stored
    in_reply_to   the delivery this answers (0: none)
    problem       found by the adapter before anyone could map it (a truncated frame, too large)
    size          the full length where `body` is only the head of a message above `max_message`
    """

    key: str
    body: bytes
    kind: str = ""
    content_type: str = "application/octet-stream"
    charset: str = ""
    arrival: str = ""
    in_reply_to: int = 0
    problem: Issue | None = None
    size: int = 0
    digest: str = ""

    def body_hash(self) -> bytes:
        """16 bytes that stand for the whole body (of a too large one: the adapter's own digest)."""
        return bytes.fromhex(self.digest) if self.digest else body_digest(self.body)


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a message, for `Adapter.acknowledge`. It is durable by the time it is said.

    accepted     stored, also with warnings            duplicate  the same message again: no second effect
    invalid      kept, cannot be understood            conflict   same key, other body: kept for a person
    rejected     unsupported kind or too large: listed unavailable  not kept; the sender must send again
    """

    code: OutcomeCode
    message: int = 0
    issues: tuple[Issue, ...] = ()
    first: OutcomeCode | None = None
    """For a duplicate: what was said of the first one, so that the same acknowledgement is given."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One outbox row on its way: one effect at one system.

    The bytes, the business id and the number are fixed before the first send; a retry sends the same bytes.

    id           the outbox row
    channel      the target
    kind         in the target's words: `2207A`, `ZJ9653`
    body         the bytes to send
    business_id  our own id inside the body by which the effect can be found again (NHSA msgid)
    order        the ordering key: one at a time, in order
    attempt      1 for the first send
    created      the instant fixed at the first attempt, microseconds since the epoch
    effect       False for a question, which may be asked again freely
    headers      what the mapping hands to the protocol beside the body (never secret)
    """

    id: int
    channel: str
    kind: str
    body: bytes
    content_type: str = "application/json"
    business_id: str = ""
    order: str = ""
    attempt: int = 1
    created: int = 0
    effect: bool = True
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class Applied(msgspec.Struct, frozen=True):
    """The effect took place; `reply` is what the system says about it now."""

    reply: Message | None = None


class NotApplied(msgspec.Struct, frozen=True):
    """The effect certainly did not take place, and cannot any more: it may be sent again."""

    why: str = ""


class StillUnknown(msgspec.Struct, frozen=True):
    """The system could not tell: ask again later."""

    why: str = ""


Confirmation = Applied | NotApplied | StillUnknown


def body_digest(body: bytes) -> bytes:
    """16 bytes of BLAKE2b: how bodies are compared and named where no key was sent."""
    return hashlib.blake2b(body, digest_size=16).digest()


def json_line(value: Any) -> str:
    """One line of JSON for listings, decimals as numbers."""
    return msgspec.json.Encoder(decimal_format="number").encode(value).decode()
