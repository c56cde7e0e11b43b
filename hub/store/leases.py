"""Leases: of several processes on one database, one at a time polls a channel.

Whoever lost its lease without noticing (a stopped machine, a long pause) cannot move the cursor any more:
every change of hands raises the fence, and the cursor commits only with the current one.
"""

from __future__ import annotations

from sqlalchemy import and_, bindparam, case, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from hub.errors import Conflict
from hub.store.backend import Tx
from hub.store.flow import lease
from hub.store.statements import statement


class LeaseLost(Conflict):
    """Another process polls this channel now."""


_add = upsert(lease).values(
    name=bindparam("name"), owner=bindparam("owner"), until=bindparam("until"), fence=1
)
_TAKE = statement(
    _add.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "owner": bindparam("owner"),
            "until": bindparam("until"),
            "fence": case((lease.c.owner == bindparam("owner"), lease.c.fence), else_=lease.c.fence + 1),
        },
        where=or_(lease.c.until < bindparam("now"), lease.c.owner == bindparam("owner")),
    ).returning(lease.c.fence),
    ["name", "owner", "until", "now"],
)
_HELD = statement(
    select(lease.c.fence)
    .where(and_(lease.c.name == bindparam("name"), lease.c.owner == bindparam("owner")))
    .with_for_update(),
    ["name", "owner"],
)
_RELEASE = statement(
    update(lease)
    .where(and_(lease.c.name == bindparam("name"), lease.c.owner == bindparam("owner")))
    .values(until=0),
    ["name", "owner"],
)


async def take(tx: Tx, name: str, owner: str, seconds: float) -> int:
    """Take or renew a lease; the fence, or 0 while another owner holds it."""
    rows = await tx.rows(_TAKE, name, owner, tx.now + round(seconds * 1_000_000), tx.now)
    return int(rows[0][0]) if rows else 0


async def check(tx: Tx, name: str, owner: str, fence: int) -> None:
    """Raise LeaseLost unless `owner` still holds the lease with this fence, until the commit."""
    rows = await tx.rows(_HELD, name, owner)
    if not rows or rows[0][0] != fence:
        raise LeaseLost(f"another process has taken over {name}; what this one read is read again there")


async def release(tx: Tx, name: str, owner: str) -> None:
    """Give it back, so that another process need not wait."""
    await tx.run(_RELEASE, name, owner)
