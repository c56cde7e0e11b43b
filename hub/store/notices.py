"""Deliveries that only carry news: no document, no conversation, ordered by whom they go to.

They are rows of the outbox like all others, and the same worker sends them.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, func, select, update

from hub.store.backend import Reader, Tx
from hub.store.flow import delivery
from hub.store.outbox import FIXED
from hub.store.statements import insert_into, statement

_OF_KEY = and_(
    delivery.c.open,
    delivery.c.channel == bindparam("channel"),
    delivery.c.ordering == bindparam("ordering"),
)
_NOTICE = insert_into(delivery, leave_out=["id"])
_CANCEL_KEY = statement(
    update(delivery)
    .where(_OF_KEY)
    .values(state="cancelled", open=False, due=bindparam("now"), error=bindparam("why")),
    ["channel", "ordering", "now", "why"],
)
_AGAIN_KEY = statement(
    update(delivery)
    .where(and_(_OF_KEY, delivery.c.state == "dead"))
    .values(state="pending", due=bindparam("now"), attempts=0, error=""),
    ["channel", "ordering", "now"],
)
_SOON_KEY = statement(
    update(delivery).where(and_(_OF_KEY, delivery.c.state == "pending")).values(due=bindparam("now")),
    ["channel", "ordering", "now"],
)
_WAITING = statement(
    select(delivery.c.state, func.count()).where(_OF_KEY).group_by(delivery.c.state), ["channel", "ordering"]
)
_OPEN_KEYS = statement(
    select(delivery.c.ordering, delivery.c.state, func.count())
    .where(and_(delivery.c.open, delivery.c.channel == bindparam("channel")))
    .group_by(delivery.c.ordering, delivery.c.state),
    ["channel"],
)


async def notify(tx: Tx, channel: str, notices: Sequence[tuple[str, str]]) -> None:
    """Decide on notices, each (ordering key, what it is about); they have no document and no conversation."""
    named = {"channel": channel, "conversation": 0, "step": "notify", "document": "", "reply_document": ""}
    fixed = {**FIXED, **named, "effect": False, "due": tx.now, "opened": tx.now, "kind": "notification"}
    columns = [column.name for column in delivery.columns if column.name != "id"]
    rows = []
    for ordering, about in notices:
        values = {**fixed, "ordering": ordering, "business_id": about}
        rows.append([values[name] for name in columns])
    await tx.run_many(_NOTICE, rows)


async def cancel_key(tx: Tx, channel: str, ordering: str, why: str) -> int:
    """Give up everything that is open under an ordering key; how many."""
    return await tx.run(_CANCEL_KEY, channel, ordering, tx.now, why)


async def replay_key(tx: Tx, channel: str, ordering: str) -> int:
    """What waits of an ordering key goes out now, its dead letters among it; how many."""
    waited = await tx.run(_SOON_KEY, channel, ordering, tx.now)
    return waited + await tx.run(_AGAIN_KEY, channel, ordering, tx.now)


async def waiting(reader: Reader, channel: str, ordering: str) -> dict[str, int]:
    """How many deliveries of an ordering key are open, by state."""
    return {row[0]: row[1] for row in await reader.rows(_WAITING, channel, ordering)}


async def open_keys(reader: Reader, channel: str) -> dict[str, dict[str, int]]:
    """The same for every ordering key of a channel that has any."""
    found: dict[str, dict[str, int]] = {}
    for ordering, state, number in await reader.rows(_OPEN_KEYS, channel):
        found.setdefault(ordering, {})[state] = number
    return found
