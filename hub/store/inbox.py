"""The inbox: every message verbatim, with its key, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from hub.errors import Issue, Retryable
from hub.messages import Message
from hub.store.backend import Reader, Tx
from hub.store.flow import backlog, channel_state, cursor, message, message_key, unmapped
from hub.store.statements import statement

_issues = msgspec.json.Encoder()
_read_issues = msgspec.json.Decoder(list[Issue])
HEAD = 64 * 1024


class Held(msgspec.Struct, frozen=True):
    """What the inbox knows under a key: the message that holds it, its digest, its state."""

    seq: int
    digest: bytes
    state: str


class Said(msgspec.Struct, frozen=True):
    """An operator's last word on a channel: whether it is paused, why, and when that was said."""

    paused: bool
    reason: str
    at: int


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One inbox row, for listings (without `body`) and replay (with it)."""

    seq: int
    channel: str
    key: str
    kind: str
    state: str
    received: int
    content_type: str
    charset: str
    size: int
    first: int
    in_reply_to: int
    issues: list[Issue]
    body: bytes = b""


_FIND = statement(
    select(message_key.c.seq, message_key.c.digest, message.c.state)
    .join(message, message.c.seq == message_key.c.seq)
    .where(message_key.c.channel == bindparam("channel"), message_key.c.key == bindparam("key"))
)
_COLUMNS = [column.name for column in message.columns if column.name != "seq"]
_KEEP = statement(
    insert(message).values({name: bindparam(name) for name in _COLUMNS}).returning(message.c.seq),
    _COLUMNS,
)
_TAKE = statement(
    insert(message_key).values(
        channel=bindparam("channel"), key=bindparam("key"), seq=bindparam("seq"), digest=bindparam("digest")
    ),
    ["channel", "key", "seq", "digest"],
)
_VALUES = ", ".join(f"${number}" for number in range(1, len(_COLUMNS) + 1))
_KEEP_AND_TAKE = statement(
    select(message.c.seq),
    _COLUMNS,
    postgres=f"""
WITH kept AS (INSERT INTO message ({", ".join(_COLUMNS)}) VALUES ({_VALUES})
  RETURNING seq, channel, key, digest)
INSERT INTO message_key (channel, key, seq, digest)
SELECT channel, key, seq, digest FROM kept RETURNING seq""",
)
"""Both in one round trip; SQLite, which has none, runs `_KEEP` and `_TAKE`."""
_HOLD = statement(
    upsert(message_key)
    .values(
        channel=bindparam("channel"), key=bindparam("key"), seq=bindparam("seq"), digest=bindparam("digest")
    )
    .on_conflict_do_update(
        index_elements=["channel", "key"], set_={"seq": bindparam("seq"), "digest": bindparam("digest")}
    ),
    ["channel", "key", "seq", "digest"],
)
_SETTLE = statement(
    update(message)
    .where(message.c.seq == bindparam("which"))
    .values(
        state=bindparam("state"),
        stored=bindparam("stored"),
        mapping=bindparam("mapping"),
        issues=bindparam("issues"),
        kind=bindparam("kind"),
    ),
    ["state", "stored", "mapping", "issues", "kind", "which"],
)
_REPLACE = statement(
    update(message)
    .where(message.c.seq == bindparam("which"), message.c.state.in_(["invalid", "rejected"]))
    .values(state="replayed", first=bindparam("first")),
    ["first", "which"],
)
_AWAIT = statement(insert(backlog).values(seq=bindparam("seq")), ["seq"])
_DONE = statement(delete(backlog).where(backlog.c.seq == bindparam("seq")), ["seq"])
_BACKLOG = statement(
    select(backlog.c.seq)
    .where(backlog.c.seq > bindparam("after"))
    .order_by(backlog.c.seq)
    .limit(bindparam("most")),
    ["after", "most"],
)
_LISTED = [c for c in message.columns if c.name not in {"digest", "mapping", "stored", "body"}]
_LOAD = statement(select(*_LISTED, message.c.body).where(message.c.seq == bindparam("which")), ["which"])
_LIST = statement(
    select(*_LISTED)
    .where(
        and_(
            message.c.seq < bindparam("before"),
            (message.c.channel == bindparam("channel")) | (bindparam("any_channel") == 1),
            (message.c.state == bindparam("state")) | (bindparam("any_state") == 1),
        )
    )
    .order_by(message.c.seq.desc())
    .limit(bindparam("most")),
    ["before", "channel", "any_channel", "state", "any_state", "most"],
)
_COUNT = statement(
    select(message.c.channel, message.c.state, message.c.in_reply_to > 0, func.count()).group_by(
        message.c.channel, message.c.state, message.c.in_reply_to > 0
    )
)
_CURSOR = statement(select(cursor.c.value).where(cursor.c.channel == bindparam("channel")), ["channel"])
_MOVE = statement(
    upsert(cursor)
    .values(channel=bindparam("channel"), value=bindparam("value"))
    .on_conflict_do_update(index_elements=["channel"], set_={"value": bindparam("value")}),
    ["channel", "value"],
)
_QUEUE_CODE = statement(
    upsert(unmapped)
    .values(
        map=bindparam("map"), system=bindparam("system"), code=bindparam("code"), message=bindparam("message")
    )
    .on_conflict_do_nothing(),
    ["map", "system", "code", "message"],
)
_CODES = statement(
    select(unmapped.c.map, unmapped.c.system, unmapped.c.code, func.count())
    .group_by(unmapped.c.map, unmapped.c.system, unmapped.c.code)
    .order_by(unmapped.c.map, unmapped.c.code)
)
_SAID = statement(
    select(channel_state.c.channel, channel_state.c.paused, channel_state.c.reason, channel_state.c.changed)
)
_PAUSE = statement(
    upsert(channel_state)
    .values(
        channel=bindparam("channel"),
        paused=bindparam("paused"),
        reason=bindparam("reason"),
        changed=bindparam("changed"),
    )
    .on_conflict_do_update(
        index_elements=["channel"],
        set_={"paused": bindparam("paused"), "reason": bindparam("reason"), "changed": bindparam("changed")},
    ),
    ["channel", "paused", "reason", "changed"],
)


async def find(reader: Reader, channel: str, key: str) -> Held | None:
    """The message that holds a key, if any."""
    rows = await reader.rows(_FIND, channel, key)
    return Held(rows[0][0], bytes(rows[0][1]), rows[0][2]) if rows else None


async def keep(
    tx: Tx,
    channel: str,
    item: Message,
    state: str,
    *,
    received: int,
    issues: Sequence[Issue] = (),
    first: int = 0,
    mapping: bytes = b"",
    hold: bool = True,
    instead: int = 0,
) -> int:
    """Write one arrival verbatim; with `hold` it takes its key. Returns its number.

    `instead` is the message that held the key so far and is tried again by this one: no longer an open
    matter. Of two arrivals that come at once under a key one takes it, and the other's unit of work runs
    again and finds it taken.
    """
    digest = item.body_hash()
    at_once = tx.postgres and hold and not instead
    seq = await tx.insert(
        _KEEP_AND_TAKE if at_once else _KEEP,
        channel,
        item.key,
        item.kind,
        state,
        received,
        tx.now,
        item.content_type,
        item.charset,
        digest,
        item.size or len(item.body),
        first,
        item.in_reply_to,
        mapping,
        encode_issues(issues),
        item.body,
    )
    if instead:
        if not await tx.run(_REPLACE, seq, instead):
            raise Retryable(f"message {instead} is being tried again by another arrival")
        await tx.run(_HOLD, channel, item.key, seq, digest)
    elif hold and not at_once:
        await tx.run(_TAKE, channel, item.key, seq, digest)
    return seq


async def hold(tx: Tx, channel: str, key: str, seq: int, digest: bytes) -> None:
    """Give a key to a message: a person decided that it counts."""
    await tx.run(_HOLD, channel, key, seq, digest)


async def settle(
    tx: Tx, seq: int, state: str, *, kind: str, issues: Sequence[Issue] = (), mapping: bytes = b""
) -> None:
    """Say what became of a message that is already kept."""
    await tx.run(_SETTLE, state, tx.now, mapping, encode_issues(issues), kind, seq)


async def wait(tx: Tx, seq: int) -> None:
    """Put a received message into the backlog."""
    await tx.run(_AWAIT, seq)


async def done(tx: Tx, seq: int) -> None:
    """Take it out again."""
    await tx.run(_DONE, seq)


async def waiting(reader: Reader, after: int, most: int) -> list[int]:
    """Numbers in the backlog, oldest first."""
    return [row[0] for row in await reader.rows(_BACKLOG, after, most)]


async def load(reader: Reader, seq: int) -> Kept | None:
    """One message with its body."""
    rows = await reader.rows(_LOAD, seq)
    return _kept(rows[0]) if rows else None


async def listing(
    reader: Reader, *, channel: str = "", state: str = "", before: int = 0, most: int = 100
) -> list[Kept]:
    """Newest first, bodies left out."""
    rows = await reader.rows(
        _LIST, before or 2**62, channel, 0 if channel else 1, state, 0 if state else 1, most
    )
    return [_kept(row) for row in rows]


async def counts(reader: Reader) -> list[tuple[str, str, bool, int]]:
    """(channel, state, is a reply, how many)."""
    return [(row[0], row[1], bool(row[2]), row[3]) for row in await reader.rows(_COUNT)]


async def read_cursor(reader: Reader, channel: str) -> str:
    """Where reading continues; "" at first."""
    rows = await reader.rows(_CURSOR, channel)
    return str(rows[0][0]) if rows else ""


async def move_cursor(tx: Tx, channel: str, value: str) -> None:
    """Commits with the message it belongs to."""
    await tx.run(_MOVE, channel, value)


async def queue_codes(tx: Tx, seq: int, codes: Sequence[tuple[str, str, str]]) -> None:
    """Codes no map knows: (map, system, code)."""
    for name, system, code in dict.fromkeys(codes):
        await tx.run(_QUEUE_CODE, name, system, code, seq)


async def unmapped_codes(reader: Reader) -> list[dict[str, Any]]:
    """The work queue, with how many messages each code came in."""
    rows = await reader.rows(_CODES)
    return [{"map": r[0], "system": r[1], "code": r[2], "messages": r[3]} for r in rows]


async def said(reader: Reader) -> dict[str, Said]:
    """The operators' last word on each channel they spoke of."""
    return {row[0]: Said(bool(row[1]), row[2], row[3]) for row in await reader.rows(_SAID)}


async def say(tx: Tx, channel: str, paused: bool, reason: str) -> Said:
    """Remember over restarts, and tell other processes, that a channel is paused or runs again."""
    await tx.run(_PAUSE, channel, paused, reason, tx.now)
    return Said(paused, reason, tx.now)


def encode_issues(issues: Sequence[Issue]) -> str:
    return _issues.encode(list(issues)).decode() if issues else "[]"


def _kept(row: tuple[Any, ...]) -> Kept:
    return Kept(
        seq=row[0],
        channel=row[1],
        key=row[2],
        kind=row[3],
        state=row[4],
        received=row[5],
        content_type=row[6],
        charset=row[7],
        size=row[8],
        first=row[9],
        in_reply_to=row[10],
        issues=_read_issues.decode(row[11]),
        body=bytes(row[12]) if len(row) > 12 else b"",
    )
