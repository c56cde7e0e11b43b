"""Locking and looking in one round trip on PostgreSQL."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LOOK = """
CREATE FUNCTION look(keys bigint[], waits boolean, types smallint[], ids text[])
RETURNS TABLE (pid bigint, version bigint, sequence bigint, updated bigint, deleted boolean, owner text,
  event_time bigint, content bytea, keys_then bytea, next_sequence bigint, next_pid bigint, xid bigint,
  search_generation bigint, subscription_generation bigint)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE searched bigint; subscribed bigint;
BEGIN
  IF waits THEN
    PERFORM pg_advisory_xact_lock(k) FROM unnest($1) k;
  ELSIF NOT (SELECT coalesce(bool_and(pg_try_advisory_xact_lock(k)), true) FROM unnest($1) k) THEN
    RETURN;
  END IF;
  PERFORM pg_current_xact_id();
  searched := search_generation_seen();
  subscribed := coalesce(subscription_generation_seen(), 0);
  RETURN QUERY
    SELECT h.pid, h.version, h.sequence, h.updated, h.deleted, h.owner, h.event_time, h.content, r.keys,
      nextval('version_sequence_seq'), CASE WHEN h.pid IS NULL THEN nextval('pid') END,
      pg_current_xact_id()::text::bigint, searched, subscribed
    FROM unnest($3, $4) WITH ORDINALITY AS u(type, id, place)
    LEFT JOIN head h ON h.type = u.type AND h.id = u.id
    LEFT JOIN resource r ON r.pid = h.pid
    ORDER BY u.place;
END $$
"""
"""Every statement of a function has a snapshot of its own: what is looked at is what is there once the locks
are held. No row: somebody holds a lock that may not be waited for. A transaction has its number before it
takes a place in commit order: `hub.store.search.paging` relies on it."""


def upgrade() -> None:
    """Create the function."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(LOOK)


def downgrade() -> None:
    """Drop it."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION look")
