"""The outbox: every delivery, from the transaction that decided on it to its reply.

One row is one effect (or one question) at one system. Within a channel and an ordering key the lowest
open row goes first, and nothing passes it; a dead letter therefore holds back its key and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from hub.store.backend import Reader, Tx
from hub.store.flow import counter, delivery
from hub.store.statements import statement


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One outbox row; see hub.store.flow.delivery for its states."""

    id: int
    channel: str
    conversation: int
    step: str
    document: str
    reply_document: str
    effect: bool
    ordering: str
    state: str
    open: bool
    due: int
    attempts: int
    opened: int
    number: int
    created: int
    kind: str
    business_id: str
    content_type: str
    headers: str
    mapping: bytes
    reply: int
    unanswered: bool
    error: str
    body: bytes

    @property
    def notice(self) -> bool:
        """It tells a Subscription of a change: no document writes it, its adapter reads what to send."""
        return not self.document


_ALL = list(delivery.columns)
_NEW = [
    "channel",
    "conversation",
    "step",
    "document",
    "reply_document",
    "effect",
    "ordering",
    "due",
    "opened",
]
FIXED: dict[str, Any] = {
    "state": "pending",
    "open": True,
    "attempts": 0,
    "number": 0,
    "created": 0,
    "kind": "",
    "business_id": "",
    "content_type": "",
    "headers": "{}",
    "mapping": b"",
    "reply": 0,
    "unanswered": False,
    "error": "",
    "body": b"",
}
"""How every row begins."""
_ADD = statement(
    insert(delivery).values({name: bindparam(name) for name in [*_NEW, *FIXED]}).returning(delivery.c.id),
    [*_NEW, *FIXED],
)
_other = delivery.alias("other")
_first = delivery.alias("first")


def _lowest(above: ColumnElement[str] | None = None) -> ScalarSelect[Any]:
    """The lowest ordering key of a channel with an open row."""
    found = and_(_other.c.open, _other.c.channel == bindparam("channel"))
    if above is not None:
        found = and_(found, _other.c.ordering > above)
    return select(func.min(_other.c.ordering)).where(found).scalar_subquery()


def _heads() -> Select[tuple[int]]:
    """The first open row of each ordering key: two looks into the index per key, however many rows wait."""
    start = select(_lowest().label("ordering")).cte("keys", recursive=True)
    after = select(_lowest(start.c.ordering)).where(start.c.ordering.is_not(None))
    keys = start.union_all(after)
    of_key = and_(
        _first.c.open,
        _first.c.channel == bindparam("channel"),
        _first.c.ordering == keys.c.ordering,
    )
    head = select(func.min(_first.c.id)).where(of_key).scalar_subquery()
    return select(head.label("id")).where(keys.c.ordering.is_not(None))


_head = _heads().cte("heads")
_READY = statement(
    select(delivery.c.id)
    .join(_head, _head.c.id == delivery.c.id)
    .where(
        and_(
            delivery.c.state.in_(["pending", "unknown", "in_flight"]),
            delivery.c.due <= bindparam("now"),
        )
    )
    .order_by(delivery.c.due, delivery.c.id)
    .limit(bindparam("most")),
    ["channel", "now", "most"],
)
_NEXT_DUE = statement(
    select(func.min(delivery.c.due))
    .join(_head, _head.c.id == delivery.c.id)
    .where(delivery.c.state.in_(["pending", "unknown", "in_flight"])),
    ["channel"],
)
_LOAD = statement(select(*_ALL).where(delivery.c.id == bindparam("which")), ["which"])
_CLAIM = statement(
    update(delivery)
    .where(
        and_(
            delivery.c.id == bindparam("which"),
            delivery.c.state == bindparam("was"),
            delivery.c.due == bindparam("was_due"),
        )
    )
    .values(state=bindparam("state"), due=bindparam("due"), attempts=bindparam("attempts")),
    ["state", "due", "attempts", "which", "was", "was_due"],
)
_HOLDS = statement(
    select(delivery.c.id)
    .where(
        and_(
            delivery.c.id == bindparam("which"),
            delivery.c.state == bindparam("state"),
            delivery.c.due == bindparam("due"),
            delivery.c.attempts == bindparam("attempts"),
        )
    )
    .with_for_update(),
    ["which", "state", "due", "attempts"],
)
_WRITTEN = ["number", "created", "kind", "business_id", "content_type", "headers", "mapping", "body"]
_WRITE = statement(
    update(delivery)
    .where(delivery.c.id == bindparam("which"))
    .values({name: bindparam(name) for name in _WRITTEN}),
    [*_WRITTEN, "which"],
)
_MARK = statement(
    update(delivery)
    .where(delivery.c.id == bindparam("which"))
    .values(
        state=bindparam("state"),
        open=bindparam("open"),
        due=bindparam("due"),
        reply=bindparam("reply"),
        error=bindparam("error"),
    ),
    ["state", "open", "due", "reply", "error", "which"],
)
_AGAIN = statement(
    update(delivery)
    .where(and_(delivery.c.id == bindparam("which"), delivery.c.state == "dead"))
    .values(state="pending", open=True, due=bindparam("due"), attempts=0, error=""),
    ["due", "which"],
)
_DROP = statement(
    update(delivery)
    .where(and_(delivery.c.id == bindparam("which"), delivery.c.state == "dead"))
    .values(state="cancelled", open=False),
    ["which"],
)
_DOUBT = statement(
    update(delivery).where(delivery.c.id == bindparam("which")).values(unanswered=bindparam("unanswered")),
    ["unanswered", "which"],
)
_STRANDED = statement(
    update(delivery)
    .where(and_(delivery.c.open, delivery.c.state.in_(["in_flight", "unknown"])))
    .values(due=bindparam("due")),
    ["due"],
)
_LIST = statement(
    select(*_ALL)
    .where(
        and_(
            delivery.c.id < bindparam("before"),
            (delivery.c.channel == bindparam("channel")) | (bindparam("any_channel") == 1),
            (delivery.c.state == bindparam("state")) | (bindparam("any_state") == 1),
        )
    )
    .order_by(delivery.c.id.desc())
    .limit(bindparam("most")),
    ["before", "channel", "any_channel", "state", "any_state", "most"],
)
_OF = statement(
    select(*_ALL).where(delivery.c.conversation == bindparam("conversation")).order_by(delivery.c.id),
    ["conversation"],
)
_COUNT = statement(
    select(delivery.c.channel, delivery.c.state, func.count()).group_by(delivery.c.channel, delivery.c.state)
)
_add_counter = upsert(counter).values(scope=bindparam("scope"), value=1)
_NUMBER = statement(
    _add_counter.on_conflict_do_update(
        index_elements=["scope"], set_={"value": counter.c.value + 1}
    ).returning(counter.c.value),
    ["scope"],
)
OPEN_STATES = frozenset({"pending", "in_flight", "unknown", "dead"})


async def add(
    tx: Tx,
    channel: str,
    *,
    conversation: int,
    step: str,
    document: str,
    reply_document: str,
    effect: bool,
    ordering: str,
    due: int = 0,
) -> int:
    """Decide on a delivery; its bytes are made when its turn comes. Returns its number."""
    fixed = tuple(FIXED.values())
    return await tx.insert(
        _ADD,
        channel,
        conversation,
        step,
        document,
        reply_document,
        effect,
        ordering,
        due or tx.now,
        tx.now,
        *fixed,
    )


async def ready(reader: Reader, channel: str, now: int, most: int) -> list[int]:
    """Deliveries whose turn has come: due, and the first open one of their ordering key."""
    return [row[0] for row in await reader.rows(_READY, channel, now, most)]


async def next_due(reader: Reader, channel: str) -> int | None:
    """When something may become ready without anyone's doing; None: nothing is open."""
    rows = await reader.rows(_NEXT_DUE, channel)
    return rows[0][0] if rows else None


async def load(reader: Reader, which: int) -> Row | None:
    """One row with its bytes."""
    rows = await reader.rows(_LOAD, which)
    return _row(rows[0]) if rows else None


async def claim(tx: Tx, row: Row, state: str, until: int, attempts: int) -> bool:
    """Take a row for this worker until `until`; False if another worker was faster."""
    return await tx.run(_CLAIM, state, until, attempts, row.id, row.state, row.due) == 1


async def holds(tx: Tx, row: Row) -> bool:
    """Whether this worker's claim still stands: nobody answered, or took the row over, since."""
    return bool(await tx.rows(_HOLDS, row.id, row.state, row.due, row.attempts))


async def number(tx: Tx, scope: str) -> int:
    """The next value of a durable counter, starting with 1."""
    rows = await tx.rows(_NUMBER, scope)
    return int(rows[0][0])


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What is fixed at the first attempt and sent again unchanged: the members of `Row` of the same names."""

    number: int
    created: int
    kind: str
    business_id: str
    content_type: str
    headers: str
    mapping: bytes
    body: bytes


async def write(tx: Tx, which: int, letter: Letter) -> None:
    """Fix the bytes, the business id and the mapping's hash, before the first send."""
    await tx.run(_WRITE, *msgspec.structs.astuple(letter), which)


async def mark(tx: Tx, which: int, state: str, *, due: int = 0, reply: int = 0, error: str = "") -> None:
    """Say what became of a delivery; it keeps its ordering key while the state is an open one."""
    await tx.run(_MARK, state, state in OPEN_STATES, due or tx.now, reply, error[:1000], which)


async def release(tx: Tx, which: int, error: str) -> None:
    """Unknown, and a conversation has taken over asking: the ordering key is free for its questions."""
    await tx.run(_MARK, "unknown", False, tx.now, 0, error[:1000], which)


async def replay(tx: Tx, which: int) -> bool:
    """A dead letter goes out again, with the same bytes; False if it is none."""
    return await tx.run(_AGAIN, tx.now, which) == 1


async def drop(tx: Tx, which: int) -> bool:
    """A dead letter is given up for another delivery in its place; False if it is none."""
    return await tx.run(_DROP, which) == 1


async def doubt(tx: Tx, which: int, unanswered: bool) -> None:
    """Note that an attempt went unanswered, or that it certainly had no effect."""
    await tx.run(_DOUBT, unanswered, which)


async def strand(tx: Tx) -> int:
    """After a crash of the only worker: every lease is over now, that of a question being asked, too."""
    return await tx.run(_STRANDED, tx.now)


async def listing(
    reader: Reader, *, channel: str = "", state: str = "", before: int = 0, most: int = 100
) -> list[Row]:
    """Newest first."""
    rows = await reader.rows(
        _LIST, before or 2**62, channel, 0 if channel else 1, state, 0 if state else 1, most
    )
    return [_row(row) for row in rows]


async def of_conversation(reader: Reader, conversation: int) -> list[Row]:
    """All deliveries of a conversation, oldest first."""
    return [_row(row) for row in await reader.rows(_OF, conversation)]


async def counts(reader: Reader) -> list[tuple[str, str, int]]:
    """(channel, state, how many)."""
    return [(row[0], row[1], row[2]) for row in await reader.rows(_COUNT)]


def _row(row: Sequence[Any]) -> Row:
    names = [column.name for column in _ALL]
    values = dict(zip(names, row, strict=True))
    values["body"], values["mapping"] = bytes(values["body"]), bytes(values["mapping"])
    for name in ("effect", "open", "unanswered"):
        values[name] = bool(values[name])
    return Row(**values)
