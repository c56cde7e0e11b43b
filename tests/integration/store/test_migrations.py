"""The migrations make exactly the tables that the code describes."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import hub.store.flow
import hub.store.tables  # noqa: F401
from hub.errors import Misconfigured
from hub.store import migrations, open_store
from hub.store.schema import metadata


def _differences(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


def test_the_newest_version_is_the_one_we_look_for() -> None:
    assert ScriptDirectory.from_config(migrations.config()).get_current_head() == migrations.LATEST


def test_sqlite_tables_are_as_described(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url, poolclass=NullPool)
    with engine.connect() as connection:
        assert _differences(connection) == []


def test_sqlite_tables_are_clustered_as_described(sqlite_url: str, tmp_path: Path) -> None:
    """Autogenerate does not see WITHOUT ROWID: compare the text itself."""
    engine = create_engine(f"sqlite:///{tmp_path / 'plain.db'}", poolclass=NullPool)
    with engine.begin() as connection:
        metadata.create_all(connection)

    def tables(path: str) -> dict[str, str]:
        connection = sqlite3.connect(path)
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        connection.close()
        return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}

    assert tables(make_url(sqlite_url).database or "") == tables(str(tmp_path / "plain.db"))


async def test_postgres_tables_are_as_described(postgres_url: str) -> None:
    url = make_url(postgres_url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
        found = (
            await connection.execute(text("SELECT count(*) FROM pg_sequences WHERE sequencename = 'pid'"))
        ).scalar()
        assert found == 1
    await engine.dispose()


async def test_an_empty_database_gets_its_tables_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    store = await open_store(f"sqlite:///{path}")
    await store.close()
    assert path.stat().st_mode & 0o777 == 0o600
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(migrations.LATEST,)]
    connection.close()


async def test_a_newer_schema_is_refused(sqlite_url: str) -> None:
    connection = sqlite3.connect(make_url(sqlite_url).database or "")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(Misconfigured, match="schema"):
        await open_store(sqlite_url)
