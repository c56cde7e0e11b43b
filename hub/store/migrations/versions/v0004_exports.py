"""Bulk exports on their way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "export",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("request", TEXT, nullable=False),
        sa.Column("asked", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("moment", sa.BigInteger(), nullable=False),
        sa.Column("sequence", KEY, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("fence", KEY, nullable=False),
        sa.Column("progress", sa.LargeBinary(), nullable=False),
        sa.Column("error", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("export")
