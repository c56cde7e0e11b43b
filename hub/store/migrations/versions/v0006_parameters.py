"""Search parameters that were posted, and how far their index is filled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

SEEN = """
CREATE FUNCTION search_generation_seen() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(9223372036854775806);
  RETURN coalesce((SELECT value FROM search_generation WHERE one = 1), 0);
END $$
"""
"""The lock first, then the value by a snapshot of its own: see hub.store.posted."""


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "search_parameter",
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("resource", TEXT, nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("expression", TEXT, nullable=False),
        sa.Column("targets", TEXT, nullable=False),
        sa.Column("sounds", sa.Boolean(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("progress", TEXT, nullable=False),
        sa.Column("done", KEY, nullable=False),
        sa.Column("goal", KEY, nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("type", "code"),
    )
    op.create_table(
        "search_generation",
        sa.Column("one", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("one"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(SEEN)


def downgrade() -> None:
    """Drop them."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION search_generation_seen()")
    op.drop_table("search_generation")
    op.drop_table("search_parameter")
