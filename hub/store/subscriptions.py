"""The Subscriptions that are told of changes, and the generation by which every process knows them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from hub.store.backend import Reader, Tx
from hub.store.flow import subscription, subscription_generation
from hub.store.statements import insert_into, statement

SUBSCRIPTIONS = "subscriptions"
"""The generation under `Tx.until_commit`: a lock goes with it, so it is read once."""
_EVERY_WRITER = 2**63 - 1
"""The advisory lock of the generation; the highest key, so that it is taken after all others."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One of them; see hub.store.flow.subscription."""

    id: str
    criteria: str
    ends: int = 0
    since: int = 0
    delivered: int = 0
    failed: bool = False
    error: str = ""


_ALL = list(subscription.columns)
_ID = subscription.c.id == bindparam("which")
_GENERATION = statement(
    select(subscription_generation.c.value), postgres="SELECT subscription_generation_seen()"
)
_next = upsert(subscription_generation).values(one=1, value=bindparam("value"))
_CHANGE = statement(
    _next.on_conflict_do_update(index_elements=["one"], set_={"value": _next.excluded.value}), ["value"]
)
_LOAD = statement(select(*_ALL).where(_ID), ["which"])
_LIST = statement(select(*_ALL).order_by(subscription.c.id))
_ADD = insert_into(subscription)
_CHANGED = statement(
    update(subscription).where(_ID).values(criteria=bindparam("criteria"), ends=bindparam("ends")),
    ["criteria", "ends", "which"],
)
_FAILED = statement(
    update(subscription).where(_ID).values(failed=bindparam("failed"), error=bindparam("error")),
    ["failed", "error", "which"],
)
_NOTE = statement(update(subscription).where(_ID).values(error=bindparam("error")), ["error", "which"])
_DELIVERED = statement(
    update(subscription).where(_ID).values(delivered=subscription.c.delivered + 1, error=""), ["which"]
)
_REMOVE = statement(delete(subscription).where(_ID), ["which"])
_ENDED = statement(
    select(subscription.c.id).where(and_(subscription.c.ends > 0, subscription.c.ends <= bindparam("now"))),
    ["now"],
)


async def generation(tx: Tx) -> int:
    """The number that stands for the Subscriptions as this transaction must see them; 0: never any.

    On PostgreSQL the transaction holds a shared lock from here to its commit, and `change` an exclusive one.
    So whoever writes a resource either sees a new Subscription, or commits before it becomes active.
    """
    seen = tx.until_commit.get(SUBSCRIPTIONS)
    if seen is not None:
        return seen
    rows = await tx.rows(_GENERATION)
    return (rows[0][0] or 0) if rows else 0


async def change(tx: Tx) -> None:
    """Give them a new generation. It is random: what a unit that is undone saw is never taken for true."""
    await tx.lock([_EVERY_WRITER])
    await tx.run(_CHANGE, secrets.randbits(62) + 1)
    tx.until_commit.pop(SUBSCRIPTIONS, None)


async def load(reader: Reader, which: str) -> Row | None:
    """One of them."""
    rows = await reader.rows(_LOAD, which)
    return _row(rows[0]) if rows else None


async def listing(reader: Reader) -> list[Row]:
    """All of them, by id."""
    return [_row(row) for row in await reader.rows(_LIST)]


async def ended(reader: Reader, now: int) -> list[str]:
    """The ids of those whose end has come."""
    return [row[0] for row in await reader.rows(_ENDED, now)]


async def add(tx: Tx, row: Row) -> None:
    """A new one; call `change` as well."""
    await tx.run(_ADD, *msgspec.structs.astuple(row))


async def alter(tx: Tx, which: str, criteria: str, ends: int) -> None:
    """Other criteria, or another end; call `change` as well."""
    await tx.run(_CHANGED, criteria, ends, which)


async def mark(tx: Tx, which: str, failed: bool, error: str) -> None:
    """Whether its status is error, and why."""
    await tx.run(_FAILED, failed, error, which)


async def note(tx: Tx, which: str, error: str) -> None:
    """What went wrong last."""
    await tx.run(_NOTE, error, which)


async def count(tx: Tx, which: str) -> None:
    """A notification arrived."""
    await tx.run(_DELIVERED, which)


async def remove(tx: Tx, which: str) -> None:
    """It is told no longer; call `change` as well."""
    await tx.run(_REMOVE, which)


def _row(row: Sequence[Any]) -> Row:
    values = dict(zip([column.name for column in _ALL], row, strict=True))
    return Row(**(values | {"failed": bool(values["failed"])}))
