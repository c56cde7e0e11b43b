"""What the search index needs beyond 0001."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


_WIDE = sa.text("hi > lo AND (hi - lo > 86400000000 OR (lo > -1000000000 AND lo < 1000000000))")
_LASTING = sa.text("hi > lo")


def upgrade() -> None:
    """Ranges that are wide, by their end."""
    _partial("index_range_wide", "index_range", ["param", "hi", "lo", "pid"], _WIDE)
    _partial("index_composite_wide", "index_composite", ["param", "hash", "hi", "lo", "pid"], _LASTING)


def _partial(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("index_composite_wide", "index_composite")
    op.drop_index("index_range_wide", "index_range")
