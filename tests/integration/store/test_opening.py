"""Opening: one owner per SQLite file, and errors that say what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from hub.errors import Misconfigured
from hub.store import inbox, open_store
from hub.store.lock import lock_path, owner_of


async def test_one_process_owns_a_file(sqlite_url: str) -> None:
    path = Path(make_url(sqlite_url).database or "")
    store = await open_store(sqlite_url, address="http://127.0.0.1:8080")
    owner = owner_of(path)
    assert owner is not None
    assert (owner.pid, owner.url) == (os.getpid(), "http://127.0.0.1:8080")
    with pytest.raises(Misconfigured, match=f"pid {os.getpid()} at http://127.0.0.1:8080"):
        await open_store(sqlite_url)
    store.announce("http://127.0.0.1:9999")
    owner = owner_of(path)
    assert owner is not None
    assert owner.url == "http://127.0.0.1:9999"
    await store.close()
    assert owner_of(path) is None
    assert lock_path(path).stat().st_mode & 0o777 == 0o600
    await (await open_store(sqlite_url)).close()


async def test_several_may_share_a_postgres_database(postgres_url: str) -> None:
    first, second = await open_store(postgres_url), await open_store(postgres_url)
    await first.write(lambda tx: inbox.move_cursor(tx, "his", "page-2"))
    assert await inbox.read_cursor(second, "his") == "page-2"
    await first.close()
    await second.close()


@pytest.mark.parametrize(
    "url",
    ["mysql://x/y", "nonsense", "sqlite://", "sqlite:///:memory:", "sqlite:////nowhere/at/all/hub.db",
     "postgresql://nobody@127.0.0.1:1/none"],
)  # fmt: skip
async def test_a_wrong_url_names_the_setting(url: str) -> None:
    with pytest.raises(Misconfigured, match="database_url"):
        await open_store(url)


async def test_a_password_is_not_shown() -> None:
    with pytest.raises(Misconfigured) as caught:
        await open_store("postgresql://nobody:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)
