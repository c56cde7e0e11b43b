"""The rows of conversations: where each one is, and the facts it has gathered."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, func, insert, select, update

from hub.store.backend import Reader, Tx
from hub.store.flow import conversation
from hub.store.statements import statement

_encode = msgspec.json.Encoder(decimal_format="number")
_decode = msgspec.json.Decoder(float_hook=Decimal)


class Talk(msgspec.Struct, kw_only=True):
    """One conversation. `place` says which step it is at, `facts` are JSON values by name."""

    id: int
    document: str
    key: str
    channel: str
    focus: str
    ordering: str
    state: str
    place: dict[str, Any]
    facts: dict[str, Any]
    reason: str = ""
    opened: int = 0
    changed: int = 0


_NEW = [
    "document",
    "key",
    "channel",
    "focus",
    "ordering",
    "state",
    "place",
    "facts",
    "reason",
    "opened",
    "changed",
]
_OPEN = statement(
    insert(conversation).values({name: bindparam(name) for name in _NEW}).returning(conversation.c.id), _NEW
)
_FIND = statement(
    select(conversation.c.id).where(
        and_(conversation.c.document == bindparam("document"), conversation.c.key == bindparam("key"))
    ),
    ["document", "key"],
)
_LOAD = statement(select(*conversation.columns).where(conversation.c.id == bindparam("which")), ["which"])
_LOCK = statement(
    select(*conversation.columns).where(conversation.c.id == bindparam("which")).with_for_update(), ["which"]
)
_SAVE = statement(
    update(conversation)
    .where(conversation.c.id == bindparam("which"))
    .values(
        state=bindparam("state"),
        place=bindparam("place"),
        facts=bindparam("facts"),
        reason=bindparam("reason"),
        changed=bindparam("changed"),
    ),
    ["state", "place", "facts", "reason", "changed", "which"],
)
_LIST = statement(
    select(*conversation.columns)
    .where(
        and_(
            conversation.c.id < bindparam("before"),
            (conversation.c.state == bindparam("state")) | (bindparam("any_state") == 1),
        )
    )
    .order_by(conversation.c.id.desc())
    .limit(bindparam("most")),
    ["before", "state", "any_state", "most"],
)
_ABOUT = statement(
    select(*conversation.columns)
    .where(conversation.c.focus == bindparam("focus"))
    .order_by(conversation.c.id),
    ["focus"],
)
_COUNT = statement(
    select(conversation.c.document, conversation.c.state, func.count()).group_by(
        conversation.c.document, conversation.c.state
    )
)


async def find(reader: Reader, document: str, key: str) -> int:
    """The conversation of a document about `key`; 0 if there is none."""
    rows = await reader.rows(_FIND, document, key)
    return int(rows[0][0]) if rows else 0


async def begin(tx: Tx, talk: Talk) -> int:
    """Open one; its number."""
    return await tx.insert(
        _OPEN,
        talk.document,
        talk.key,
        talk.channel,
        talk.focus,
        talk.ordering,
        talk.state,
        _text(talk.place),
        _text(talk.facts),
        talk.reason,
        tx.now,
        tx.now,
    )


async def load(reader: Reader, which: int) -> Talk | None:
    """One conversation as it stands."""
    rows = await reader.rows(_LOAD, which)
    return _talk(rows[0]) if rows else None


async def lock(tx: Tx, which: int) -> Talk | None:
    """The same, held until the transaction ends."""
    rows = await tx.rows(_LOCK, which)
    return _talk(rows[0]) if rows else None


async def save(tx: Tx, talk: Talk) -> None:
    """Write place, facts, state and reason back."""
    await tx.run(_SAVE, talk.state, _text(talk.place), _text(talk.facts), talk.reason[:1000], tx.now, talk.id)


async def listing(reader: Reader, *, state: str = "", before: int = 0, most: int = 100) -> list[Talk]:
    """Newest first."""
    rows = await reader.rows(_LIST, before or 2**62, state, 0 if state else 1, most)
    return [_talk(row) for row in rows]


async def about(reader: Reader, focus: str) -> list[Talk]:
    """All conversations a resource (`Type/id`) started."""
    return [_talk(row) for row in await reader.rows(_ABOUT, focus)]


async def counts(reader: Reader) -> list[tuple[str, str, int]]:
    """(document, state, how many)."""
    return [(row[0], row[1], row[2]) for row in await reader.rows(_COUNT)]


def _text(value: Any) -> str:
    return _encode.encode(value).decode()


def _talk(row: tuple[Any, ...]) -> Talk:
    return Talk(
        id=row[0],
        document=row[1],
        key=row[2],
        channel=row[3],
        focus=row[4],
        ordering=row[5],
        state=row[6],
        place=_decode.decode(row[7]),
        facts=_decode.decode(row[8]),
        reason=row[9],
        opened=row[10],
        changed=row[11],
    )
