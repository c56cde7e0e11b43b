"""The audit trail in the database: appended in the transaction of what it tells of."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from hub.audit import Audit
from hub.store.backend import Reader, Tx
from hub.store.statements import insert_into, statement
from hub.store.tables import audit

_ADD = insert_into(audit, leave_out=["sequence"])
_FIELDS = [column for column in audit.columns if column.name != "sequence"]
_LAST = statement(
    select(audit.c.sequence, *_FIELDS)
    .where(audit.c.sequence < bindparam("before"))
    .order_by(audit.c.sequence.desc())
    .limit(bindparam("count"))
)
_NAMES = [column.name for column in _FIELDS]


async def record(tx: Tx, rows: Sequence[Audit]) -> None:
    """Append these rows; they commit with the transaction."""
    await tx.append(_ADD, [tuple(getattr(row, name) for name in _NAMES) for row in rows])


async def trail(reader: Reader, *, before: int = 2**62, count: int = 100) -> list[tuple[int, Audit]]:
    """The newest rows first, with their numbers; `before` is the last number of the page before."""
    found = await reader.rows(_LAST, before, count)
    return [(row[0], Audit(**dict(zip(_NAMES, row[1:], strict=True)))) for row in found]
