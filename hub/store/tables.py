"""The tables of resources, their search index and the audit trail.

A resource is found by name in `head`, by number in `resource`; its bodies lie once each in `version`,
appended in the order of `sequence`. The four index tables are clustered on their whole row: SQLite keeps
them WITHOUT ROWID, PostgreSQL as one covering primary key. The packed keys in `resource` say which index
rows exist, so that an update touches only those that change.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Sequence, Table, UniqueConstraint, text

from hub.store.schema import Body, Bytes, Hash64, Key, Micros, Real, Small, String, metadata

pids = Sequence("pid", metadata=metadata)
"""Numbers of resources on PostgreSQL; on SQLite they follow the highest one."""

head = Table(
    "head",
    metadata,
    Column("type", Small, primary_key=True, autoincrement=False),
    Column("id", String, primary_key=True),
    Column("pid", Key, nullable=False),
    Column("version", Key, nullable=False),
    Column("sequence", Key, nullable=False),
    Column("updated", Micros, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("owner", String, nullable=False),
    Column("event_time", Micros, nullable=False),
    Column("content", Bytes, nullable=False),
    sqlite_with_rowid=False,
)
"""The current state by name. `type` is the number of the resource type (`hub.store.names.TYPE_NUMBER`)."""

resource = Table(
    "resource",
    metadata,
    Column("pid", Key, primary_key=True, autoincrement=False),
    Column("type", Small, nullable=False),
    Column("id", String, nullable=False),
    Column("sequence", Key, nullable=False),
    Column("updated", Micros, nullable=False),
    Column("date", Key, nullable=False),
    Column("keys", Bytes, nullable=False),
)
"""The current state by number: where its body lies, its main date (seconds) and its packed index keys."""

version = Table(
    "version",
    metadata,
    Column("sequence", Key, primary_key=True),
    Column("pid", Key, nullable=False),
    Column("type", Small, nullable=False),
    Column("version", Key, nullable=False),
    Column("change", Small, nullable=False),
    Column("updated", Micros, nullable=False),
    Column("message", Key, nullable=False),
    Column("event_time", Micros, nullable=False),
    Column("mapping", Bytes, nullable=False),
    Column("xid", Key, nullable=False),
    Column("body", Body, nullable=False),
)
"""Every body ever stored, in commit order. `version` 0 is a superseded one: an older event that came late.

`xid` is the PostgreSQL transaction: whoever reads by sequence stops at the oldest one still running.
"""

history = Table(
    "history",
    metadata,
    Column("pid", Key, primary_key=True, autoincrement=False),
    Column("version", Key, primary_key=True, autoincrement=False),
    Column("sequence", Key, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Where the versions lie that are no longer current."""

type_history = Table(
    "type_history",
    metadata,
    Column("type", Small, primary_key=True, autoincrement=False),
    Column("updated", Micros, primary_key=True, autoincrement=False),
    Column("sequence", Key, primary_key=True, autoincrement=False),
    Column("pid", Key, nullable=False),
    sqlite_with_rowid=False,
)
"""Every version of a type by time: its history, and the order of `_lastUpdated`."""

index_equal = Table(
    "index_equal",
    metadata,
    Column("param", Small, primary_key=True, autoincrement=False),
    Column("hash", Hash64, primary_key=True, autoincrement=False),
    Column("date", Key, primary_key=True, autoincrement=False),
    Column("pid", Key, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Tokens, references, URIs. `hash` 1 stands for a value with nothing to find it by."""

index_text = Table(
    "index_text",
    metadata,
    Column("param", Small, primary_key=True, autoincrement=False),
    Column("value", String, primary_key=True),
    Column("pid", Key, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Folded strings, compared by code point on both databases."""

index_range = Table(
    "index_range",
    metadata,
    Column("param", Small, primary_key=True, autoincrement=False),
    Column("lo", Real, primary_key=True),
    Column("hi", Real, primary_key=True),
    Column("pid", Key, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Dates in microseconds, numbers and quantities with the width of their precision."""

NARROW = 86_400_000_000
"""A day in microseconds: most dates are no wider, and are looked for by where they begin."""
POINT = 1_000_000_000
"""Below this a range is one of numbers, which are points as a rule."""
WIDE = f"hi > lo AND (hi - lo > {NARROW} OR (lo > -{POINT} AND lo < {POINT}))"  # fmt: skip
"""Ranges that may have begun long before what is asked for and still last: found by their end."""
LASTING = "hi > lo"

index_range_wide = Index(
    "index_range_wide",
    index_range.c.param,
    index_range.c.hi,
    index_range.c.lo,
    index_range.c.pid,
    sqlite_where=text(WIDE),
    postgresql_where=text(WIDE),
)

index_composite = Table(
    "index_composite",
    metadata,
    Column("param", Small, primary_key=True, autoincrement=False),
    Column("hash", Hash64, primary_key=True, autoincrement=False),
    Column("lo", Real, primary_key=True),
    Column("hi", Real, primary_key=True),
    Column("pid", Key, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""A token together with a range: code and value."""

index_composite_wide = Index(
    "index_composite_wide",
    index_composite.c.param,
    index_composite.c.hash,
    index_composite.c.hi,
    index_composite.c.lo,
    index_composite.c.pid,
    sqlite_where=text(LASTING),
    postgresql_where=text(LASTING),
)

search_parameter = Table(
    "search_parameter",
    metadata,
    Column("number", Small, primary_key=True, autoincrement=False),
    Column("type", Small, nullable=False),
    Column("code", String, nullable=False),
    Column("resource", String, nullable=False),
    Column("url", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("expression", String, nullable=False),
    Column("targets", String, nullable=False),
    Column("sounds", Boolean, nullable=False),
    Column("state", Small, nullable=False),
    Column("progress", String, nullable=False),
    Column("done", Key, nullable=False),
    Column("goal", Key, nullable=False),
    UniqueConstraint("type", "code"),
)
"""The posted search parameters, one row per (type, code) for ever, so that no number comes twice.

resource    the id of the SearchParameter it comes from
state       see hub.store.posted
progress    the id of the last resource whose rows are as they should be; `done` of `goal` are
"""

search_generation = Table(
    "search_generation",
    metadata,
    Column("one", Small, primary_key=True, autoincrement=False),
    Column("value", Micros, nullable=False),
)
"""One row: a random number that changes whenever the posted search parameters do."""

audit = Table(
    "audit",
    metadata,
    Column("sequence", Key, primary_key=True),
    Column("at", Micros, nullable=False),
    Column("organisation", String, nullable=False),
    Column("person", String, nullable=False),
    Column("via", String, nullable=False),
    Column("action", String, nullable=False),
    Column("target", String, nullable=False),
    Column("detail", String, nullable=False),
    Column("status", Small, nullable=False),
)
"""Who did what to which resource (`hub.audit.Audit`); never a value, rendered as AuditEvent."""
