"""Resources, their versions and index, the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "audit",
        sa.Column("sequence", KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("organisation", NAME, nullable=False),
        sa.Column("person", NAME, nullable=False),
        sa.Column("via", NAME, nullable=False),
        sa.Column("action", NAME, nullable=False),
        sa.Column("target", NAME, nullable=False),
        sa.Column("detail", NAME, nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
    )
    op.create_table(
        "head",
        sa.Column("type", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("pid", KEY, nullable=False),
        sa.Column("version", KEY, nullable=False),
        sa.Column("sequence", KEY, nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("owner", NAME, nullable=False),
        sa.Column("event_time", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("type", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "history",
        sa.Column("pid", KEY, autoincrement=False, nullable=False),
        sa.Column("version", KEY, autoincrement=False, nullable=False),
        sa.Column("sequence", KEY, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("pid", "version", "sequence"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "index_composite",
        sa.Column("param", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lo", sa.Double(), nullable=False),
        sa.Column("hi", sa.Double(), nullable=False),
        sa.Column("pid", KEY, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("param", "hash", "lo", "hi", "pid"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "index_equal",
        sa.Column("param", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("date", KEY, autoincrement=False, nullable=False),
        sa.Column("pid", KEY, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("param", "hash", "date", "pid"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "index_range",
        sa.Column("param", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("lo", sa.Double(), nullable=False),
        sa.Column("hi", sa.Double(), nullable=False),
        sa.Column("pid", KEY, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("param", "lo", "hi", "pid"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "index_text",
        sa.Column("param", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("value", NAME, nullable=False),
        sa.Column("pid", KEY, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("param", "value", "pid"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "resource",
        sa.Column("pid", KEY, autoincrement=False, nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("sequence", KEY, nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("date", KEY, nullable=False),
        sa.Column("keys", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pid"),
    )
    op.create_table(
        "type_history",
        sa.Column("type", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("updated", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", KEY, autoincrement=False, nullable=False),
        sa.Column("pid", KEY, nullable=False),
        sa.PrimaryKeyConstraint("type", "updated", "sequence"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "version",
        sa.Column("sequence", KEY, nullable=False),
        sa.Column("pid", KEY, nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("version", KEY, nullable=False),
        sa.Column("change", sa.SmallInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("message", KEY, nullable=False),
        sa.Column("event_time", sa.BigInteger(), nullable=False),
        sa.Column("mapping", sa.LargeBinary(), nullable=False),
        sa.Column("xid", KEY, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.schema.CreateSequence(sa.Sequence("pid")))


def downgrade() -> None:
    """Drop them."""
    op.drop_table("audit")
    op.drop_table("head")
    op.drop_table("history")
    op.drop_table("index_composite")
    op.drop_table("index_equal")
    op.drop_table("index_range")
    op.drop_table("index_text")
    op.drop_table("resource")
    op.drop_table("type_history")
    op.drop_table("version")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.schema.DropSequence(sa.Sequence("pid")))
