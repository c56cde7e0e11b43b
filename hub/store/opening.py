"""`open_store`: from a database URL to an open store with the newest schema."""

from __future__ import annotations

import os
import sqlite3
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from hub import clock as wall
from hub.clock import Clock
from hub.errors import Misconfigured
from hub.store import lock, migrations
from hub.store.sqlite import SqliteStore
from hub.store.store import Store

_WANTED = "expected sqlite:///path/hub.db or postgresql://user@host/name"


async def open_store(
    url: str,
    *,
    zone: tzinfo | None = None,
    base_url: str = "",
    clock: Clock = wall.now,
    remember: int = 50_000,
    address: str = "",
) -> Store:
    """Open a database, creating or upgrading its tables first.

    url       `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://...`
    zone      how dates without an offset are indexed (default Asia/Shanghai)
    base_url  the hub's own FHIR base: absolute references below it are indexed as relative
    remember  how many resource heads this process keeps in memory
    address   where this hub answers, for the lock file beside a SQLite database

    Raises Misconfigured when the URL is wrong, another hub owns the file, the server cannot be reached
    or the schema is newer than this hub.
    """
    parsed = _parse(url)
    zone = zone or ZoneInfo("Asia/Shanghai")
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed, address, zone=zone, base_url=base_url, clock=clock, remember=remember)
    import asyncpg  # not needed on one machine with SQLite

    from hub.store.postgres import PostgresStore

    dsn = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        await migrations.upgrade_postgres(dsn)
        return await PostgresStore.connect(dsn, zone=zone, base_url=base_url, clock=clock, remember=remember)
    except (OSError, asyncpg.PostgresError) as error:
        shown = parsed.render_as_string(hide_password=True)
        raise Misconfigured(f"database_url: {shown} cannot be opened: {error}") from error


def _open_sqlite(
    parsed: URL, address: str, *, zone: tzinfo, base_url: str, clock: Clock, remember: int
) -> Store:
    path = Path(parsed.database or "").absolute()
    try:
        file = lock.take(path, address)
    except OSError as error:
        raise Misconfigured(f"database_url: {path} cannot be opened: {error}") from error
    try:
        migrations.upgrade_sqlite(path)
        return SqliteStore(path, file, zone=zone, base_url=base_url, clock=clock, remember=remember)
    except sqlite3.Error as error:
        os.close(file)
        raise Misconfigured(f"database_url: {path} cannot be opened: {error}") from error
    except BaseException:
        os.close(file)
        raise


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError as error:
        raise Misconfigured(f"database_url: {_WANTED}") from error
    if backend not in ("sqlite", "postgresql", "postgres"):
        raise Misconfigured(f"database_url: {_WANTED}, got {backend}")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise Misconfigured("database_url: a SQLite database needs a file: sqlite:///path/hub.db")
    return parsed
