"""Schema changes, one numbered file each in `versions/`, run when a store opens.

`LATEST` is compared with the database first, so that an up-to-date one never loads alembic.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from hub.errors import Misconfigured
from hub.store.schema import metadata

if TYPE_CHECKING:
    from alembic.config import Config
    from asyncpg import Connection as Raw
    from asyncpg import Record
    from sqlalchemy import Connection

LATEST = "0007"
_ASK = "SELECT version_num FROM alembic_version"
_LOCK = 0x53414E5949
"""The advisory lock under which one hub at a time changes a PostgreSQL schema."""


def config(connection: Connection | None = None) -> Config:
    """The alembic configuration, without a file."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(connection: Connection) -> None:
    """Bring the connected database to the newest schema; the caller commits."""
    from alembic import command
    from alembic.util import CommandError

    try:
        command.upgrade(config(connection), "head")
    except CommandError as error:
        raise Misconfigured(f"database_url: the schema is not one this hub knows: {error}") from error


def upgrade_sqlite(path: Path) -> None:
    """Upgrade a SQLite file in one transaction, if it needs it."""
    from hub.store.sqlite import connect

    connection = connect(path)
    try:
        if connection.execute(_ASK).fetchone() == (LATEST,):
            return
    except sqlite3.OperationalError:
        pass
    finally:
        connection.close()
    from sqlalchemy import create_engine
    from sqlalchemy.engine import URL
    from sqlalchemy.pool import NullPool

    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    with engine.begin() as open_connection:
        upgrade(open_connection)
    engine.dispose()


async def upgrade_postgres(dsn: str) -> None:
    """Upgrade a PostgreSQL database in one transaction, if need be; hubs that start together take turns."""
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        if await connection.fetchval(_ASK) == LATEST:
            return
    except asyncpg.UndefinedTableError:
        pass
    finally:
        await connection.close()
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    async def connect() -> Raw[Record]:
        return await asyncpg.connect(dsn)

    engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, async_creator=connect)
    async with engine.begin() as open_connection:
        await open_connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        await open_connection.run_sync(upgrade)
    await engine.dispose()


__all__ = ["LATEST", "config", "metadata", "upgrade", "upgrade_postgres", "upgrade_sqlite"]
