"""Subscriptions and how far each was told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

SEEN = """
CREATE FUNCTION subscription_generation_seen() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(9223372036854775807);
  RETURN (SELECT value FROM subscription_generation WHERE one = 1);
END $$
"""
"""The lock first, then the value by a snapshot of its own: see hub.store.subscriptions.generation."""


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "subscription",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("criteria", TEXT, nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("delivered", KEY, nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("error", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "subscription_generation",
        sa.Column("one", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("one"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(SEEN)


def downgrade() -> None:
    """Drop them."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION subscription_generation_seen()")
    op.drop_table("subscription_generation")
    op.drop_table("subscription")
