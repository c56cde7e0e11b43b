"""The tables of what flows: messages in, deliveries out, conversations between them.

They are written in the same transactions as the resources. Times are microseconds UTC.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

from hub.store.schema import Key, Micros, String, metadata

_ID = BigInteger().with_variant(Integer, "sqlite")

message = Table(
    "message",
    metadata,
    Column("seq", _ID, primary_key=True, autoincrement=True),
    Column("channel", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("charset", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("in_reply_to", BigInteger, nullable=False),
    Column("mapping", LargeBinary, nullable=False),
    Column("issues", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""The inbox: every arrival verbatim, one row each.

state  received (durable, not yet mapped), stored, invalid, conflict, duplicate, rejected, replayed
first  of a duplicate or conflict: the message that came first; of a replayed one: the one that replaced it
"""

message_key = Table(
    "message_key",
    metadata,
    Column("channel", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    PrimaryKeyConstraint("channel", "key"),
    sqlite_with_rowid=False,
)
"""Which message holds an idempotency key; stays when bodies expire."""

backlog = Table(
    "backlog",
    metadata,
    Column("seq", _ID, primary_key=True, autoincrement=False),
)
"""Messages acknowledged at the inbox commit and not yet mapped."""

cursor = Table(
    "cursor",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Which process polls a channel; `fence` grows with every change of hands."""

channel_state = Table(
    "channel_state",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("paused", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

counter = Table(
    "counter",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Durable counters behind %delivery.number."""

unmapped = Table(
    "unmapped",
    metadata,
    Column("map", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", BigInteger, nullable=False),
    PrimaryKeyConstraint("map", "system", "code", "message"),
    sqlite_with_rowid=False,
)
"""The work queue of codes no concept map knows, with the messages they came in."""

conversation = Table(
    "conversation",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("document", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("focus", Text, nullable=False),
    Column("ordering", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("opened", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Index("conversation_key", "document", "key", unique=True),
    Index("conversation_focus", "focus"),
)
"""state: running, done, refused, waiting (a person decides). place: JSON of the step it is at."""

delivery = Table(
    "delivery",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("channel", Text, nullable=False),
    Column("conversation", BigInteger, nullable=False),
    Column("step", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("reply_document", Text, nullable=False),
    Column("effect", Boolean, nullable=False),
    Column("ordering", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("opened", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("business_id", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("headers", Text, nullable=False),
    Column("mapping", LargeBinary, nullable=False),
    Column("reply", BigInteger, nullable=False),
    Column("unanswered", Boolean, nullable=False),
    Column("error", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index(
        "delivery_open",
        "channel",
        "ordering",
        "id",
        sqlite_where=text("open = 1"),
        postgresql_where=text("open"),
    ),
    Index("delivery_conversation", "conversation"),
)
"""The outbox.

state       pending, in_flight, unknown, delivered, refused, dead (a dead letter), cancelled
open        it still holds its ordering key: pending, in_flight, unknown and dead ones do
due         not before this instant (pending, unknown), or the lease of its worker (in_flight)
unanswered  an attempt went unanswered, and nobody has told since that it had no effect
"""

subscription = Table(
    "subscription",
    metadata,
    Column("id", String, primary_key=True),
    Column("criteria", String, nullable=False),
    Column("ends", Micros, nullable=False),
    Column("since", Micros, nullable=False),
    Column("delivered", Key, nullable=False),
    Column("failed", Boolean, nullable=False),
    Column("error", String, nullable=False),
    sqlite_with_rowid=False,
)
"""The Subscriptions that are told of changes: those whose status is active or error.

ends       when it is turned off (0: never); `since` when it became active
delivered  how many notifications its endpoint took
failed     its status is error; `error` is what went wrong last, empty once a notification arrived
"""

subscription_generation = Table(
    "subscription_generation",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)
"""One row: a random number that changes whenever the Subscriptions to be told do."""

export = Table(
    "export",
    metadata,
    Column("id", String, primary_key=True),
    Column("organisation", String, nullable=False),
    Column("request", String, nullable=False),
    Column("asked", LargeBinary, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("moment", Micros, nullable=False),
    Column("sequence", Key, nullable=False),
    Column("created", Micros, nullable=False),
    Column("ended", Micros, nullable=False),
    Column("owner", String, nullable=False),
    Column("until", Micros, nullable=False),
    Column("fence", Key, nullable=False),
    Column("progress", LargeBinary, nullable=False),
    Column("error", String, nullable=False),
    sqlite_with_rowid=False,
)
"""Bulk exports that were kicked off, until their files are removed.

request   the URL that was asked; `asked` and `progress` are of hub.exports
state     see hub.store.exports
moment    its transaction time; `sequence` is how far the commit order had got then
owner     the process at work on it, until `until`; `fence` grows with every change of hands
"""
